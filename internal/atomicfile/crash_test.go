package atomicfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
)

// A child of this test binary does one step of an edit, and strace ends it
// with SIGKILL as it enters its first, second, … file-system call, or makes that
// call fail. The product has no hook for it.

const childEnv = "XTM_ATOMICFILE_CHILD"

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
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	// Calls are counted for each thread.
	runtime.LockOSThread()
	for _, s := range steps {
		if s.name == name {
			_, _ = os.Stat("/begin")
			err := s.do(hostfs.Root(os.Args[1]))
			_, _ = os.Stat("/end")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(0)
}

// fileCalls are the calls that change files or are given one; a process that is
// killed between two others leaves the same behind.
const fileCalls = "openat,mkdirat,chmod,fchmod,fchmodat,fchown,flistxattr,fgetxattr,fsetxattr,flock,write,fsync,renameat,renameat2,unlinkat"

// A call in strace's log: process, name, arguments.
//
//	4242 renameat(AT_FDCWD, "/r/etc/.xtm-tmp-1/.grub2", AT_FDCWD, "/r/etc/grub") = 0
var callLine = regexp.MustCompile(`^(\d+) +([a-z0-9]+)\((.*)`)

// point is one call of a step: the nth of its name in its thread.
type point struct {
	call string
	n    int
	line string
}

// trace runs a child under strace with these options and returns the log.
func trace(t *testing.T, root hostfs.Root, step string, options ...string) (log string, stderr []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "strace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := run.Cmd{
		Name: "strace",
		Args: append(append([]string{"-f", "-o", out, "-e", "trace=newfstatat," + fileCalls}, options...), exe, string(root)),
		Env:  []string{childEnv + "=" + step},
	}
	// A strace whose program was killed ends itself in the same way.
	r, err := run.New(os.Environ())(t.Context(), c)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v: %s", err, r.Stderr)
	}
	return string(b), r.Stderr
}

// points lists the calls of a step, from a run in which nothing is injected.
func points(t *testing.T, step string, files map[string]string) []point {
	t.Helper()
	log, stderr := trace(t, tree(t, files), step)
	thread := ""
	count := map[string]int{}
	var found []point
	begun, ended := false, false
	for line := range strings.Lines(log) {
		if m := callLine.FindStringSubmatch(line); m != nil && strings.Contains(m[3], `"/begin"`) {
			thread = m[1]
		}
	}
	for line := range strings.Lines(log) {
		m := callLine.FindStringSubmatch(line)
		if m == nil || m[1] != thread {
			continue
		}
		count[m[2]]++
		switch {
		case strings.Contains(m[3], `"/begin"`):
			begun = true
		case strings.Contains(m[3], `"/end"`):
			ended = true
		case begun && !ended && m[2] != "newfstatat":
			found = append(found, point{m[2], count[m[2]], strings.TrimSpace(line)})
		}
	}
	if !ended {
		t.Fatalf("no such step in the log:\n%s%s", log, stderr)
	}
	return found
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := run.New(os.Environ())(t.Context(), run.Cmd{Name: "strace", Args: []string{"-o", os.DevNull, "true"}}); err != nil {
		needs.Unmet(t, "strace is needed (package strace): %v", err)
	}
}

func TestKilledAtEveryStepLeavesOldOrNew(t *testing.T) {
	needStrace(t)
	killed := 0
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			for _, p := range points(t, s.name, s.before) {
				root := tree(t, s.before)
				log, _ := trace(t, root, s.name, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.call, p.n))
				if !strings.Contains(log, "killed by SIGKILL") {
					t.Fatalf("%s was not killed at %s", s.name, p.line)
				}
				killed++
				oldOrNew(t, root, s.before, s.after, "killed at "+p.line)
				// The next run finishes what this one began.
				if err := s.do(root); err != nil && !afterAll(err) {
					t.Errorf("killed at %s, then: %v", p.line, err)
				}
				if diff := cmp.Diff(s.after, outsideBackup(t, root)); diff != "" {
					t.Errorf("killed at %s, then run again: %s", p.line, diff)
				}
				if err := Clean(root, BackupFolder+"/f"); err != nil {
					t.Error(err)
				}
				noStage(t, root, p.line)
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
	needStrace(t)
	tried := 0
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			for i, p := range points(t, s.name, s.before) {
				errno := []string{"ENOSPC", "EROFS", "EACCES", "EIO"}[i%4]
				root := tree(t, s.before)
				log, stderr := trace(t, root, s.name, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", p.call, errno, p.n))
				if !strings.Contains(log, "(INJECTED)") {
					t.Fatalf("%s did not fail at %s", s.name, p.line)
				}
				tried++
				at := errno + " at " + p.line
				oldOrNew(t, root, s.before, s.after, at)
				if len(stderr) > 0 && !bytes.Contains(stderr, []byte("/etc/default/grub")) {
					t.Errorf("%s: the error does not name the path: %s", at, stderr)
				}
				removing := p.call == "unlinkat" && s.name != "remove"
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
