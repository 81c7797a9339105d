package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// busyHost is a host that goes on while it is looked at: its guests put pages
// into tmem and move to their targets as time goes by.
type busyHost struct {
	at                time.Time
	free, ephemeral   units.KiB
	guests            []*busyGuest
	created           units.KiB
	flushTakes, looks time.Duration
	// then happens once, when this time has come.
	when time.Time
	then func()
}

type busyGuest struct {
	id              units.DomID
	current, target units.KiB
	puts, gives     units.KiB // a second
	frozen          bool
	stubborn        bool
	swapFree        opt.Value[units.KiB]
}

// pass lets the time since the last look go by.
func (h *busyHost) pass() {
	now := time.Now()
	ms := units.KiB(now.Sub(h.at).Milliseconds())
	h.at = now
	if h.then != nil && !now.Before(h.when) {
		h.then()
		h.then = nil
	}
	for _, g := range h.guests {
		if !g.frozen {
			put := min(g.puts*ms/1000, h.free)
			h.free -= put
			h.ephemeral += put
		}
		if step := g.gives * ms / 1000; g.current > g.target && !g.stubborn {
			step = min(step, g.current-g.target)
			g.current -= step
			h.free += step
		} else if g.current < g.target {
			step = min(step, g.target-g.current, h.free)
			g.current += step
			h.free -= step
		}
	}
}

func (h *busyHost) guest(id units.DomID) (*busyGuest, error) {
	i := slices.IndexFunc(h.guests, func(g *busyGuest) bool { return g.id == id })
	if i < 0 {
		return nil, cause.ErrNoData
	}
	return h.guests[i], nil
}

func (h *busyHost) Snapshot(context.Context) (xen.Snapshot, error) {
	time.Sleep(h.looks)
	h.pass()
	s := xen.Snapshot{Host: xen.Host{Version: xen.Version{Major: 4, Minor: 12}, Free: opt.Of(h.free), Freeable: opt.Of(h.ephemeral)}, TmemState: xen.TmemState{Answer: xen.TmemOn}}
	s.Domains = append(s.Domains, xen.Domain{ID: opt.Of[units.DomID](0), Current: opt.Of(units.MiB(1024).KiB())})
	var l xen.Listing
	for _, g := range h.guests {
		s.Domains = append(s.Domains, xen.Domain{
			ID: opt.Of(g.id), Name: fmt.Sprintf("guest%d", g.id), Current: opt.Of(g.current), Target: opt.Of(g.target),
			Guest: opt.Of(xen.GuestMemory{SwapFree: g.swapFree}),
		})
		l.Clients = append(l.Clients, xen.TmemClient{ID: g.id, Frozen: opt.Of(int64(flag(g.frozen)))})
	}
	s.Tmem = opt.Of(l)
	return s, nil
}

func (h *busyHost) freeze(id units.DomID, on bool) error {
	h.pass()
	g, err := h.guest(id)
	if err == nil {
		g.frozen = on
	}
	return err
}

func (h *busyHost) Freeze(_ context.Context, id units.DomID) error { return h.freeze(id, true) }
func (h *busyHost) Thaw(_ context.Context, id units.DomID) error   { return h.freeze(id, false) }

func (*busyHost) SetWeight(context.Context, units.DomID, uint32) error { return cause.ErrNotSupported }

func (*busyHost) SetCompress(context.Context, units.DomID, bool) error { return cause.ErrNotSupported }

func (h *busyHost) Settings(_ context.Context, id units.DomID) (tmem.Settings, error) {
	g, err := h.guest(id)
	if err != nil {
		return tmem.Settings{}, err
	}
	return tmem.Settings{Frozen: g.frozen, Migrating: opt.Of(false)}, nil
}

func (h *busyHost) Freeable(context.Context) (units.MiB, error) {
	h.pass()
	return units.MiB(h.ephemeral / 1024), nil
}

