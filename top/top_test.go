package top_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/capture"
	"xtm/capture/demo"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/top"
	"xtm/xen"
	"xtm/xen/xl"
)

// moments are the two snapshots of the recorded host.
func moments(tb testing.TB) (first, second xen.Snapshot) {
	tb.Helper()
	read := func(open func() (*capture.Capture, error)) xen.Snapshot {
		c, err := open()
		if err != nil {
			tb.Fatal(err)
		}
		s := c.Seams()
		snap, err := xl.New(s.Run, s.Files).Snapshot(context.Background())
		if err != nil {
			tb.Fatal(err)
		}
		return snap
	}
	return read(demo.Open), read(demo.Later)
}

// view has seen both moments.
func view(tb testing.TB, width, height int) *top.Model {
	tb.Helper()
	m := top.New(report.DefaultThresholds(), 5*time.Second)
	m.Resize(width, height)
	first, second := moments(tb)
	m.Add(first)
	m.Add(second)
	return m
}

// screen is the screen as text; a marked line begins with ">".
func screen(m *top.Model) string {
	var b strings.Builder
	for _, l := range m.Screen() {
		mark := " "
		if l.Marked {
			mark = ">"
		}
		b.WriteString(mark + strings.TrimRight(l.Text, " ") + "\n")
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("XTM_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestScreens(t *testing.T) {
	for name, keys := range map[string]string{
		"domains": "", "pools": "p", "domain": "down down down enter", "help": "?", "sorted": "s s r", "filtered": "/ w e b enter", "typing": "/ w e",
	} {
		for size, wh := range map[string][2]int{"80x24": {80, 24}, "200x50": {200, 50}} {
			t.Run(name+"-"+size, func(t *testing.T) {
				m := view(t, wh[0], wh[1])
				m.Screen()
				for key := range strings.FieldsSeq(keys) {
					if m.Key(key) {
						t.Fatalf("%s ends the view", key)
					}
					m.Screen()
				}
				golden(t, name+"-"+size, screen(m))
			})
		}
	}
}

func TestKeysEnd(t *testing.T) {
	m := view(t, 80, 24)
	m.Key("?")
	if m.Key("q") {
		t.Error("q in the help ends the view")
	}
	if !m.Key("q") || !m.Key("ctrl+c") {
		t.Error("q and ctrl+c do not end the view")
	}
	m.Key("/")
	if m.Key("q") || !strings.Contains(screen(m), "show names with: q_") {
		t.Error("q cannot be typed into a filter")
	}
}

// TestPause holds that a pause keeps the screen, and that the figures after it
// are those since before it.
func TestPause(t *testing.T) {
	m := top.New(report.DefaultThresholds(), 5*time.Second)
	first, second := moments(t)
	m.Add(first)
	m.Key("space")
	before := screen(m)
	m.Add(second)
	if diff := cmp.Diff(before, screen(m)); diff != "" {
		t.Error(diff)
	}
	m.Key("space")
	m.Add(second)
	if got := screen(m); !strings.Contains(got, "disk reads 8,159,") {
		t.Error(got)
	}
}

// TestFail holds that old figures are said to be old.
func TestFail(t *testing.T) {
	m := view(t, 80, 24)
	m.Fail(errors.New("run xl: exit 1"))
	if got := screen(m); !strings.Contains(got, "NOT READ, these figures are old: run xl: exit 1") || !strings.Contains(got, "web1") {
		t.Error(got)
	}
	first, _ := moments(t)
	m.Add(first)
	if got := screen(m); strings.Contains(got, "NOT READ") {
		t.Error(got)
	}
	empty := top.New(report.DefaultThresholds(), time.Second)
	empty.Fail(errors.New("no xl"))
	if got := screen(empty); !strings.Contains(got, "xtm top: no xl") {
		t.Error(got)
	}
}

// TestScreenFits holds for any size, any keys and any names: as many lines as
// the terminal has, each as wide as it, and nothing that a terminal acts upon.
func TestScreenFits(t *testing.T) {
	first, second := moments(t)
	rapid.Check(t, func(t *rapid.T) {
		m := top.New(report.DefaultThresholds(), time.Second)
		a, b := first, second
		a.Domains = append([]xen.Domain(nil), a.Domains...)
		a.Domains[1].Name = rapid.String().Draw(t, "name")
		a.Domains = append(a.Domains, make([]xen.Domain, rapid.IntRange(0, 40).Draw(t, "more"))...)
		for i := range a.Domains {
			a.Domains[i].ID = opt.Of(units.DomID(i))
		}
		w, h := rapid.IntRange(20, 250).Draw(t, "width"), rapid.IntRange(8, 60).Draw(t, "height")
		m.Resize(w, h)
		keys := []string{
			"up", "down", "pgup", "pgdown", "home", "end", "s", "S", "r", "p", "?", "enter", "esc", "space", "/", "x", "é", "backspace", "+", "-", "j", "k",
		}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				m.Add(a)
			case 1:
				m.Add(b)
			case 2:
				m.Fail(errors.New("no"))
			default:
				m.Key(rapid.SampledFrom(keys).Draw(t, "key"))
			}
			lines := m.Screen()
			if len(lines) != h {
				t.Fatalf("%d lines of %d", len(lines), h)
			}
			for _, l := range lines {
				if strings.ContainsAny(l.Text, "\x1b\n\r\x00") {
					t.Fatalf("%q", l.Text)
				}
				if n := displaywidth.String(l.Text); n > w {
					t.Fatalf("%d columns of %d: %q", n, w, l.Text)
				}
			}
		}
	})
}

// list is a source of prepared snapshots.
type list struct {
	snaps []xen.Snapshot
	reads int
}

func (l *list) Snapshot(context.Context) (xen.Snapshot, error) {
	if l.reads == len(l.snaps) {
		return xen.Snapshot{}, top.ErrEnd
	}
	l.reads++
	return l.snaps[l.reads-1], nil
}

func TestBatch(t *testing.T) {
	first, second := moments(t)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		begin := time.Now()
		m := top.New(report.DefaultThresholds(), 5*time.Second)
		if err := top.Batch(t.Context(), m, &list{snaps: []xen.Snapshot{first, second}}, &out, 0); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("two readings took %s", d)
		}
		golden(t, "batch", out.String())
		out.Reset()
		if err := top.Batch(t.Context(), m, &list{snaps: []xen.Snapshot{first, second}}, &out, 1); err != nil || strings.Count(out.String(), "TIME") != 1 {
			t.Errorf("%v: %s", err, out.String())
		}
	})
}

func BenchmarkScreen(b *testing.B) {
	m := view(b, 200, 50)
	b.ReportAllocs()
	for b.Loop() {
		m.Screen()
	}
}
