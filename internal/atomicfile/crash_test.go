package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/crashtest"
	"xtm/internal/hostfs"

	"github.com/google/go-cmp/cmp"
)

// steps are what an edit is made of. before and after are the files outside
// /var/lib/xtm/backup.
var steps = []struct {
	name          string
	do            func(root hostfs.Root) error
	before, after map[string]string
}{
	{
		"replace", func(r hostfs.Root) error { return Replace(r, "/etc/default/grub", []byte("new"), 0o644) },
		map[string]string{"etc/default/grub": "old"},
		map[string]string{"etc/default/grub": "new"},
	},
	{
		"replace-through-a-link", func(r hostfs.Root) error { return Replace(r, "/etc/default/grub", []byte("new"), 0o644) },
		map[string]string{"etc/default/grub": "-> /srv/grub", "srv/grub": "old"},
		map[string]string{"etc/default/grub": "-> /srv/grub", "srv/grub": "new"},
	},
	{
		"create", func(r hostfs.Root) error { return Replace(r, "/etc/default/grub.d/xtm.cfg", []byte("new"), 0o644) },
		map[string]string{"etc/default/grub.d/": ""},
		map[string]string{"etc/default/grub.d/xtm.cfg": "new"},
	},
	{
		"remove", func(r hostfs.Root) error { return Remove(r, "/etc/default/grub.d/xtm.cfg") },
		map[string]string{"etc/default/grub.d/xtm.cfg": "old"},
		map[string]string{"etc/default/grub.d/": ""},
	},
	{
		"backup", func(r hostfs.Root) error {
			_, err := Backup(r, time.Unix(1, 0), "/etc/default/grub")
			return err
		},
		map[string]string{"etc/default/grub": "old"},
		map[string]string{"etc/default/grub": "old"},
	},
}

func TestMain(m *testing.M) {
	crashtest.Main(m, func(verb string, args []string) error {
		for _, s := range steps {
			if s.name == verb {
				return s.do(hostfs.Root(args[0]))
			}
		}
		return errors.New("no such step")
	})
}

func TestKilledAtEveryStepLeavesOldOrNew(t *testing.T) {
	killed := 0
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			for _, p := range crashtest.Points(t, s.name, []string{string(tree(t, s.before))}) {
				root := tree(t, s.before)
				log, _ := crashtest.Trace(t, s.name, []string{string(root)}, p.Kill())
				if !crashtest.Killed(log) {
					t.Fatalf("%s was not killed at %s", s.name, p.Line)
				}
				killed++
				oldOrNew(t, root, s.before, s.after, "killed at "+p.Line)
				// The next run finishes what this one began.
				if err := s.do(root); err != nil && !afterAll(err) {
					t.Errorf("killed at %s, then: %v", p.Line, err)
				}
				if diff := cmp.Diff(s.after, outsideBackup(t, root)); diff != "" {
					t.Errorf("killed at %s, then run again: %s", p.Line, diff)
				}
				if err := Clean(root, BackupFolder+"/f"); err != nil {
					t.Error(err)
				}
				noStage(t, root, p.Line)
			}
		})
	}
	t.Logf("killed at %d points", killed)
	if killed < 30 {
		t.Errorf("only %d points", killed)
	}
}

// afterAll means that the killed run had done it already.
func afterAll(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)
}

func TestFailureAtEveryStepLeavesOldOrNew(t *testing.T) {
	tried := 0
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			for i, p := range crashtest.Points(t, s.name, []string{string(tree(t, s.before))}) {
				errno := []string{"ENOSPC", "EROFS", "EACCES", "EIO"}[i%4]
				root := tree(t, s.before)
				log, stderr := crashtest.Trace(t, s.name, []string{string(root)}, p.Fail(errno))
				if !crashtest.Failed(log) {
					t.Fatalf("%s did not fail at %s", s.name, p.Line)
				}
				tried++
				at := errno + " at " + p.Line
				oldOrNew(t, root, s.before, s.after, at)
				if len(stderr) > 0 && !bytes.Contains(stderr, []byte("/etc/default/grub")) {
					t.Errorf("%s: the error does not name the path: %s", at, stderr)
				}
				removing := p.Call == "unlinkat" && s.name != "remove"
				if len(stderr) == 0 && !removing {
					t.Errorf("%s: no error", at)
				}
				if !removing {
					noStage(t, root, at)
				}
			}
		})
	}
	t.Logf("failed at %d points", tried)
}

func oldOrNew(t *testing.T, root hostfs.Root, before, after map[string]string, when string) {
	t.Helper()
	got := outsideBackup(t, root)
	if !cmp.Equal(got, before) && !cmp.Equal(got, after) {
		t.Errorf("%s: neither old nor new: %v", when, got)
	}
}

// outsideBackup is what is neither a stage nor a backup. A file in a backup
// folder is whole wherever it is seen.
func outsideBackup(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	got := map[string]string{}
	for path, text := range contents(t, string(root)) {
		dir, _, isStage := strings.Cut(path, stagePrefix)
		switch {
		case strings.HasPrefix(path, "var/"):
			if !isStage && !strings.HasSuffix(path, "/") && text != "old" {
				t.Errorf("backup %s holds %q", path, text)
			}
		case isStage:
			// A folder that holds nothing else counts as empty.
			if only(t, filepath.Join(string(root), dir)) {
				got[dir] = ""
			}
		default:
			got[path] = text
		}
	}
	return got
}

// only tells whether a folder holds nothing but stages.
func only(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), stagePrefix) {
			return false
		}
	}
	return true
}

func noStage(t *testing.T, root hostfs.Root, when string) {
	t.Helper()
	for path := range contents(t, string(root)) {
		if strings.Contains(path, stagePrefix) {
			t.Errorf("%s: left behind: %s", when, path)
		}
	}
}
