package pcitest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"xtm/internal/hostfs"
)

// Dir is a folder that stands for "/" without the care of hostfs.Root for
// links that lead out: as fast as the running machine, for what a test itself
// wrote.
type Dir string

var _ hostfs.Files = Dir("")

// ReadFile implements hostfs.Files.
func (d Dir) ReadFile(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), path))
}

// ReadDir implements hostfs.Files.
func (d Dir) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(string(d), path)) // sorted
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// Readlink implements hostfs.Files.
func (d Dir) Readlink(path string) (string, error) {
	return os.Readlink(filepath.Join(string(d), path))
}

// Exists implements hostfs.Files.
func (d Dir) Exists(path string) (bool, error) {
	_, err := os.Stat(filepath.Join(string(d), path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// InMemory makes t.TempDir use memory where the machine offers it: a host is a
// few thousand small files. Call it before the first t.TempDir.
func InMemory(tb testing.TB) {
	tb.Helper()
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		tb.Setenv("TMPDIR", "/dev/shm")
	}
}

// Write writes the host into a new temporary folder.
func (h Host) Write(tb testing.TB) Dir {
	tb.Helper()
	dir := tb.TempDir()
	if err := h.WriteSysfs(dir); err != nil {
		tb.Fatal(err)
	}
	return Dir(dir)
}
