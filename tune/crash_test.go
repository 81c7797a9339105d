package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/crashtest"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// A child of this test binary freezes and thaws domains of a hypervisor that is
// a folder.
func TestMain(m *testing.M) {
	crashtest.Main(m, func(verb string, args []string) error {
		if verb == "guest-set" {
			return setInterval(hostfs.Root(args[0]))
		}
		return works[verb](hostfs.Root(args[0]))
	})
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
	for work, do := range works {
		t.Run(work, func(t *testing.T) { killAtEach(t, work, do) })
	}
}

func killAtEach(t *testing.T, work string, do func(hostfs.Root) error) {
	t.Helper()
	all := crashtest.Points(t, work, []string{newRoot(t)})
	killed, leftFrozen := 0, 0
	for i, p := range all {
		root := newRoot(t)
		log, _ := crashtest.Trace(t, work, []string{root}, p.Kill())
		if !crashtest.Killed(log) {
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
			t.Fatalf("killed at %s: %v", p.Line, err)
		}
		held := map[units.DomID]bool{}
		for _, h := range holds {
			held[h.Domain.ID] = true
		}
		for _, d := range folderDomains {
			if s, _ := k.Control.Settings(t.Context(), d.ID); s.Frozen {
				leftFrozen++
				if !held[d.ID] {
					t.Errorf("killed at %s: %s is frozen and on no record", p.Line, d.Ref)
				}
			}
		}
		for _, e := range k.Honour(t.Context(), holds, folderDomains) {
			if e.Err != nil {
				t.Errorf("killed at %s, then: %v", p.Line, e.Err)
			}
		}
		for _, d := range folderDomains {
			if s, err := k.Control.Settings(t.Context(), d.ID); s.Frozen || err != nil {
				t.Errorf("killed at %s: %s stays frozen, %v", p.Line, d.Ref, err)
			}
		}
		if holds, err := Holds(k.Root); len(holds) > 0 || err != nil {
			t.Errorf("killed at %s: left on record: %v, %v", p.Line, holds, err)
		}
		// The run after that does all of it.
		if err := do(k.Root); err != nil {
			t.Errorf("killed at %s, then again: %v", p.Line, err)
		}
	}
	t.Logf("killed at %d of %d calls, a domain left frozen %d times", killed, len(all), leftFrozen)
	if killed < 30 || leftFrozen < 5 {
		t.Errorf("killed at %d points only, %d with a domain frozen", killed, leftFrozen)
	}
}
