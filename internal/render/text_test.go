package render

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/internal/finding"
	"xtm/internal/run"
)

func findingsOf(s string) []finding.Finding {
	return []finding.Finding{
		{Check: "a-note", Subject: "web1", Verdict: finding.Note, Seen: "nothing much"},
		{
			Check: "hostile", Subject: s, Verdict: finding.Dangerous, Seen: s, Advice: s, Commands: []string{s},
			Evidence: []finding.Evidence{{Name: s, Value: s, Source: s}},
		},
		{Check: "refused", Subject: "db1", Verdict: finding.Bad, Seen: "puts were refused", Advice: "Raise it:", Commands: []string{"xl mem-max 2 501m"}},
		{Check: "second-note", Verdict: finding.Note, Seen: "the order of equals stays"},
	}
}

func write(t *testing.T, doc Document, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, doc, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sample has every kind of block and cell.
func sample() Document {
	return Document{
		Heading{1, "xtm report of xenhost"},
		Fields{
			{"Host", "Xen 4.12.4", ""},
			{"tmem", "OFF: not on the command line", "add tmem to GRUB_CMDLINE_XEN and start again, it will not hurt"},
			{"a label that is longer than its column", "stands alone", ""},
		},
		Table{
			Title: "Domains",
			Columns: []Column{
				{Key: "name", Name: "name", Cut: 10},
				{Key: "current_kib", Name: "current", Unit: MiB, Align: Right},
				{Key: "rate", Name: "hit\nrate", Unit: Percent, Align: Right},
				{Key: "frozen", Name: "frozen"},
			},
			Rows: [][]Cell{
				{Str("web1"), Size(376892), ShareOf(0.1812, 30720, 169568), Str("no")},
				{Str("customer-web-0001"), Size(4), {}, Str("")},
				{Str("名前が長いドメイン"), {}, Share(1), {}},
			},
			Absent: "no such pool",
			Notes:  []string{"A note."},
		},
		Paragraph("A paragraph that is long enough to be broken at the width of the page."),
		Bullets{"one", "two that is long enough to be broken at the width of the page"},
		Findings{List: findingsOf("x")},
		Hints{"--wide shows whole names"},
	}
}

func TestText(t *testing.T) {
	const want = `xtm report of xenhost
=====================
Host                      Xen 4.12.4
tmem                      OFF: not on the command
                          line
                          Do: add tmem to
                              GRUB_CMDLINE_XEN and
                              start again, it will
                              not hurt
a label that is longer than its column
                          stands alone

Domains
                       hit
            current   rate
name            MiB      %  frozen
----------  -------  -----  ------
web1          368.1   18.1  no
custo…0001     <0.1      –
名前…イン         –  100.0  –
–: no such pool
A note.

A paragraph that is long enough to be broken at
the width of the page.

- one
- two that is long enough to be broken at the
  width of the page

DANGEROUS  x: x [hostile]
           x
             x
BAD        db1: puts were refused [refused]
           Raise it:
             xl mem-max 2 501m
note       web1: nothing much [a-note]
note       the order of equals stays [second-note]

hint: --wide shows whole names
`
	got := write(t, sample(), Options{Width: 50})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTextWide(t *testing.T) {
	got := write(t, sample(), Options{Wide: true})
	for _, want := range []string{"customer-web-0001", "18.1 (30,720/169,568)", "名前が長いドメイン"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestColor: only the words of verdicts that matter have a colour, and what
// stands behind them stays where it is.
func TestColor(t *testing.T) {
	plain, colored := write(t, sample(), Options{}), write(t, sample(), Options{Color: true})
	if strings.Contains(plain, "\x1b") {
		t.Error("colours that nobody asked for")
	}
	want := strings.NewReplacer("DANGEROUS", "\x1b[1;31mDANGEROUS\x1b[0m", "BAD ", "\x1b[31mBAD\x1b[0m ").Replace(plain)
	if diff := cmp.Diff(want, colored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFit(t *testing.T) {
	table := Table{
		Columns: []Column{{Name: "name", Cut: 16}, {Name: "a", Align: Right}, {Name: "b", Align: Right}},
		Rows:    [][]Cell{{Str("customer-web-0001"), Int(1000000), Int(1000000)}},
	}
	for width, want := range map[int]string{
		38: "customer…eb-0001  1,000,000  1,000,000",
		33: "custo…-0001  1,000,000  1,000,000",
		30: "cust…001  1,000,000  1,000,000",
		29: "cust…001 1,000,000 1,000,000",
		12: "cust…001 1,000,000 1,000,000", // numbers are never cut
	} {
		lines := strings.Split(write(t, Document{table}, Options{Width: width}), "\n")
		if lines[2] != want {
			t.Errorf("in %d columns: %q, want %q", width, lines[2], want)
		}
	}
}

func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("ab名\u0301 –"))).Draw(t, "text")
		columns := rapid.IntRange(8, 30).Draw(t, "columns")
		lines := Wrap(s, columns)
		for _, l := range lines {
			if width(l) > columns || strings.TrimSpace(l) != l {
				t.Fatalf("%d columns: %q of %q", columns, l, s)
			}
		}
		strip := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := strip(strings.Join(lines, "")); width(got) != width(strip(s)) {
			t.Fatalf("%q became %q", s, lines)
		}
	})
}

func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("abc名\u0301–"))).Draw(t, "text")
		columns := rapid.IntRange(3, 20).Draw(t, "columns")
		switch got := Cut(s, columns); {
		case width(s) <= columns && got != s:
			t.Fatalf("%q was cut to %q without need", s, got)
		case width(got) > columns:
			t.Fatalf("%q is wider than %d", got, columns)
		}
	})
}

// TestEnvironmentDoesNotMatter: the library below measures the dash of an
// absent value by the environment that it finds at its start.
func TestEnvironmentDoesNotMatter(t *testing.T) {
	want := write(t, sample(), Options{Width: 50})
	if os.Getenv("XTM_RENDER_CHILD") != "" { // this same test, started below
		if err := os.WriteFile(os.Getenv("XTM_RENDER_CHILD"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, env := range []string{"RUNEWIDTH_EASTASIAN=1", "LC_ALL=ja_JP.UTF-8"} {
		out := t.TempDir() + "/out"
		r, err := run.New(os.Environ())(context.Background(), run.Cmd{
			Name: os.Args[0], Args: []string{"-test.run=^TestEnvironmentDoesNotMatter$"}, Env: []string{"XTM_RENDER_CHILD=" + out, env},
		})
		if err != nil || r.ExitCode != 0 {
			t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("with %s (-without +with):\n%s", env, diff)
		}
	}
}

// full is a pipe that breaks after so many bytes.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	table := sample()[2].(Table)
	for name, f := range map[string]func(*full) error{
		"text":     func(w *full) error { return Text(w, sample(), Options{}) },
		"markdown": func(w *full) error { return Markdown(w, sample()) },
		"csv":      func(w *full) error { return CSV(w, table) },
		"json":     func(w *full) error { return JSON(w, "x", false) },
	} {
		if err := f(&full{0}); !errors.Is(err, errFull) {
			t.Errorf("%s: a full disk gave %v", name, err)
		}
	}
}

func TestPrinterKeepsFirstError(t *testing.T) {
	p := NewPrinter(&full{40 << 10})
	for range 10_000 {
		p.Print("0123456789", "\n")
	}
	if err := p.Flush(); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
