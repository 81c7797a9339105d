package cli_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"xtm/internal/cli"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run/runtest"
)

// TestEnableRestores: a disk that is full or read-only, and no update-grub, for
// real: all is as before, and the words say what it was.
func TestEnableRestores(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"full":             {fill, "error: everything is as before: back up /boot/grub/grub.cfg: no space left on device\n"},
		"read-only":        {seal, "error: everything is as before: make folder /var: read-only file system\n"},
		"no update-grub":   {func(*testing.T, string) {}, "error: everything is as before: run update-grub: not installed or not in PATH: no data\n"},
		"another is there": {hold, "error: another xtm is at work on this machine\nhint: let it end, then run this again\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
				needs.Unmet(t, "a file system could not be mounted: %v", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			unpack(t, "enable-host", dir)
			root := filepath.Join(dir, "dom0")
			settings := filepath.Join(root, "etc/default/grub")
			before, err := os.ReadFile(settings)
			if err != nil {
				t.Fatal(err)
			}
			tc.prepare(t, dir)

			var out, errs bytes.Buffer
			code := cli.Run(t.Context(), cli.Env{
				Args: []string{"xtm", "enable-tmem", "--yes", "--guests-trusted"}, Stdout: &out, Stderr: &errs, Root: true,
				Files: hostfs.Root(root), Now: time.Now,
				Run: runtest.New(time.Now()).Lacks("update-grub", "xl", "xentop", "xenstore-ls", "xenstore").Run,
			})
			if code != 1 || !strings.HasSuffix(errs.String(), tc.want) {
				t.Errorf("exit %d\n%s", code, &errs)
			}
			after, err := os.ReadFile(settings)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("%s, %v", after, err)
			}
		})
	}
}

// unpack writes the files of a script, and makes its programs run.
func unpack(t *testing.T, script, dir string) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/script/" + script + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := txtar.Write(archive, dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "bin/") {
			program(t, filepath.Join(dir, f.Name), f.Data)
		}
	}
}

func program(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
}

// fill leaves no room on the disk.
func fill(t *testing.T, dir string) {
	t.Helper()
	err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

func seal(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// hold does as a run does that has not ended.
func hold(t *testing.T, dir string) {
	t.Helper()
	state := filepath.Join(dir, "dom0/var/lib/xtm")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(state, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}