func (h *busyHost) Flush(_ context.Context, size units.KiB) (units.KiB, error) {
	time.Sleep(h.flushTakes)
	h.pass()
	got := min(size, h.ephemeral)
	h.ephemeral -= got
	h.free += got
	return got, nil
}

// create takes a guest's memory, slowly, as xl does; it fails where there is no
// more.
func (h *busyHost) create(want units.KiB) func(context.Context) error {
	return func(context.Context) error {
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			h.pass()
			if h.free < want/10 {
				return errors.New("not enough memory")
			}
			h.free -= want / 10
			h.created += want / 10
		}
		return nil
	}
}

func (h *busyHost) frozen() (out []units.DomID) {
	for _, g := range h.guests {
		if g.frozen {
			out = append(out, g.id)
		}
	}
	return out
}

// run is a making on the host, with what it said.
func (h *busyHost) run(t *testing.T, root hostfs.Root) (*RoomRun, *strings.Builder) {
	t.Helper()
	h.at = time.Now()
	said := &strings.Builder{}
	return &RoomRun{
		Keeper: Keeper{
			Host: Host{Source: h, Control: h, Flusher: h, Way: "hypercall"}, Root: root, Now: time.Now,
			Boot: "boot", Self: Process{PID: 1, Began: 1}, Alive: func(Process) bool { return true },
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Resize: func(_ context.Context, who Ref, to units.KiB) error {
			h.pass()
			g, err := h.guest(who.ID)
			if err == nil {
				g.target = to
			}
			return err
		},
		Within: time.Minute, Say: func(s string) { fmt.Fprintln(said, s) },
	}, said
}

func (r *RoomRun) plan(t *testing.T, want units.MiB, asks ...Ask) (Seen, Room) {
	t.Helper()
	seen, err := r.Look(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	room, err := seen.PlanRoom(want, asks, Toolstack{})
	if err != nil {
		t.Fatal(err)
	}
	return seen, room
}

const mibK units.KiB = 1024

func puttingHost() *busyHost {
	return &busyHost{
		free: 20 * mibK, ephemeral: 700 * mibK, flushTakes: time.Second, looks: 100 * time.Millisecond,
		guests: []*busyGuest{
			{id: 1, current: 200 * mibK, target: 256 * mibK, puts: 40 * mibK},
			{id: 2, current: 200 * mibK, target: 200 * mibK, gives: 10 * mibK},
		},
	}
}

// A guest that puts 40 MiB/s does not take the room back while the new guest is
// built; without a freeze it does.
func TestRoomIsNotLost(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		h := puttingHost()
		r, said := h.run(t, root)
		r.Start = h.create(512 * mibK)
		seen, room := r.plan(t, 512)
		out, err := r.Make(t.Context(), seen, room)
		if err != nil || !out.Ready || !out.Taken || h.created < 511*mibK || len(h.frozen()) > 0 {
			t.Errorf("%+v, %v, created %d KiB, frozen %v\n%s", out, err, h.created, h.frozen(), said)
		}
		if holds, err := Holds(root); len(holds) > 0 || err != nil {
			t.Error(holds, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := puttingHost()
		h.at = time.Now()
		if _, err := h.Flush(t.Context(), 532*mibK); err != nil {
			t.Fatal(err)
		}
		if err := h.create(512 * mibK)(t.Context()); err == nil {
			t.Error("the fake host's guest does not put")
		}
	})
}

// Guests that do not give back: it ends within its time, says who, and leaves all
// as it was.
func TestRoomEndsInItsTime(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		h := puttingHost()
		h.ephemeral = 100 * mibK
		h.guests[1].stubborn = true
		h.guests = append(h.guests, &busyGuest{id: 3, current: 300 * mibK, target: 300 * mibK, gives: mibK})
		r, said := h.run(t, root)
		r.Start = func(context.Context) error { t.Error("it was started"); return nil }
		seen, room := r.plan(t, 256, Ask{"guest2", 64}, Ask{"3", 200})
		if room.Lacks() != 0 {
			t.Fatalf("%+v", room)
		}
		begin := time.Now()
		out, err := r.Make(t.Context(), seen, room)
		if took := time.Since(begin); took < r.Within || took > r.Within+5*time.Second {
			t.Errorf("it took %s", took)
		}
		if !errors.Is(err, ErrNoRoom) || !strings.Contains(err.Error(), "guest2 (domain 2) was asked for 136 MiB and gave 0") ||
			!strings.Contains(err.Error(), "guest3 (domain 3) was asked for 100 MiB and gave") || len(out.Slow) != 2 {
			t.Errorf("%+v, %v", out, err)
		}
		if len(h.frozen()) > 0 || h.guests[1].target != 200*mibK || h.guests[2].target != 300*mibK {
			t.Errorf("frozen %v, targets %d and %d\n%s", h.frozen(), h.guests[1].target, h.guests[2].target, said)
		}
		if holds, _ := Holds(root); len(holds) > 0 {
			t.Error(holds)
		}
	})
}

