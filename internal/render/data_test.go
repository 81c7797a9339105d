package render

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
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

// embedded is what the walk leaves to encoding/json.
type embedded struct {
	Inner
	Map   map[string]int `json:"map"`
	Bytes []byte         `json:"bytes"`
}

// Inner is flattened by encoding/json.
type Inner struct {
	A int `json:"a"`
}

// tree holds itself.
type tree struct {
	Name string `json:"name"`
	Kids []tree `json:"kids,omitempty"`
}

type kinds struct {
	Text     string                 `json:"text"`
	Odd      string                 `json:"odd"`
	NoTag    bool                   // its own name
	Hidden   int                    `json:"-"`
	private  int                    //nolint:unused // must not be written
	Int8     int8                   `json:"i8"`
	Uint     uint                   `json:"u"`
	Float    float64                `json:"f"`
	Tiny     float64                `json:"tiny"`
	Float32  float32                `json:"f32"`
	Time     time.Time              `json:"time,omitzero"`
	When     time.Time              `json:"when,omitzero"`
	Absent   opt.Value[int]         `json:"absent,omitzero"`
	Null     opt.Value[int]         `json:"null"`
	Present  opt.Value[[]embedded]  `json:"present,omitzero"`
	Optional opt.Value[time.Time]   `json:"optional,omitzero"`
	Pointer  *int                   `json:"pointer"`
	Any      any                    `json:"any"`
	Empty    []int                  `json:"empty,omitempty"`
	Nothing  []int                  `json:"nothing"`
	None     []int                  `json:"none"`
	Array    [2]string              `json:"array"`
	Quoted   struct{ N int }        `json:"quoted"`
	Struct   struct{}               `json:"struct"`
	Zero     struct{ A, B float64 } `json:"zero,omitzero"`
	Embedded embedded               `json:"embedded"`
}

func TestJSONLikeEncodingJSON(t *testing.T) {
	seven := 7
	full := kinds{
		Text: "plain", Odd: "a \"b\" \\ 名 \n", Int8: -3, Uint: 9, Float: 0.1812, Tiny: 1e-9, Float32: 0.25,
		Time: time.Date(2026, 11, 22, 13, 50, 1, 5, time.UTC), Pointer: &seven, Any: map[string]any{"k": []int{1}}, None: []int{},
		Present: opt.Of([]embedded{{Map: map[string]int{"b": 1, "a": 2}, Bytes: []byte("x")}}), Optional: opt.Of(time.Unix(0, 0).UTC()),
	}
	for name, v := range map[string]any{
		"nil": nil, "zero": kinds{}, "full": full, "pointer": &full, "list": []kinds{{}, full}, "map": map[string]kinds{"x": full},
		"number": 1.5e300, "text": "x", "empty list": []kinds{}, "nil list": []kinds(nil),
		"tree": tree{"a", []tree{{"b", nil}, {"c", []tree{{"d", nil}}}}},
	} {
		for _, indent := range []bool{false, true} {
			var got, want bytes.Buffer
			if err := JSON(&got, v, indent); err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if indent {
				if err := json.Indent(&want, b, "", "  "); err != nil {
					t.Fatal(err)
				}
			} else {
				want.Write(b)
			}
			if diff := cmp.Diff(want.String()+"\n", got.String()); diff != "" {
				t.Errorf("%s, indent %t (-encoding/json +ours):\n%s", name, indent, diff)
			}
		}
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
