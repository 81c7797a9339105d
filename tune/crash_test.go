package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// A child of this test binary freezes and thaws domains of a hypervisor that is
// a folder, and strace ends it with SIGKILL as it enters its first, second, …
// file-system call. The product has no hook for it.
const childEnv = "XTM_TUNE_CHILD"

// Calls are counted for each thread.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	_, _ = os.Stat("/begin")
	err := works[os.Getenv(childEnv)](hostfs.Root(os.Args[1]))
	_, _ = os.Stat("/end")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// folder is a hypervisor in which a domain is frozen when there is a file of its
// number.
type folder string

func (f folder) file(id units.DomID) string { return filepath.Join(string(f), strconv.Itoa(int(id))) }

func (f folder) Freeze(_ context.Context, id units.DomID) error {
	return os.WriteFile(f.file(id), nil, 0o600)
}

func (f folder) Thaw(_ context.Context, id units.DomID) error {
	if err := os.Remove(f.file(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (folder) SetWeight(context.Context, units.DomID, uint32) error { return cause.ErrNotSupported }
func (folder) SetCompress(context.Context, units.DomID, bool) error { return cause.ErrNotSupported }

func (f folder) Settings(_ context.Context, id units.DomID) (tmem.Settings, error) {
	_, err := os.Stat(f.file(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tmem.Settings{}, err
	}
	return tmem.Settings{Frozen: err == nil}, nil
}

func xenFolder(root hostfs.Root) folder { return folder(filepath.Join(string(root), "xen")) }

func folderKeeper(root hostfs.Root) Keeper {
	return Keeper{
		Host: Host{Source: xenFolder(root), Control: xenFolder(root), Flusher: xenFolder(root), Way: "hypercall"}, Root: root,
		Now: func() time.Time { return start }, Boot: "boot", Self: ProcessOf(hostfs.Host, os.Getpid()), Alive: Alive(hostfs.Host),
	}
}

var folderDomains = []Domain{{Ref: Ref{ID: 1, Name: "web1"}}, {Ref: Ref{ID: 2, Name: "db1"}}}

// works are what a child does.
var works = map[string]func(hostfs.Root) error{"freeze": freezeAndThaw, "room": makeRoom}

// Snapshot is a host without free memory until it was flushed.
func (f folder) Snapshot(context.Context) (xen.Snapshot, error) {
	s := xen.Snapshot{Host: xen.Host{Free: opt.Of[units.KiB](0), Freeable: opt.Of(units.MiB(100).KiB())}, TmemState: xen.TmemState{Answer: xen.TmemOn}}
	if _, err := os.Stat(string(f) + "/flushed"); err == nil {
		s.Host.Free = s.Host.Freeable
	}
	var l xen.Listing
	for _, d := range folderDomains {
		_, err := os.Stat(f.file(d.ID))
		s.Domains = append(s.Domains, xen.Domain{ID: opt.Of(d.ID), Name: d.Name})
		l.Clients = append(l.Clients, xen.TmemClient{ID: d.ID, Frozen: opt.Of(int64(flag(err == nil)))})
	}
	s.Tmem = opt.Of(l)
	return s, nil
}

func (folder) Freeable(context.Context) (units.MiB, error) { return 100, nil }

func (f folder) Flush(_ context.Context, size units.KiB) (units.KiB, error) {
	return size, os.WriteFile(string(f)+"/flushed", nil, 0o600)
}

// makeRoom makes room for a guest and starts it.
func makeRoom(root hostfs.Root) error {
	k := folderKeeper(root)
	seen, err := k.Look(context.Background(), nil)
	if err != nil {
		return err
	}
	room, err := seen.PlanRoom(64, nil, Toolstack{})
	if err != nil {
		return err
	}
	_, err = RoomRun{
		Keeper: k, Within: time.Minute, Say: func(string) {},
		Start: func(context.Context) error { return os.WriteFile(filepath.Join(string(root), "started"), nil, 0o600) },
	}.Make(context.Background(), seen, room)
	return err
}

// freezeAndThaw is what a run of tune freeze does.
func freezeAndThaw(root hostfs.Root) error {
	k := folderKeeper(root)
	var holds []Hold
	for _, d := range folderDomains {
		h, _, err := k.Freeze(context.Background(), d, start.Add(time.Minute), false)
		if err != nil {
			return err
		}
		holds = append(holds, h)
	}
	for _, h := range holds {
		if how, err := k.Release(context.Background(), h); how != Thawed || err != nil {
			return fmt.Errorf("%s: %s: %w", h.Domain, how, err)
		}
	}
	return nil
}

const fileCalls = "openat,mkdirat,chmod,fchmod,fchmodat,fchown,flistxattr,fgetxattr,fsetxattr,flock,write,fsync,renameat,renameat2,unlinkat"

// A call in strace's log: process, name, arguments.
var callLine = regexp.MustCompile(`^(\d+) +([a-z0-9]+)\((.*)`)

// point is one call of the child: the nth of its name in its thread.
type point struct {
	call string
	n    int
	line string
}

func trace(t *testing.T, work, root string, options ...string) (log string, stderr []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "strace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := run.New(os.Environ())(t.Context(), run.Cmd{
		Name: "strace",
		Args: append(append([]string{"-f", "-o", out, "-e", "trace=newfstatat," + fileCalls}, options...), exe, root),
		Env:  []string{childEnv + "=" + work},
	})
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v: %s", err, r.Stderr)
	}
	return string(b), r.Stderr
}

// points lists the calls of the child, from a run that is left in peace.
func points(t *testing.T, work string) []point {
	t.Helper()
	log, stderr := trace(t, work, newRoot(t))
	thread := ""
	for line := range strings.Lines(log) {
		if m := callLine.FindStringSubmatch(line); m != nil && strings.Contains(m[3], `"/begin"`) {
			thread = m[1]
		}
	}
	count := map[string]int{}
	var found []point
	begun, ended := false, false
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
		case begun && !ended:
			found = append(found, point{m[2], count[m[2]], strings.TrimSpace(line)})
		}
	}
	if !ended || len(stderr) > 0 {
		t.Fatalf("the child did not end well: %s\n%s", stderr, log)
	}
	return found
}

