package setup

import (
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

// A child of this test binary enables or disables tmem in a root, and strace
// ends it with SIGKILL as it enters its first, second, … file-system call, or
// makes that call fail. The product has no hook for it.
const childEnv = "XTM_SETUP_CHILD"

// Calls are counted for each thread, and strace follows the first one alone, so
// that update-grub is left in peace.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	_, _ = os.Stat("/begin")
	err := work(os.Getenv(childEnv), machine(hostfs.Root(os.Args[1]), os.Args[2]))
	_, _ = os.Stat("/end")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var verbs = []string{"enable", "disable", "enable-guest", "disable-guest", "enable-sysv", "disable-sysv"}

// work is what the commands do, without their questions.
func work(verb string, m Machine) error {
	ctx := context.Background()
	m.Now = time.Now
	if err := Recover(ctx, m); err != nil {
		return err
	}
	var plan Plan
	var err error
	switch verb {
	case "enable":
		var h Host
		if h, err = ProbeHost(ctx, m); err == nil {
			plan, err = PlanHost(h, HostOptions{})
		}
	case "enable-guest", "enable-sysv":
		var g GuestMachine
		if g, err = ProbeGuest(m); err == nil {
			plan, err = PlanGuest(g, GuestOptions{CreateSwap: true, SwapSize: 4, Program: "/usr/bin/xtm"})
		}
	case "disable":
		plan, err = PlanDisable(m, "host")
	case "disable-guest", "disable-sysv":
		plan, err = PlanDisable(m, "guest")
	}
	if err != nil {
		return err
	}
	if plan.Done() {
		return plan.CleanUp(m)
	}
	_, err = Apply(ctx, m, plan)
	return err
}

const fileCalls = "openat,mkdirat,chmod,fchmod,fchmodat,fchown,flistxattr,fgetxattr,fsetxattr,flock,write,fsync,renameat,renameat2,unlinkat"

// A call in strace's log, of its only thread.
//
//	renameat(AT_FDCWD, "/r/etc/.xtm-tmp-1/.grub2", AT_FDCWD, "/r/etc/grub") = 0
var callLine = regexp.MustCompile(`^([a-z0-9]+)\((.*)`)

type point struct {
	call string
	n    int
	line string
}

// trace runs a child under strace with these options and returns the log.
func trace(t *testing.T, root hostfs.Root, bin, verb string, options ...string) (log string, stderr []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "strace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := run.Cmd{
		Name: "strace",
		Args: append(append([]string{"-o", out, "-e", "trace=newfstatat," + fileCalls}, options...), exe, string(root), bin),
		Env:  []string{childEnv + "=" + verb},
	}
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

// points lists the calls between begin and end that have to do with the root.
func points(t *testing.T, root hostfs.Root, bin, verb string) []point {
	t.Helper()
	log, stderr := trace(t, root, bin, verb)
	if len(stderr) > 0 {
		t.Fatalf("%s: %s", verb, stderr)
	}
	count := map[string]int{}
	var found []point
	begun, ended := false, false
	for line := range strings.Lines(log) {
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		count[m[1]]++
		switch {
		case strings.Contains(m[2], `"/begin"`):
			begun = true
		case strings.Contains(m[2], `"/end"`):
			ended = true
		case begun && !ended && m[1] != "newfstatat" && !strings.Contains(m[2], "O_RDONLY|O_CLOEXEC) ="):
			found = append(found, point{m[1], count[m[1]], strings.TrimSpace(line)})
		}
	}
	if !ended {
		t.Fatalf("%s did not end:\n%s", verb, log)
	}
	return found
}

// some is every 24th point; all of them where XTM_TEST_NIGHTLY is set.
func some(all []point) []point {
	if os.Getenv("XTM_TEST_NIGHTLY") == "1" {
		return all
	}
	var out []point
	for i := 0; i < len(all); i += 24 {
		out = append(out, all[i])
	}
	return out
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := run.New(os.Environ())(t.Context(), run.Cmd{Name: "strace", Args: []string{"-o", os.DevNull, "true"}}); err != nil {
		needs.Unmet(t, "strace is needed (package strace): %v", err)
	}
}

// states are the files before and after a verb.
type states struct{ before, after map[string]string }

// stage is a root in which a verb is to be done.
func stage(t *testing.T, bin, verb string) hostfs.Root {
	t.Helper()
	files := hostFiles()
	switch _, of, _ := strings.Cut(verb, "-"); of {
	case "guest":
		files = guestFiles()
	case "sysv":
		files = sysvFiles()
	}
	root := tree(t, files)
	m := machine(root, bin)
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(verb, "disable") {
		if err := work(opposite(verb), m); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func bothStates(t *testing.T, bin, verb string) states {
	t.Helper()
	root := stage(t, bin, verb)
	s := states{before: live(t, root)}
	if err := work(verb, machine(root, bin)); err != nil {
		t.Fatal(err)
	}
	s.after = live(t, root)
	if cmp.Equal(s.before, s.after) {
		t.Fatalf("%s changes nothing", verb)
	}
	return s
}

// oldOrNew checks each file by itself: two files are never replaced at once.
func oldOrNew(t *testing.T, root hostfs.Root, s states, when string) {
	t.Helper()
	for path, text := range live(t, root) {
		// A swap file is written in place, and no file names it before it is whole.
		if text != s.before[path] && text != s.after[path] && path != swapPath {
			t.Errorf("%s: %s is neither old nor new: %q", when, path, text)
		}
	}
}

func TestKilledAtEveryStep(t *testing.T) {
	needStrace(t)
	bin := programs(t)
	killed := 0
	for _, verb := range verbs {
		t.Run(verb, func(t *testing.T) {
			s := bothStates(t, bin, verb)
			for i, p := range some(points(t, stage(t, bin, verb), bin, verb)) {
				root := stage(t, bin, verb)
				log, _ := trace(t, root, bin, verb, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.call, p.n))
				if !strings.Contains(log, "killed by SIGKILL") {
					continue // the runtime had fewer calls of its own this time
				}
				killed++
				when := "killed at " + p.line
				oldOrNew(t, root, s, when)
				// The next run finishes it, or the opposite undoes it.
				next, want := verb, s.after
				if i%2 == 1 {
					next, want = opposite(verb), s.before
				}
				if err := work(next, machine(root, bin)); err != nil {
					t.Errorf("%s, then %s: %v", when, next, err)
				}
				if diff := cmp.Diff(want, live(t, root)); diff != "" {
					t.Errorf("%s, then %s: %s", when, next, diff)
				}
				noLeftovers(t, root, when)
			}
		})
	}
	t.Logf("killed at %d points", killed)
	if killed < 30 {
		t.Errorf("only %d points", killed)
	}
}

func opposite(verb string) string {
	if rest, ok := strings.CutPrefix(verb, "enable"); ok {
		return "disable" + rest
	}
	return "enable" + strings.TrimPrefix(verb, "disable")
}

func noLeftovers(t *testing.T, root hostfs.Root, when string) {
	t.Helper()
	rec, err := readRecord(root)
	if err != nil || rec.Pending != nil {
		t.Errorf("%s: the record is left open: %+v, %v", when, rec, err)
	}
	err = filepath.WalkDir(string(root), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".xtm-tmp-") {
			t.Errorf("%s: left behind: %s", when, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFailureAtEveryStep makes each call fail with a full or read-only disk or
// an error of it.
func TestFailureAtEveryStep(t *testing.T) {
	needStrace(t)
	bin := programs(t)
	tried := 0
	for _, verb := range verbs {
		s := bothStates(t, bin, verb)
		for i, p := range some(points(t, stage(t, bin, verb), bin, verb)) {
			errno := []string{"ENOSPC", "EROFS", "EIO"}[i%3]
			root := stage(t, bin, verb)
			log, stderr := trace(t, root, bin, verb, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", p.call, errno, p.n))
			if !strings.Contains(log, "(INJECTED)") {
				continue
			}
			tried++
			if strings.Contains(string(stderr), "fatal error: runtime:") {
				oldOrNew(t, root, s, p.line) // it was the runtime's own call
				continue
			}
			want := s.before
			if len(stderr) == 0 {
				want = s.after // the removal of a temporary folder may fail
			}
			got := live(t, root)
			if strings.Contains(string(stderr), ErrNotRestored.Error()) {
				delete(got, swapPath) // it goes last, when the rest is done
			}
			if strings.HasPrefix(verb, "disable-") && cmp.Equal(s.after, got) {
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s at %s, with %q: %s", verb, errno, p.line, stderr, diff)
			}
		}
	}
	t.Logf("failed at %d points", tried)
	if tried < 30 {
		t.Errorf("only %d points", tried)
	}
}
