package demo

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/capture/importtest"
)

var update = flag.Bool("update", false, "make the embedded moments anew from the recordings")

// The embedded moments are what the importer makes of the recordings, byte for
// byte.
func TestMomentsAreTheRecordings(t *testing.T) {
	for folder, phase := range map[string]string{"load": "xen-4.12/t1-load", "later": "xen-4.12/t3-late"} {
		dir := filepath.Join(t.TempDir(), folder)
		if err := importtest.Phase(t, phase).Write(dir); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.RemoveAll(folder); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(folder, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		sub, err := fs.Sub(moments, folder)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tree(t, os.DirFS(dir)), tree(t, sub)); diff != "" {
			t.Errorf("%s differs from %s; run go test ./capture/demo -update (-recording +embedded):\n%s", folder, phase, diff)
		}
	}
}

func tree(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, name)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOpen(t *testing.T) {
	first, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	later, err := Later()
	if err != nil {
		t.Fatal(err)
	}
	if !first.Meta.End.Before(later.Meta.Begin) {
		t.Errorf("the later moment begins at %v, before %v", later.Meta.Begin, first.Meta.End)
	}
	if want := "Xen 4.12.4, five guests under load, recorded 2026-11-22 under emulation"; first.Label() != want {
		t.Errorf("label %q, want %q", first.Label(), want)
	}
}
