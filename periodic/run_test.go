package periodic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/capture/importtest"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
	"xtm/report"
	"xtm/xen"
	"xtm/xen/xl"

	"github.com/google/go-cmp/cmp"
)

func snapshot(tb testing.TB, phase string) xen.Snapshot {
	tb.Helper()
	seams := importtest.Phase(tb, phase).Seams()
	s, err := xl.New(seams.Run, seams.Files).Snapshot(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestRemember: a report that compares with what was read back is the one that
// compares with what was seen.
func TestRemember(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	if s, err := Last(root); s != nil || err != nil {
		t.Errorf("before the first run: %v, %v", s, err)
	}
	loaded, late := snapshot(t, "xen-4.12/t1-load"), snapshot(t, "xen-4.12/t3-late")
	if err := Remember(root, loaded); err != nil {
		t.Fatal(err)
	}
	back, err := Last(root)
	if err != nil {
		t.Fatal(err)
	}
	want, got := report.Compute(&loaded, late, nil), report.Compute(back, late, nil)
	a, err1 := json.Marshal(want)
	b, err2 := json.Marshal(got)
	if diff := cmp.Diff(string(a), string(b)); diff != "" || err1 != nil || err2 != nil {
		t.Error(diff, err1, err2)
	}
	if !got.Interval.Has() || !got.Host.Evicted.Interval.Has() {
		t.Error("nothing was compared")
	}
	for _, text := range []string{"", "{}", `{"schema":2}`, "\x00\x00", `{"schema":1,"snapshot":[]}`} {
		if err := os.WriteFile(filepath.Join(string(root), statePath), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Last(root); s != nil || err == nil || !strings.Contains(err.Error(), statePath) {
			t.Errorf("of %q: %v, %v", text, s, err)
		}
		if err := Remember(root, late); err != nil {
			t.Errorf("over %q: %v", text, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	root := hostfs.Root(f.TempDir())
	for _, phase := range []string{"xen-4.12/t1-load", "xen-4.17/modern"} {
		if err := Remember(root, snapshot(f, phase)); err != nil {
			f.Fatal(err)
		}
		b, err := root.ReadFile(statePath)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if (s == nil) != (err != nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if err == nil {
			report.Compute(s, *s, nil)
		}
	})
}

// TestKeep: the newest stay, and what is not a report of ours.
func TestKeep(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	dir := filepath.Join(string(root), "out")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	others := []string{"notes.txt", "xtm-report-latest.txt", "xtm-report-20261122T130000Z.pdf", "xtm-report-20261122T130000Z"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(outside, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "xtm-report-20260101T000000Z.txt")); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	for i := range 5 {
		if err := Keep(root, "/out", at.Add(time.Duration(i)*time.Hour), 3, []byte("text\n"), []byte("{}\n")); err != nil {
			t.Fatal(err)
		}
	}
	want := append([]string{}, others...)
	for _, hour := range []string{"15", "16", "17"} {
		want = append(want, "xtm-report-20261122T"+hour+"0000Z.txt", "xtm-report-20261122T"+hour+"0000Z.json")
	}
	slices.Sort(want)
	got, err := root.ReadDir("/out")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("what a link led to is gone: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Keep(root, "/out", at, 3, nil, nil); err == nil || !strings.Contains(err.Error(), "others than root") {
		t.Errorf("in a folder that anybody can write to: %v", err)
	}
	if err := Keep(root, "/none", at, 3, nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
}

// TestMessage: a host's name puts nothing into the head of a mail.
func TestMessage(t *testing.T) {
	long := strings.Repeat("Problems: ü ", 200)
	b, err := Message([]string{"root", "ops@example.org"}, "xtm: höst\r\nBcc: eve@example.org"+strings.Repeat("x", 500), time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC), []byte(long+"\n.\nFrom me\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if to, err := m.Header.AddressList("To"); m.Header.Get("Bcc") != "" || err == nil && len(to) != 2 {
		t.Errorf("header %v, %v", m.Header, err)
	}
	for line := range bytes.Lines(b) {
		if len(line) > 998 || bytes.ContainsRune(line, '\r') || bytes.IndexFunc(line, func(r rune) bool { return r > 126 }) >= 0 {
			t.Errorf("line %q", line)
		}
	}
	var stdin []byte
	sendmail := runtest.New(time.Time{}).Else(func(c run.Cmd) (runtest.Answer, bool) {
		stdin = c.Stdin
		return runtest.Answer{ExitCode: 75, Stderr: "queue is full\n"}, true
	})
	err = Send(t.Context(), sendmail.Run, []string{"root", "ops@example.org"}, b)
	if err == nil || !strings.Contains(err.Error(), "queue is full") || !bytes.Equal(stdin, b) {
		t.Errorf("sendmail failed: %v", err)
	}
	if diff := cmp.Diff([]string{"sendmail -i -- root ops@example.org"}, sendmail.Calls()); diff != "" {
		t.Error(diff)
	}
}

// TestSystemdAnalyze: systemd finds nothing wrong with any pace and delivery,
// and says how exposed the service is.
func TestSystemdAnalyze(t *testing.T) {
	analyze := needs.Program(t, "systemd-analyze")
	run := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), analyze, args...)
		c.Env = append(os.Environ(), "TZ=UTC")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, tt := range []struct {
		name     string
		change   func(*Options)
		exposure string
	}{
		{"plain", func(*Options) {}, "1.5 OK"},
		{"out", func(o *Options) { o.Out = "/var/log/xtm" }, "1.5 OK"},
		{"home", func(o *Options) { o.Out = "/root/reports" }, "1.6 OK"},
		{"mail", func(o *Options) { o.MailTo = []string{"root", "ops@example.org"} }, "3.6 OK"},
	} {
		o := options()
		o.Program = "/bin/true" // verify wants a program that is there
		tt.change(&o)
		dir := t.TempDir()
		files := []string{filepath.Join(dir, "xtm-periodic.service"), filepath.Join(dir, "xtm-periodic.timer")}
		at, err := timesOf(o.Every)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range []string{service(o), timerUnit(o, at)} {
			if err := os.WriteFile(files[i], []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out := run(append([]string{"verify", "--man=no"}, files...)...); out != "" {
			t.Errorf("%s: verify says\n%s", tt.name, out)
		}
		if out := run("security", "--offline=true", files[0]); !strings.Contains(out, "xtm-periodic.service: "+tt.exposure) {
			t.Errorf("%s: want %s\n%s", tt.name, tt.exposure, out)
		}
	}
	for _, pace := range paces() {
		every, err := time.ParseDuration(pace)
		if err != nil {
			t.Fatal(err)
		}
		at, err := timesOf(every)
		if err != nil {
			t.Fatal(err)
		}
		// The distance of two runs is the pace.
		var runs []time.Time
		for line := range strings.Lines(run("calendar", "--iterations=2", at.calendar)) {
			_, when, first := strings.Cut(line, "Next elapse: ")
			if !first {
				if _, when, _ = strings.Cut(line, "Iter. #2: "); when == "" {
					continue
				}
			}
			x, err := time.Parse("Mon 2006-01-02 15:04:05 MST", strings.TrimSpace(when))
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, x)
		}
		if len(runs) != 2 || runs[1].Sub(runs[0]) != every {
			t.Errorf("every %s is %s: %v", pace, at.calendar, runs)
		}
	}
}
