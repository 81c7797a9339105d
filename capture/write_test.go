package capture

import (
	"context"
	"errors"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"xtm/internal/run"
)

// big is a capture that takes some time to write.
func big() *Capture {
	c := small()
	r := rand.New(rand.NewSource(1))
	for i := range 40 {
		b := make([]byte, 20<<10)
		r.Read(b)
		c.looks[look{"/big/" + strconv.Itoa(i), wayRead}] = answer{data: b}
	}
	return c
}

// TestMain is also the child that TestKilledWhileWriting kills.
func TestMain(m *testing.M) {
	if name := os.Getenv("XTM_TEST_WRITE"); name != "" {
		if err := big().Write(name); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Killed at any moment, the writer leaves a whole capture or none.
func TestKilledWhileWriting(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"dir", "file.tar.gz"} {
		whole, none := 0, 0
		// The steps are finer while nothing has been written yet.
		for wait := 2 * time.Millisecond; whole == 0; wait += wait / 2 {
			dir := t.TempDir()
			name := filepath.Join(dir, base)
			_, err := run.New(os.Environ())(t.Context(), run.Cmd{Name: self, Env: []string{"XTM_TEST_WRITE=" + name}, Timeout: wait})
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range left {
				c, err := Open(filepath.Join(dir, d.Name()))
				switch {
				case d.Name() == base && err == nil:
					whole++
					if diff := Diff(big(), c); diff != "" {
						t.Fatal(diff)
					}
				case d.Name() == base:
					t.Errorf("after %v: %v", wait, err)
				case !strings.HasPrefix(d.Name(), "."+base+".partial-"):
					t.Errorf("after %v: left %s", wait, d.Name())
				default:
					none++
				}
			}
		}
		t.Logf("%s: %d whole, %d left unfinished", base, whole, none)
	}
}

func TestWriteTakesNoName(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []string{"there", "there.tar.gz", "link"} {
		name := filepath.Join(dir, base)
		if base == "link" {
			if err := os.Symlink("nowhere", name); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := small().Write(name); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", base, err)
		}
		// The name came after the first look.
		if err := publish(filepath.Join(dir, "there"), name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("publish %s: %v", base, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "there.tar.gz")); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	if err := small().Write(filepath.Join(dir, "no", "folder")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// A capture that cannot be written leaves nothing behind. Here a file stands
// where a folder must be.
func TestWriteFails(t *testing.T) {
	c := small()
	c.looks[look{"/proc/xen/capabilities/x", wayRead}] = answer{data: []byte("y")}
	dir := t.TempDir()
	if err := c.Write(filepath.Join(dir, "c")); err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// Nobody but the owner may read a capture, and the same one gives the same
// bytes.
func TestWrittenBytes(t *testing.T) {
	dir := t.TempDir()
	var written [][]byte
	for _, d := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, d, "c.tar.gz")
		if err := small().Write(name); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, b)
	}
	if !slices.Equal(written[0], written[1]) {
		t.Error("two packed files of one capture differ")
	}
	if err := small().Write(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
