package proc_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"

	"xtm/internal/hostfs"
	"xtm/internal/proc"
)

const meminfo = "MemTotal:         138816 kB\nMemFree:           99964 kB\n"

func TestOpenLaysOut(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	files := hostfs.FromFS(fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}, "proc/swaps": {Data: []byte("Filename\n")}})
	p, closeProc, err := proc.Open(files, "meminfo")
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Meminfo()
	if err != nil || m.MemTotal == nil || *m.MemTotal != 138816 {
		t.Errorf("MemTotal = %v, %v", m.MemTotal, err)
	}
	if m.MemAvailable != nil {
		t.Error("an absent key is not absent")
	}
	if _, err := p.Swaps(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that nobody named was read: %v", err)
	}
	if err := closeProc(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOpenHost(t *testing.T) {
	p, closeProc, err := proc.Open(hostfs.Host)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := p.Meminfo(); err != nil || m.MemTotal == nil {
		t.Errorf("this machine's memory: %v", err)
	}
	if err := closeProc(); err != nil {
		t.Error(err)
	}
}

// A root's files are read as hostfs reads them: a link cannot lead out.
func TestOpenRootStaysInside(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(outside, []byte(meminfo), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "proc/meminfo")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := proc.Open(hostfs.Root(root), "meminfo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file outside: %v", err)
	}
}

type denied struct{ hostfs.Files }

func (denied) ReadFile(p string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.EACCES}
}

func TestOpenTellsFailures(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, _, err := proc.Open(hostfs.FromFS(fstest.MapFS{"proc/meminfo": {}}), "meminfo", "zoneinfo")
	if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != "/proc/zoneinfo" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	_, _, err = proc.Open(denied{}, "meminfo")
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	t.Setenv("TMPDIR", filepath.Join(tmp, "none"))
	if _, _, err := proc.Open(hostfs.FromFS(fstest.MapFS{}), "meminfo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no temporary folder: %v", err)
	}
}
