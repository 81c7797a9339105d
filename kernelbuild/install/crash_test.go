package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xtm/internal/cause"
	"xtm/internal/crashtest"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
)

// A child of this test binary installs, confirms or removes a kernel in a root:
// its arguments are the root, the folder of programs, where dpkg is to kill it
// ("" is nowhere) and the packages.
func TestMain(m *testing.M) {
	crashtest.Main(m, func(verb string, args []string) error {
		return work(context.Background(), fakeMachine(hostfs.Root(args[0]), args[1], args[2]), verb, args[3:])
	})
}

// work is what a command does, without its questions.
func work(ctx context.Context, m Machine, verb string, debs []string) error {
	switch verb {
	case "install":
		_, _, err := installAll(ctx, m, debs, Options{BootOnce: true})
		return err
	case "confirm":
		return confirmIt(ctx, m)
	case "remove":
		err := removeOne(ctx, m, newRelease)
		if r, ok := errors.AsType[*cause.RefusalError](err); ok && strings.Contains(r.Seen, "did not install") {
			return nil // it had gone before it was killed
		}
		return err
	}
	return errors.New("no such verb")
}

// stage is a machine in which a verb is to be done, and how to make more of it.
type stage struct {
	verb     string
	starter  Starter
	bin      string
	debs     []string
	root     hostfs.Root
	before   map[string]string
	after    map[string]string
	mayStart []string // what may boot by default at any moment
	undoes   bool
}

