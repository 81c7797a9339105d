package grub

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xtm/internal/hostfs"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the outcomes in testdata/hostile")

const xenDefault = "GRUB_CMDLINE_XEN_DEFAULT"

// hostile makes a root of a folder in testdata/hostile, with the part of a
// grub-mkconfig that tells whether it reads drop-ins.
func hostile(t *testing.T, dir string) (root hostfs.Root, dropIns bool) {
	t.Helper()
	root = copyTree(t, dir)
	_, err := os.Stat(filepath.Join(dir, "no-drop-ins"))
	dropIns = errors.Is(err, os.ErrNotExist)
	script := ". ${sysconfdir}/default/grub\n"
	if dropIns {
		script += "for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n"
	}
	sbin := filepath.Join(string(root), "usr/sbin")
	if err := os.MkdirAll(sbin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sbin, "grub-mkconfig"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return root, dropIns
}

// TestHostile adds tmem to each set of files in testdata/hostile. The outcome
// is in the file want: a diff, "no change" or an error. Each edit is compared
// with what real shells make of the old and the new files, done again, and taken
// back.
func TestHostile(t *testing.T) {
	t.Parallel()
	needShells(t)
	dirs, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) < 40 {
		t.Fatalf("only %d cases", len(dirs))
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			root, dropIns := hostile(t, dir)
			got := outcome(t, root, dropIns)
			golden := filepath.Join(dir, "want")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func outcome(t *testing.T, root hostfs.Root, dropIns bool) string {
	t.Helper()
	before, err := Load(root)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	after, err := before.AddWord(xenDefault, "tmem")
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	if len(after.Changes()) == 0 {
		return "no change\n"
	}
	edited := copyTree(t, string(root))
	write(t, edited, after.Changes())
	if err := agrees(t, root, edited, dropIns, xenDefault, "tmem"); err != nil {
		t.Error(err)
	}
	again, err := Load(edited)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.AddWord(xenDefault, "tmem")
	if err != nil || len(second.Changes()) != 0 {
		t.Errorf("a second time: %v, %s", err, second.Diff())
	}
	undone, err := again.RemoveWord(xenDefault, "tmem")
	if err != nil {
		t.Fatalf("take it back: %v", err)
	}
	write(t, edited, undone.Changes())
	if diff := cmp.Diff(settings(t, root), settings(t, edited)); diff != "" {
		t.Errorf("taken back, the files differ: %s", diff)
	}
	return after.Diff()
}

// settings are the files below /etc/default, byte for byte.
func settings(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	files := map[string]string{}
	top := filepath.Join(string(root), "etc/default")
	for _, pattern := range []string{top + "/*", top + "/grub.d/*", top + "/grub.d/.*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				continue // a folder
			}
			files[strings.TrimPrefix(n, top)] = string(b)
		}
	}
	return files
}
