package setup

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/crashtest"
	"xtm/internal/hostfs"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	crashtest.Main(m, func(verb string, args []string) error {
		return work(verb, machine(hostfs.Root(args[0]), args[1]))
	})
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

// some is every 24th point of a verb.
func some(t *testing.T, bin, verb string) []crashtest.Point {
	t.Helper()
	return crashtest.Some(crashtest.Points(t, verb, []string{string(stage(t, bin, verb)), bin}), 24)
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
	bin := programs(t)
	killed := 0
	for _, verb := range verbs {
		t.Run(verb, func(t *testing.T) {
			s := bothStates(t, bin, verb)
			for i, p := range some(t, bin, verb) {
				root := stage(t, bin, verb)
				log, _ := crashtest.Trace(t, verb, []string{string(root), bin}, p.Kill())
				if !crashtest.Killed(log) {
					continue // the runtime had fewer calls of its own this time
				}
				killed++
				when := "killed at " + p.Line
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
	bin := programs(t)
	tried := 0
	for _, verb := range verbs {
		s := bothStates(t, bin, verb)
		for i, p := range some(t, bin, verb) {
			errno := []string{"ENOSPC", "EROFS", "EIO"}[i%3]
			root := stage(t, bin, verb)
			log, stderr := crashtest.Trace(t, verb, []string{string(root), bin}, p.Fail(errno))
			if !crashtest.Failed(log) {
				continue
			}
			tried++
			if strings.Contains(string(stderr), "fatal error: runtime:") {
				oldOrNew(t, root, s, p.Line) // it was the runtime's own call
				continue
			}
			want := s.before
			if len(stderr) == 0 {
				want = s.after // the removal of a temporary folder may fail
			}
			got := live(t, root)
			if strings.Contains(string(stderr), cause.ErrNotRestored.Error()) {
				delete(got, swapPath) // it goes last, when the rest is done
			}
			if strings.HasPrefix(verb, "disable-") && cmp.Equal(s.after, got) {
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s at %s, with %q: %s", verb, errno, p.Line, stderr, diff)
			}
		}
	}
	t.Logf("failed at %d points", tried)
	if tried < 30 {
		t.Errorf("only %d points", tried)
	}
}
