package run_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
)

// shell runs real programs with this PATH and a marker of its own.
func shell(path string) run.Func {
	return run.New([]string{"HOME=/nowhere", "PATH=/ignored", "PATH=" + path})
}

func sh(script string) run.Cmd { return run.Cmd{Name: "sh", Args: []string{"-c", script}} }

func TestOutputsAreApart(t *testing.T) {
	c := sh("echo out; echo err >&2; exit 7")
	r, err := shell("/usr/bin:/bin")(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" || r.ExitCode != 7 {
		t.Errorf("%q, %q, exit %d", r.Stdout, r.Stderr, r.ExitCode)
	}
	if r.Start.IsZero() || r.Duration <= 0 {
		t.Errorf("start %v, took %v", r.Start, r.Duration)
	}
	ee, ok := errors.AsType[*run.ExitError](r.Check(c))
	if !ok || ee.Code != 7 || ee.Stderr != "err" || !strings.Contains(ee.Error(), "exit status 7: err") {
		t.Errorf("Check = %v", ee)
	}
}

func TestEnvironment(t *testing.T) {
	c := sh(`echo "$LC_ALL $HOME $MORE $PATH"; cat`)
	c.Env = []string{"MORE=more"}
	c.Stdin = []byte("stdin")
	r, err := shell("/usr/bin:/bin")(t.Context(), c)
	want := "C /nowhere more /usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\nstdin"
	if got := string(r.Stdout); got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	dir := t.TempDir()
	c = sh("pwd")
	c.Dir = dir
	r, err = shell("/usr/bin:/bin")(t.Context(), c)
	if got := strings.TrimSpace(string(r.Stdout)); got != dir || err != nil {
		t.Errorf("ran in %q, %v", got, err)
	}
}

func TestEnds(t *testing.T) {
	tests := []struct {
		name string
		cmd  run.Cmd
		want error
		in   string
	}{
		{"timeout", run.Cmd{Name: "sleep", Args: []string{"60"}, Timeout: 50 * time.Millisecond}, context.DeadlineExceeded, "run sleep 60: after"},
		{"too much", run.Cmd{Name: "sh", Args: []string{"-c", "while :; do echo 0123456789; done"}, MaxOutput: 1000}, run.ErrTooMuchOutput, "more than 1000 bytes"},
		{"too much on stderr", run.Cmd{Name: "sh", Args: []string{"-c", "while :; do echo 0123456789 >&2; done"}, MaxOutput: 1000}, run.ErrTooMuchOutput, "more than 1000 bytes"},
		{"not installed", run.Cmd{Name: "no-such-program"}, cause.ErrNoData, "not installed or not in PATH"},
		{"no such file", run.Cmd{Name: "/no/such/program"}, fs.ErrNotExist, "/no/such/program"},
		{"not executable", run.Cmd{Name: "/etc/passwd"}, fs.ErrPermission, "/etc/passwd"},
		{"signal", sh("kill -KILL $$"), nil, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			r, err := shell("/usr/bin:/bin")(t.Context(), tt.cmd)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.in) {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.in)
			}
			if r.ExitCode != -1 {
				t.Errorf("exit code %d of a program that did not exit by itself", r.ExitCode)
			}
			if len(r.Stdout) > 1000 || len(r.Stderr) > 1000 {
				t.Errorf("kept %d and %d bytes", len(r.Stdout), len(r.Stderr))
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := shell("/usr/bin:/bin")(ctx, run.Cmd{Name: "sleep", Args: []string{"60"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A hotplug script that stays behind keeps the pipe open: the program has ended
// well all the same.
func TestChildKeepsThePipe(t *testing.T) {
	r, err := shell("/usr/bin:/bin")(t.Context(), sh("echo done; sleep 30 & exit 0"))
	if err != nil || string(r.Stdout) != "done\n" || r.ExitCode != 0 {
		t.Errorf("%q, exit %d, %v", r.Stdout, r.ExitCode, err)
	}
	if r.Duration > 20*time.Second {
		t.Errorf("waited %v for the child", r.Duration)
	}
}

func TestStream(t *testing.T) {
	var seen bytes.Buffer
	c := sh("echo out; echo err >&2")
	c.Stream = &seen
	r, err := shell("/usr/bin:/bin")(t.Context(), c)
	if err != nil || string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" {
		t.Errorf("%q, %q, %v", r.Stdout, r.Stderr, err)
	}
	if got := seen.String(); !strings.Contains(got, "out\n") || !strings.Contains(got, "err\n") {
		t.Errorf("streamed %q", got)
	}
	c.Stream = full{}
	if _, err := shell("/usr/bin:/bin")(t.Context(), c); !errors.Is(err, errFull) {
		t.Errorf("error %v, want the stream's own", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// The environment given to New decides, not that of the test; relative entries
// are never searched.
func TestLookup(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"xl": 0o755, "plain": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho mine \"$0\"\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	r, err := shell(dir)(t.Context(), run.Cmd{Name: "xl"})
	if want := "mine " + filepath.Join(dir, "xl") + "\n"; string(r.Stdout) != want || err != nil {
		t.Errorf("%q, %v, want %q", r.Stdout, err, want)
	}
	if _, err := shell(dir)(t.Context(), run.Cmd{Name: "plain"}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be run: %v", err)
	}
	t.Chdir(dir)
	for _, path := range []string{".", "", ":", "./"} {
		if _, err := shell(path)(t.Context(), run.Cmd{Name: "plain"}); !errors.Is(err, cause.ErrNoData) {
			t.Errorf("PATH=%q found a program in the current folder: %v", path, err)
		}
	}
	// The programs of administrators are found without their folders in PATH.
	for _, admin := range []string{"/usr/sbin", "/sbin"} {
		names, err := os.ReadDir(admin)
		if err != nil {
			continue
		}
		for _, n := range names {
			if n.Name() != "ldconfig" {
				continue
			}
			if _, err := shell("/nowhere")(t.Context(), run.Cmd{Name: "ldconfig", Args: []string{"--version"}}); err != nil {
				t.Errorf("with PATH=/nowhere: %v", err)
			}
			return
		}
	}
	t.Log("no ldconfig in /usr/sbin or /sbin to look for")
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"xl": "xl", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "-l": "-l", "/local/domain/1/data": "/local/domain/1/data", "$HOME": "'$HOME'", "ü": "'ü'",
	} {
		if got := run.Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	c := run.Cmd{Name: "xl", Args: []string{"tmem-list", "my guest"}}
	if got := c.String(); got != "xl tmem-list 'my guest'" {
		t.Errorf("String = %s", got)
	}
}

func TestLastLines(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n\n": "", "a\n": "a", "a\n\nb\n c \nd": "b; c; d"} {
		if got := run.LastLines([]byte(in), 3); got != want {
			t.Errorf("LastLines(%q) = %q, want %q", in, got, want)
		}
	}
}
