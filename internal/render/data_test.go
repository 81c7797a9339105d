package render

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdown(t *testing.T) {
	const want = "# xtm report of xenhost\n\n" +
		"- **Host:** Xen 4.12.4\n" +
		"- **tmem:** OFF: not on the command line\n" +
		"  Do: add tmem to GRUB\\_CMDLINE\\_XEN and start again, it will not hurt\n" +
		"- **a label that is longer than its column:** stands alone\n\n" +
		"## Domains\n\n" +
		"| name               | current (MiB) |          hit rate (%) | frozen |\n" +
		"|:-------------------|--------------:|----------------------:|:-------|\n" +
		"| web1               |         368.1 | 18.1 (30,720/169,568) | no     |\n" +
		"| customer-web-0001  |          <0.1 |                     – |        |\n" +
		"| 名前が長いドメイン |             – |                 100.0 | –      |\n\n" +
		"–: no such pool\n\nA note.\n\n" +
		"A paragraph that is long enough to be broken at the width of the page.\n\n" +
		"- one\n- two that is long enough to be broken at the width of the page\n\n" +
		"- **DANGEROUS** x: x (hostile)\n  x\n\n  ```sh\n  x\n  ```\n" +
		"- **BAD** db1: puts were refused (refused)\n  Raise it:\n\n  ```sh\n  xl mem-max 2 501m\n  ```\n" +
		"- **note** web1: nothing much (a-note)\n- **note** the order of equals stays (second-note)\n\n" +
		"- hint: --wide shows whole names\n"
	var b bytes.Buffer
	if err := Markdown(&b, sample()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMarkdownFence: commands with backticks stay inside their fence.
func TestMarkdownFence(t *testing.T) {
	var b bytes.Buffer
	if err := Markdown(&b, Document{Findings{List: findingsOf("echo ````")}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\n  `````sh\n  echo ````\n  `````\n") {
		t.Errorf("got\n%s", b.String())
	}
}

func TestCSV(t *testing.T) {
	const want = "name,current_kib,rate,frozen\n" +
		"web1,376892,0.1812,no\n" +
		"customer-web-0001,4,,\n" +
		"名前が長いドメイン,,1,\n"
	var b bytes.Buffer
	if err := CSV(&b, sample()[2].(Table)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSONEscapes(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, []string{"\x1b[2J", "\u009b", "\u202e", "\U000e0041", "\x7f", "<&>", "\xff"}, false); err != nil {
		t.Fatal(err)
	}
	const want = `["\u001b[2J","\u009b","\u202e","\udb40\udc41","\u007f","<&>","\ufffd"]` + "\n"
	if b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
}

// TestJSONWritesAllOrNothing: a value that JSON has no word for leaves nothing
// half written.
func TestJSONWritesAllOrNothing(t *testing.T) {
	for _, v := range []any{[]float64{1, math.NaN()}, []any{make(chan int)}, struct{ F func() }{}} {
		var b bytes.Buffer
		if err := JSON(&b, v, false); err == nil || b.Len() > 0 {
			t.Errorf("%T: error %v, wrote %q", v, err, b.String())
		}
	}
}
