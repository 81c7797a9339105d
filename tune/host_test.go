package tune

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem/tmemtest"
	"xtm/xen/xl"
	"xtm/xen/xl/xltest"
)

var start = time.Date(2026, 11, 22, 13, 35, 22, 0, time.UTC)

// classes are a release of each behaviour of Xen's tmem control, and of xl.
var classes = []string{"4.0.4", "4.3.0", "4.5.5", "4.6.6", "4.7.6", "4.8.5", "4.9.4", "4.12.4"}

// names are those of the fake host's guests.
var names = map[units.DomID]string{1: "web1", 2: "db1", 3: "cache1"}

func uuid(id units.DomID) string {
	return "00000000-0000-0000-0000-00000000000" + string(rune('0'+id))
}

// fake is a host with three guests under tmem.
type fake struct {
	xen *hypercalltest.Xen
	xl  *xltest.XL
	Host
}

// Snapshot reads the fake as it is.
func (f *fake) Snapshot(context.Context) (xen.Snapshot, error) {
	s := xen.Snapshot{
		Source: "fake", Tmem: opt.Of(f.xen.Listing), TmemState: xen.TmemState{Answer: xen.TmemOn},
		Host: xen.Host{
			Version: f.xen.Version, CommandLine: opt.Of(f.xen.CommandLine),
			Total: opt.Of(units.Pages(f.xen.Total).KiB()), Free: opt.Of(units.Pages(f.xen.Free).KiB()),
			Freeable: opt.Of(units.MiB(f.xen.FreeableMB).KiB()),
		},
	}
	for _, d := range f.xen.Domains {
		s.Domains = append(s.Domains, xen.Domain{
			ID: opt.Of(d.ID), UUID: d.UUID, Name: names[d.ID],
			Current: opt.Of(units.Pages(d.Pages).KiB()), Limit: opt.Of(units.Pages(d.MaxPages).KiB()),
			State: xen.State{Shutdown: d.Flags&(1<<2) != 0},
		})
	}
	return s, nil
}

// newFake is a host of a release that is changed by hypercalls or by xl.
func newFake(t *testing.T, release, way string) *fake {
	t.Helper()
	x := hypercalltest.New(release, start)
	x.TmemBuilt, x.TmemOn, x.FreeableMB = true, true, 646
	x.CommandLine = "tmem dom0_mem=1024M,max:1024M"
	x.Listing = tmemtest.Host(3, 2)
	for id := range units.DomID(3) {
		x.Domains = append(x.Domains, hypercalltest.Domain{ID: id + 1, Flags: 1 << 4, Pages: 30000, MaxPages: 65792, UUID: uuid(id + 1)})
	}
	f := &fake{xen: x, xl: &xltest.XL{Xen: x}}
	f.Host = Host{Source: f, Way: way}
	if way == "xl" {
		f.Control = xl.NewControl(f.xl.Run, x.Version)
		return f
	}
	h, err := hypercall.Probe(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	f.Control, f.Flusher = h, h
	return f
}

// changes are the calls so far that changed something: Xen's words, or xl's
// command lines.
func (f *fake) changes() []string {
	calls := f.xl.Calls
	if f.Way != "xl" {
		calls = f.xen.Log()
	}
	return slices.DeleteFunc(slices.Clone(calls), func(c string) bool {
		return c == "physinfo" || c == "freeable" || strings.HasPrefix(c, "list ") || strings.HasPrefix(c, "record ") || strings.HasPrefix(c, "xl tmem-list")
	})
}

func (f *fake) look(t *testing.T, k *Keeper) Seen {
	t.Helper()
	var holds []Hold
	if k != nil {
		var err error
		if holds, err = Holds(k.Root); err != nil {
			t.Fatal(err)
		}
	}
	s, err := f.Look(t.Context(), holds)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keeper is a run of xtm on the fake.
func (f *fake) keeper(t *testing.T) *Keeper {
	t.Helper()
	return &Keeper{
		Host: f.Host, Root: hostfs.Root(t.TempDir()), Now: func() time.Time { return start }, Boot: "boot",
		Self: Process{PID: 4242, Began: 1}, Alive: func(Process) bool { return true },
	}
}

// everyClass runs a test on each behaviour, both ways.
func everyClass(t *testing.T, test func(*testing.T, *fake)) {
	t.Helper()
	for _, release := range classes {
		for _, way := range []string{"hypercall", "xl"} {
			t.Run(release+" by "+way, func(t *testing.T) { test(t, newFake(t, release, way)) })
		}
	}
}