func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "xen"), 0o700); err != nil {
		t.Fatal(err)
	}
	return root
}

// Killed at any moment, nothing stays frozen after the next run: at once, for the
// process is gone, and where that cannot be told, after the deadline.
func TestKilledBetweenFreezeAndThaw(t *testing.T) {
	if _, err := run.New(os.Environ())(t.Context(), run.Cmd{Name: "strace", Args: []string{"-o", os.DevNull, "true"}}); err != nil {
		needs.Unmet(t, "strace is needed (package strace): %v", err)
	}
	for work, do := range works {
		t.Run(work, func(t *testing.T) { killAtEach(t, work, do) })
	}
}

func killAtEach(t *testing.T, work string, do func(hostfs.Root) error) {
	t.Helper()
	all := points(t, work)
	step := 3
	if os.Getenv("XTM_TEST_NIGHTLY") == "1" {
		step = 1
	}
	killed, leftFrozen := 0, 0
	for i := 0; i < len(all); i += step {
		p := all[i]
		root := newRoot(t)
		log, _ := trace(t, work, root, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.call, p.n))
		if !strings.Contains(log, "killed by SIGKILL") {
			continue // the runtime had fewer calls of its own this time
		}
		killed++
		k := folderKeeper(hostfs.Root(root))
		if i%2 == 1 {
			k.Alive = func(Process) bool { return true }
			k.Now = func() time.Time { return start.Add(time.Hour) }
		}
		holds, err := Holds(k.Root)
		if err != nil {
			t.Fatalf("killed at %s: %v", p.line, err)
		}
		held := map[units.DomID]bool{}
		for _, h := range holds {
			held[h.Domain.ID] = true
		}
		for _, d := range folderDomains {
			if s, _ := k.Control.Settings(t.Context(), d.ID); s.Frozen {
				leftFrozen++
				if !held[d.ID] {
					t.Errorf("killed at %s: %s is frozen and on no record", p.line, d.Ref)
				}
			}
		}
		for _, e := range k.Honour(t.Context(), holds, folderDomains) {
			if e.Err != nil {
				t.Errorf("killed at %s, then: %v", p.line, e.Err)
			}
		}
		for _, d := range folderDomains {
			if s, err := k.Control.Settings(t.Context(), d.ID); s.Frozen || err != nil {
				t.Errorf("killed at %s: %s stays frozen, %v", p.line, d.Ref, err)
			}
		}
		if holds, err := Holds(k.Root); len(holds) > 0 || err != nil {
			t.Errorf("killed at %s: left on record: %v, %v", p.line, holds, err)
		}
		// The run after that does all of it.
		if err := do(k.Root); err != nil {
			t.Errorf("killed at %s, then again: %v", p.line, err)
		}
	}
	t.Logf("killed at %d of %d calls, a domain left frozen %d times", killed, len(all), leftFrozen)
	if killed < 30 || leftFrozen < 5 {
		t.Errorf("killed at %d points only, %d with a domain frozen", killed, leftFrozen)
	}
}