// A guest that gives back, if slowly, makes the room, and keeps its new size.
func TestRoomIsAskedFor(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		h := puttingHost()
		h.ephemeral = 50 * mibK
		r, said := h.run(t, root)
		r.Start = h.create(128 * mibK)
		seen, room := r.plan(t, 128, Ask{"guest2", 64})
		out, err := r.Make(t.Context(), seen, room)
		if err != nil || !out.Taken || h.guests[1].target != 64*mibK || len(h.frozen()) > 0 {
			t.Errorf("%+v, %v\n%s", out, err, said)
		}
	})
}

func TestRoomIsHeld(t *testing.T) {
	for name, taken := range map[string]bool{"taken": true, "left": false} {
		root := hostfs.Root(t.TempDir())
		synctest.Test(t, func(t *testing.T) {
			h := puttingHost()
			r, said := h.run(t, root)
			r.Hold = 30 * time.Second
			seen, room := r.plan(t, 256)
			if taken {
				h.when, h.then = time.Now().Add(10*time.Second), func() { h.free -= 256 * mibK }
			}
			begin := time.Now()
			out, err := r.Make(t.Context(), seen, room)
			if took := time.Since(begin); err != nil || out.Taken != taken || taken && took > 15*time.Second || !taken && took < 30*time.Second {
				t.Errorf("%s: %+v, %v after %s\n%s", name, out, err, took, said)
			}
			if len(h.frozen()) > 0 {
				t.Errorf("%s: frozen %v", name, h.frozen())
			}
		})
	}
}

// Interrupted, failed in the start, and with a client that comes in between.
func TestRoomLeavesNothingBehind(t *testing.T) {
	for name, what := range map[string]func(*busyHost, *RoomRun, context.CancelFunc){
		"interrupted": func(_ *busyHost, r *RoomRun, stop context.CancelFunc) {
			r.Start = nil
			r.Hold = time.Hour
			go func() { time.Sleep(7 * time.Second); stop() }()
		},
		"start fails": func(_ *busyHost, r *RoomRun, _ context.CancelFunc) {
			r.Start = func(context.Context) error { return errors.New("no such image") }
		},
		"a client comes": func(h *busyHost, r *RoomRun, _ context.CancelFunc) {
			h.when = time.Now().Add(500 * time.Millisecond)
			h.then = func() {
				h.guests = append(h.guests, &busyGuest{id: 9, current: 64 * mibK, target: 64 * mibK, puts: mibK})
			}
			r.Start = func(context.Context) error {
				if !slices.Contains(h.frozen(), 9) {
					return errors.New("the new client is not frozen")
				}
				return errors.New("done")
			}
		},
	} {
		root := hostfs.Root(t.TempDir())
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			h := puttingHost()
			r, said := h.run(t, root)
			what(h, r, stop)
			seen, room := r.plan(t, 256)
			_, err := r.Make(ctx, seen, room)
			if err == nil || strings.Contains(err.Error(), "not frozen") || len(h.frozen()) > 0 {
				t.Errorf("%s: %v, frozen %v\n%s", name, err, h.frozen(), said)
			}
			if holds, _ := Holds(root); len(holds) > 0 {
				t.Errorf("%s: %v", name, holds)
			}
		})
	}
}

