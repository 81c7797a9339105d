package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/cli"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
)

// TestHistoryStops: on a full disk the reports go on, and a clear line says that
// history stopped, once; another says when it goes on.
func TestHistoryStops(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		needs.Unmet(t, "a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 500<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var out reports
	var errs bytes.Buffer
	env := cli.Env{
		Stdout: &out, Stderr: &errs, Root: true, Files: hostfs.Root(t.TempDir()), Now: time.Now,
		Calls: fakeXen("4.12.4"), Store: xenstoreKeys{},
	}
	env.Args = []string{"xtm", "report", "--source", "hypercall", "--record", "--history", filepath.Join(dir, "h.db")}
	if code := cli.Run(t.Context(), env); code != 1 || out.n != 1 || !strings.Contains(errs.String(), "error: history stopped: ") ||
		!strings.Contains(errs.String(), "no room left for history") {
		t.Errorf("once: exit %d, %d reports, %s", code, out.n, errs.String())
	}

	errs.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out = reports{each: func(n int) {
		switch n {
		case 3:
			if err := os.Remove(ballast); err != nil {
				t.Error(err)
			}
		case 6:
			cancel()
		}
	}}
	env.Args = append(env.Args, "--every", "20ms")
	code := cli.Run(ctx, env)
	if said := errs.String(); code != 0 || out.n != 6 || strings.Count(said, "note: history stopped, the reports go on: ") != 1 ||
		strings.Count(said, "note: history goes on") != 1 {
		t.Errorf("again and again: exit %d, %d reports, %s", code, out.n, said)
	}
}

// reports counts what a renderer writes.
type reports struct {
	n    int
	each func(n int)
}

func (r *reports) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("xtm report")) {
		r.n++
		if r.each != nil {
			r.each(r.n)
		}
	}
	return len(b), nil
}