func newStage(t *testing.T, starter Starter, verb, bin string, debs []string) *stage {
	t.Helper()
	s := &stage{verb: verb, starter: starter, bin: bin, debs: debs, root: fakeRoot(t, starter), mayStart: []string{oldRelease}, undoes: verb != "remove"}
	m := fakeMachine(s.root, bin, "")
	if err := m.must(t.Context(), "update-grub"); err != nil {
		t.Fatal(err)
	}
	if verb != "install" {
		s.mayStart = append(s.mayStart, newRelease)
		s.do(t, m, "install")
		runsRelease(t, s.root, newRelease)
		if starter == ByGRUB { // which takes it away when it has read it
			if err := m.must(t.Context(), "grub-editenv", "/boot/grub/grubenv", "unset", "next_entry"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if verb == "remove" {
		s.do(t, m, "confirm")
		runsRelease(t, s.root, oldRelease)
	}
	s.before = live(t, s.root)
	done := s.copy(t)
	s.do(t, fakeMachine(done, bin, ""), verb)
	s.after = live(t, done)
	if cmp.Equal(s.before, s.after) {
		t.Fatalf("%s changes nothing", verb)
	}
	return s
}

func (s *stage) do(t *testing.T, m Machine, verb string) {
	t.Helper()
	if err := work(t.Context(), m, verb, s.debs); err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
}

// copy is another machine of the same state.
func (s *stage) copy(t *testing.T) hostfs.Root {
	t.Helper()
	to := filepath.Join(t.TempDir(), "root")
	c := run.Cmd{Name: "cp", Args: []string{"-a", string(s.root), to}}
	if _, err := run.New(os.Environ()).Checked(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return hostfs.Root(to)
}

// args are those of a child that works in a copy.
func (s *stage) args(root hostfs.Root, killAt string) []string {
	return append([]string{string(root), s.bin, killAt}, s.debs...)
}

// some is every fifth point of the verb.
func (s *stage) some(t *testing.T) []crashtest.Point {
	t.Helper()
	return crashtest.Some(crashtest.Points(t, s.verb, s.args(s.copy(t), "")), 5)
}

// boots makes sure that a machine boots what it should by default, and that this
// is there.
func (s *stage) boots(t *testing.T, root hostfs.Root, when string) {
	t.Helper()
	m := fakeMachine(root, s.bin, "")
	b, err := m.probeBoot(s.starter)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	e, err := b.usual()
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	found, err := root.Exists("/boot/vmlinuz-" + linux(e))
	if err != nil || !found || !slices.Contains(s.mayStart, linux(e)) {
		t.Errorf("%s: %s would boot by default (it is there: %v), not one of %v", when, linux(e), found, s.mayStart)
	}
}

// mends lets the next run put a killed one right: every other time it does the
// same again, else it only recovers.
func (s *stage) mends(t *testing.T, root hostfs.Root, again bool, when string) {
	t.Helper()
	m := fakeMachine(root, s.bin, "")
	s.boots(t, root, when)
	_, killed, err := Killed(root)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	want, what := s.after, s.verb
	if again {
		err = work(t.Context(), m, s.verb, s.debs)
	} else {
		what = "recover"
		_, err = Recover(t.Context(), m)
		if s.undoes || !killed && cmp.Equal(s.before, live(t, root)) {
			want = s.before
		}
		if !killed && cmp.Equal(s.after, live(t, root)) {
			want = s.after // it was killed behind its last step
		}
	}
	if err != nil {
		t.Errorf("%s, then %s: %v", when, what, err)
	}
	if diff := cmp.Diff(want, live(t, root)); diff != "" {
		t.Errorf("%s, then %s: %s", when, what, diff)
	}
	s.boots(t, root, when+", then "+what)
}

// stages are each verb for each starter that has a menu.
func stages(t *testing.T) []*stage {
	t.Helper()
	needs.Program(t, "dpkg-deb")
	bin, debs := programs(t), build(t, newRelease, "1", kernelConfig)
	var out []*stage
	for _, starter := range []Starter{ByGRUB, ByPygrub} {
		for _, verb := range []string{"install", "confirm", "remove"} {
			out = append(out, newStage(t, starter, verb, bin, debs))
		}
	}
	return out
}

func TestKilledAtEveryStep(t *testing.T) {
	killed := 0
	for _, s := range stages(t) {
		for i, p := range s.some(t) {
			root := s.copy(t)
			log, _ := crashtest.Trace(t, s.verb, s.args(root, ""), p.Kill())
			if !crashtest.Killed(log) {
				continue // the runtime had fewer calls of its own this time
			}
			killed++
			s.mends(t, root, i%2 == 0, fmt.Sprintf("%s %s killed at %s", s.starter, s.verb, p.Line))
			noLeftovers(t, root)
		}
	}
	t.Logf("killed at %d points", killed)
	if killed < 30 {
		t.Errorf("only %d points", killed)
	}
}

// TestKilledWithDpkg kills xtm and dpkg where dpkg has half done its work.
func TestKilledWithDpkg(t *testing.T) {
	for _, s := range stages(t) {
		at := map[string][]string{"install": {"unpack", "unpacked", "configure"}, "remove": {"purge", "purged"}}[s.verb]
		for _, kill := range at {
			for _, again := range []bool{true, false} {
				root := s.copy(t)
				crashtest.Child(t, s.verb, s.args(root, kill))
				if _, killed, err := Killed(root); err != nil || !killed {
					t.Fatalf("%s at %s: it was not killed: %v", s.verb, kill, err)
				}
				if s.verb == "remove" {
					s.mayStart = []string{oldRelease}
				}
				s.mends(t, root, again, fmt.Sprintf("%s %s, dpkg killed at %s", s.starter, s.verb, kill))
			}
		}
	}
}

// TestInterrupted: dpkg comes to its end, and then all is taken back.
func TestInterrupted(t *testing.T) {
	s := stages(t)[0]
	ctx, cancel := context.WithCancel(t.Context())
	m := fakeMachine(s.root, s.bin, "")
	start := m.Run
	m.Run = func(ctx context.Context, c run.Cmd) (run.Result, error) {
		if c.Name == "dpkg" {
			cancel()
		}
		return start(ctx, c)
	}
	if err := work(ctx, m, s.verb, s.debs); !errors.Is(err, context.Canceled) || !IsRestored(err) {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(s.before, live(t, s.root)); diff != "" {
		t.Error(diff)
	}
}

// TestFailureAtEveryStep makes each call fail with a full or read-only disk or
// an error of it: what was begun is undone or, with a removal, can be finished.
func TestFailureAtEveryStep(t *testing.T) {
	tried := 0
	for _, s := range stages(t) {
		for i, p := range s.some(t) {
			errno := []string{"ENOSPC", "EROFS", "EIO"}[i%3]
			root := s.copy(t)
			log, stderr := crashtest.Trace(t, s.verb, s.args(root, ""), p.Fail(errno))
			if !crashtest.Failed(log) || strings.Contains(string(stderr), "fatal error: runtime:") {
				continue
			}
			tried++
			when := fmt.Sprintf("%s %s: %s at %s, with %q", s.starter, s.verb, errno, p.Line, stderr)
			s.boots(t, root, when)
			want := s.before
			if len(stderr) == 0 {
				want = s.after // the removal of a temporary folder may fail
			}
			_, open, err := Killed(root)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if s.verb == "remove" && !open && len(stderr) > 0 && cmp.Equal(s.after, live(t, root)) {
				want = s.after // all had gone before the record of it
			}
			if open {
				s.mends(t, root, true, when)
			} else if diff := cmp.Diff(want, live(t, root)); diff != "" {
				t.Errorf("%s: %s", when, diff)
			}
		}
	}
	t.Logf("failed at %d points", tried)
	if tried < 30 {
		t.Errorf("only %d points", tried)
	}
}

func noLeftovers(t *testing.T, root hostfs.Root) {
	t.Helper()
	for _, dir := range []string{"/etc/default", "/etc/default/grub.d", "/etc/grub.d", stateFolder} {
		names, err := root.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, n := range names {
			if strings.HasPrefix(n, ".xtm-tmp-") {
				t.Errorf("left behind: %s/%s", dir, n)
			}
		}
	}
}
