package edit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xtm/internal/edit"
	"xtm/internal/hostfs"
)

const file = "/etc/default/grub.d/xtm.cfg"

var changes = []edit.Change{
	{Path: file, New: []byte("new\n")},
	{Path: "/etc/modules", Old: []byte("a\n"), New: []byte("a\ntmem\n")},
	{Path: "/etc/gone", Old: []byte("old\n")},
	{Path: "/etc/same", Old: []byte("x\n"), New: []byte("x\n")},
}

func machine(t *testing.T) hostfs.Root {
	t.Helper()
	root := t.TempDir()
	for _, c := range changes {
		if c.Old == nil {
			continue
		}
		p := filepath.Join(root, c.Path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, c.Old, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return hostfs.Root(root)
}

func TestDiff(t *testing.T) {
	got := edit.Diff(changes)
	for _, want := range []string{
		"--- /dev/null\n+++ " + file + "\n", "--- /etc/modules\n+++ /etc/modules\n", " a\n+tmem\n", "--- /etc/gone\n+++ /dev/null\n", "-old\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "same") {
		t.Errorf("a file that stays is in\n%s", got)
	}
}

func TestPutAndBack(t *testing.T) {
	root := machine(t)
	if err := edit.Unchanged(root, changes); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		for _, c := range changes {
			if err := c.Put(root, c.New); err != nil {
				t.Fatal(err)
			}
			if b, err := edit.Read(root, c.Path); err != nil || !edit.Same(b, c.New) {
				t.Errorf("%s: %q, %v", c.Path, b, err)
			}
		}
	}
	if fi, err := os.Stat(string(root) + file); err != nil || fi.Mode() != 0o644 {
		t.Errorf("%v, %v", fi, err)
	}
	if err := edit.Unchanged(root, changes); !errors.Is(err, edit.ErrChanged) || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	for _, c := range changes {
		if err := c.Put(root, c.Old); err != nil {
			t.Fatal(err)
		}
	}
	if err := edit.Unchanged(root, changes); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyFileIsOne(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	c := edit.Change{Path: "/empty", New: []byte{}, Mode: 0o755}
	if err := c.Put(root, c.New); err != nil {
		t.Fatal(err)
	}
	if b, err := edit.Read(root, "/empty"); b == nil || len(b) > 0 || err != nil {
		t.Errorf("%v, %v", b, err)
	}
	if fi, err := os.Stat(string(root) + "/empty"); err != nil || fi.Mode() != 0o755 {
		t.Errorf("%v, %v", fi, err)
	}
}
