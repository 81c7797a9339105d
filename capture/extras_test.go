package capture_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/capture"
	"xtm/internal/cause"
	"xtm/internal/run"
)

// The extras of a guest: what is there, what is not, what may not be read, a
// link that must not be followed.
func TestGuestExtras(t *testing.T) {
	const memory = "/sys/devices/system/xen_memory/xen_memory0"
	w := &world{
		files: map[string]any{
			"/proc/cmdline": "ro\n", "/proc/sys/kernel/osrelease": "4.19.0-m\n", "/boot/config-4.19.0-m": "CONFIG_XEN=y\n",
			memory: []string{"info", "subsystem", "target"}, memory + "/target": "1\n",
			memory + "/info": []string{"current_kb"}, memory + "/info/current_kb": "2\n",
			memory + "/subsystem":         []string{"devices"},
			"/sys/kernel/debug/frontswap": &fs.PathError{Op: "open", Path: "/sys/kernel/debug/frontswap", Err: syscall.EACCES},
		},
		links: map[string]string{memory + "/subsystem": "../../../../bus/xen_memory"},
	}
	start := time.Date(2026, 11, 22, 13, 35, 0, 0, time.UTC)
	rec := capture.Record(w.seams(), capture.Meta{XTM: "test", Role: capture.Guest, Begin: start})
	if err := rec.Extras(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := rec.Capture(start.Add(time.Second), capture.Options{})
	s := c.Seams()
	for p, want := range map[string]string{
		"/boot/config-4.19.0-m": "CONFIG_XEN=y\n", memory + "/target": "1\n", memory + "/info/current_kb": "2\n",
	} {
		if b, err := s.Files.ReadFile(p); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", p, b, err)
		}
	}
	if target, err := s.Files.Readlink(memory + "/subsystem"); err != nil || target != "../../../../bus/xen_memory" {
		t.Errorf("link: %q, %v", target, err)
	}
	if _, err := s.Files.ReadDir(memory + "/subsystem"); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("the link was followed: %v", err)
	}
	if _, err := s.Files.ReadDir("/sys/kernel/debug/frontswap"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("unreadable folder: %v", err)
	}
	if _, err := s.Files.ReadFile("/proc/config.gz"); !errors.Is(err, cause.ErrNoData) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/proc/config.gz need not be read where /boot has it: %v", err)
	}
	sum := c.Summary()
	if sum.Files != 5 || sum.Programs != 0 {
		t.Errorf("%d files, %d programs", sum.Files, sum.Programs)
	}
	text := sum.String()
	for _, want := range []string{
		"captured: 5 files, 0 programs (guest, 2026-11-22 13:35:00 to 13:35:01 UTC)\n",
		"not captured: \"open /proc/meminfo: no such file or directory\"\n",
		"not captured: \"open /sys/kernel/debug/frontswap: permission denied\"\n",
		"not captured: \"run dmesg: not installed or not in PATH: no data\"\n",
		"left out: 0 secrets, 0 lines of xenstore\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if lines := strings.Split(strings.TrimSpace(text), "\n"); !strings.Contains(lines[len(lines)-1], "--redact") {
		t.Errorf("the last line does not suggest --redact: %q", lines[len(lines)-1])
	}
}

// What the source ran belongs to its moment and is not run again.
func TestHostExtrasRunOnce(t *testing.T) {
	w := &world{runs: map[string][]ran{"xl info": {{res: run.Result{Stdout: []byte("host : x\n")}}}}}
	rec := capture.Record(w.seams(), capture.Meta{Role: capture.Host})
	if _, err := rec.Seams().Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"info"}}); err != nil {
		t.Fatal(err)
	}
	if err := rec.Extras(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for _, a := range w.asked {
		asked[a]++
	}
	for _, c := range capture.Extras(capture.Host).Commands {
		if asked[c.String()] != 1 {
			t.Errorf("%s was run %d times", c, asked[c.String()])
		}
	}
}

// endless is a folder that holds itself and a file, without a link to tell.
type endless struct{ reads int }

func (e *endless) ReadFile(string) ([]byte, error) { e.reads++; return nil, nil }
func (e *endless) ReadDir(p string) ([]string, error) {
	if strings.HasSuffix(p, "file") {
		return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.ENOTDIR}
	}
	return []string{"again", "file"}, nil
}
func (e *endless) Readlink(string) (string, error) { return "", syscall.EINVAL }
func (e *endless) Exists(string) (bool, error)     { return true, nil }

func TestTreesAreBounded(t *testing.T) {
	none := func(context.Context, run.Cmd) (run.Result, error) {
		return run.Result{}, fmt.Errorf("no: %w", cause.ErrNoData)
	}
	e := &endless{}
	rec := capture.Record(capture.Seams{Files: e, Run: none}, capture.Meta{Role: capture.Guest})
	if err := rec.Extras(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.reads > 100 {
		t.Errorf("%d reads", e.reads)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rec.Extras(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestSummaryOfProblems(t *testing.T) {
	s := capture.Summary{Meta: capture.Meta{Role: capture.Host, Redacted: true, Scrubbed: 2, Withheld: 3}, Missing: []string{"a\x1b[31m"}, Ignored: []string{"call/001"}}
	want := "captured: 0 files, 0 programs (host, 0001-01-01 00:00:00 to 00:00:00 UTC)\n" +
		"not captured: \"a\\x1b[31m\"\nnot known to this xtm: \"call/001\"\nleft out: 2 secrets, 3 lines of xenstore\n" +
		"names, uuids, MAC and IP addresses are pseudonyms; look through free text such as dmesg before you give it away\n"
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Error(diff)
	}
}