// The account: what is there, who is not frozen, what would not do.
func TestPlanRoom(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		h := puttingHost()
		h.guests[1].swapFree = opt.Of(8 * mibK)
		r, _ := h.run(t, root)
		seen, room := r.plan(t, 512)
		if room.Need != 512*mibK+8*mibK+8*mibK || room.Free != 16*mibK || room.Freeable != 704*mibK || room.Lacks() != 0 || room.Dom0 != opt.Of(1024*mibK) {
			t.Errorf("%+v", room)
		}
		one, two := room.Guests[0], room.Guests[1]
		if !one.Freeze || !one.Shrinks || two.Freeze || !strings.Contains(two.Why, "8 MiB of free swap") || two.Shrinks {
			t.Errorf("%+v", room.Guests)
		}
		if _, much := r.plan(t, 2048); much.Lacks() < 1300*mibK {
			t.Errorf("%d KiB", much.Lacks())
		}
		for _, bad := range []Ask{{"nobody", 1}, {"guest1", 200}, {"guest1", 4096}} {
			if _, err := seen.PlanRoom(64, []Ask{bad}, Toolstack{}); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
		room.Toolstack = Toolstack{Claims: true, Seen: "as tested"}
		if !strings.Contains(room.Unneeded(), "as tested") {
			t.Errorf("%q", room.Unneeded())
		}
		room.Need = 4096 * mibK
		if room.Unneeded() != "" {
			t.Error("claims do not find what is not there")
		}
	})
}

func TestToolstack(t *testing.T) {
	fixed := "tmem dom0_mem=1024M,max:1024M loglvl=all"
	for _, tt := range []struct {
		v, cmdline, conf string
		balloon, claims  bool
	}{
		{"4.1.6", fixed, "", true, false},
		{"4.2.5", "tmem", "autoballoon=0\n", false, false},
		{"4.3.0", fixed, "", false, true},
		{"4.12.4", fixed, "#autoballoon=\"off\"\n#claim_mode=0\n", false, true},
		{"4.12.4", fixed, "claim_mode=0 # no\n", false, false},
		{"4.12.4", "tmem", "", true, false},
		{"4.12.4", "tmem", "autoballoon=\"off\"\n", false, true},
		{"4.12.4", fixed, "autoballoon = 'on'\n", true, false},
		{"4.12.4", "dom0_mem=1024", "", false, true},
		{"4.12.4", "dom0_mem=min:1G,max:2G tmem", "", false, true},
		{"4.12.4", "xdom0_mem=1G dom0_mem=50%", "", true, false},
	} {
		v, err := xen.ParseVersion(tt.v)
		if err != nil {
			t.Fatal(err)
		}
		if got := ToolstackOf([]byte(tt.conf), tt.cmdline, v); got.Autoballoon != tt.balloon || got.Claims != tt.claims || got.Seen == "" {
			t.Errorf("%+v: %+v", tt, got)
		}
	}
}

func FuzzToolstack(f *testing.F) {
	f.Add([]byte("#autoballoon=\"auto\"\nclaim_mode=1\nautoballoon = \"off\"\n"), "dom0_mem=1024M,max:1024M")
	f.Fuzz(func(t *testing.T, conf []byte, cmdline string) {
		if got := ToolstackOf(conf, cmdline, xen.Version{Major: 4, Minor: 12}); got.Claims && got.Autoballoon {
			t.Errorf("%+v", got)
		}
	})
}
