package hypercall_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

var start = time.Date(2026, 11, 22, 13, 35, 22, 0, time.UTC)

// tmemReleases are all eras of the tmem interface: each struct, each numbering.
var tmemReleases = []string{"4.0.0", "4.0.1", "4.0.4", "4.1.6", "4.2.5", "4.3.0", "4.4.4", "4.5.5", "4.6.6", "4.7.0", "4.8.0", "4.9.4", "4.10.0", "4.10.4", "4.11.4", "4.12.4"}

// busy is a host of a release with tmem and three clients, 1 to 3.
func busy(release string) *hypercalltest.Xen {
	x := hypercalltest.New(release, start)
	x.TmemBuilt, x.TmemOn, x.FreeableMB = true, true, 646
	x.CommandLine = "tmem console=com1 dom0_mem=1024M,max:1024M "
	x.Listing = tmemtest.Host(3, 2)
	return x
}

func probe(t *testing.T, x *hypercalltest.Xen) *hypercall.Hypervisor {
	t.Helper()
	h, err := hypercall.Probe(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestControlsDoWhatTheySay issues every control on every era: the fake does
// what the number means there, so that a number of another era would show.
func TestControlsDoWhatTheySay(t *testing.T) {
	for _, release := range tmemReleases {
		t.Run(release, func(t *testing.T) {
			x := busy(release)
			h := probe(t, x)
			before := len(x.Log())
			ctx := t.Context()
			for _, err := range []error{
				h.Freeze(ctx, 2), h.SetWeight(ctx, 2, 4294967295), h.SetCompress(ctx, 3, true), h.Thaw(ctx, 2),
				h.SetWeight(ctx, 3, 7), h.SetCompress(ctx, 3, false),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if got, err := h.Freeable(ctx); got != 646 || err != nil {
				t.Errorf("freeable: %d, %v", got, err)
			}
			if got, err := h.Flush(ctx, 10<<10); got != 10<<10 || err != nil {
				t.Errorf("flush: %d, %v", got, err)
			}
			if got, err := h.Flush(ctx, units.MiB(2000).KiB()); got != units.MiB(636).KiB() || err != nil {
				t.Errorf("flush more than there is: %d, %v", got, err)
			}
			log := slices.DeleteFunc(x.Log()[before:], func(s string) bool { return strings.HasPrefix(s, "record of ") })
			want := []string{
				"frozen of 2 is 1", "weight of 2 is 4294967295", "compress of 3 is 1", "frozen of 2 is 0",
				"weight of 3 is 7", "compress of 3 is 0", "freeable", "flush 10240", "flush 2048000",
			}
			if diff := cmp.Diff(want, log); diff != "" {
				t.Error(diff)
			}
			l, _, err := h.Listing(ctx, true)
			if err != nil || len(l.Clients) != 3 || l.Truncated != "" || l.Clients[1].Weight != opt.Of[int64](4294967295) {
				t.Errorf("listing afterwards: %v %+v", err, l.Clients)
			}
		})
	}
}

func TestControlsOfWhatIsNotThere(t *testing.T) {
	controls := func(h *hypercall.Hypervisor, id units.DomID) map[string]error {
		return map[string]error{
			"freeze": h.Freeze(t.Context(), id), "thaw": h.Thaw(t.Context(), id),
			"weight": h.SetWeight(t.Context(), id, 1), "compress": h.SetCompress(t.Context(), id, true),
		}
	}
	for _, release := range tmemReleases {
		x := busy(release)
		h := probe(t, x)
		for verb, err := range controls(h, 99) {
			if !errors.Is(err, cause.ErrNoData) || cause.Of(err) != cause.NoData {
				t.Errorf("%s: %s a domain that is no client: %v", release, verb, err)
			}
		}
		// 0xffff is all clients, and the numbers from 0x7ff0 on are Xen's own.
		n := len(x.Log())
		for _, id := range []units.DomID{0x7ff0, 0xffff} {
			for verb, err := range controls(h, id) {
				if err == nil || len(x.Log()) != n {
					t.Errorf("%s: %s domain %d: %v, %v", release, verb, id, err, x.Log()[n:])
				}
			}
		}
		for _, size := range []units.KiB{0, -1, 1 << 31} {
			if _, err := h.Flush(t.Context(), size); err == nil || len(x.Log()) != n {
				t.Errorf("%s: flush %d KiB: %v", release, size, err)
			}
		}

		off := busy(release)
		off.TmemOn, off.Listing = false, xen.Listing{}
		h = probe(t, off)
		_, errFlush := h.Flush(t.Context(), 4)
		for verb, err := range controls(h, 1) {
			want := cause.NoData // 4.6 and later do not know that it is off
			if off.Version.Before(4, 6) {
				want = cause.NotSupported
			}
			if cause.Of(err) != want {
				t.Errorf("%s: %s where tmem is off: %v", release, verb, err)
			}
		}
		if off.Version.Before(4, 6) != (cause.Of(errFlush) == cause.NotSupported) {
			t.Errorf("%s: flush where tmem is off: %v", release, errFlush)
		}
	}
	for _, release := range []string{"4.13.0", "4.17.7", "4.22.0"} {
		x := hypercalltest.New(release, start)
		h := probe(t, x)
		n := len(x.Log())
		for verb, err := range controls(h, 1) {
			if !errors.Is(err, cause.ErrNotSupported) {
				t.Errorf("%s: %s: %v", release, verb, err)
			}
		}
		_, errFlush := h.Flush(t.Context(), 4)
		_, errFreeable := h.Freeable(t.Context())
		_, errClient := h.Client(t.Context(), 1)
		_, _, errList := h.Listing(t.Context(), true)
		for _, err := range []error{errFlush, errFreeable, errClient, errList} {
			if !errors.Is(err, cause.ErrNotSupported) {
				t.Errorf("%s: %v", release, err)
			}
		}
		// Number 24 is free from 4.13 on, and may one day be something else.
		if log := x.Log()[n:]; len(log) > 0 {
			t.Errorf("%s: it was asked all the same: %q", release, log)
		}
	}
}

func TestClientRecord(t *testing.T) {
	x := busy("4.11.4")
	h := probe(t, x)
	if err := h.Freeze(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	got, err := h.Client(t.Context(), 3)
	if want := (hypercall.Client{Weight: 100, Frozen: true, Pools: 2}); got != want || err != nil {
		t.Errorf("client 3: %+v %v, want %+v", got, err, want)
	}
	if _, err := probe(t, busy("4.7.0")).Client(t.Context(), 3); !errors.Is(err, cause.ErrNotSupported) {
		t.Errorf("4.7 has no such record: %v", err)
	}
}

// TestCompressionWithDedup shows why a caller must read the listing: up to 4.7
// Xen does nothing and says so to nobody.
func TestCompressionWithDedup(t *testing.T) {
	x := busy("4.5.5")
	x.Dedup = true
	h := probe(t, x)
	if err := h.SetCompress(t.Context(), 1, true); err != nil {
		t.Error(err)
	}
	if l, _, err := h.Listing(t.Context(), false); err != nil || l.Clients[0].Compress != opt.Of[int64](0) {
		t.Errorf("%v %+v", err, l.Clients)
	}
}

func TestListingThatNeedsRoom(t *testing.T) {
	for _, guests := range []int{60, 75, 300} {
		x := busy("4.12.4")
		x.Listing = tmemtest.Host(guests, 3)
		l, at, err := probe(t, x).Listing(t.Context(), true)
		if err != nil || l.Truncated != "" || len(l.Clients) != guests || at.Before(start) {
			t.Errorf("%d guests: %d clients, truncated %q, at %s, %v", guests, len(l.Clients), l.Truncated, at, err)
		}
	}
}

func TestProbe(t *testing.T) {
	t.Run("another interface than the release's", func(t *testing.T) {
		x := busy("4.4.4") // a vendor took 4.6's interface, and with it its tmem
		x.SysctlVersion, x.Version.Minor = 0x0c, 6
		if err := probe(t, x).Freeze(t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("EACCES to all", func(t *testing.T) {
		x := hypercalltest.New("4.12.4", start)
		x.SysctlVersion = 0x4001
		_, err := hypercall.Probe(t.Context(), x)
		if !errors.Is(err, cause.ErrNotSupported) || !strings.Contains(err.Error(), "Xen 4.12.4") {
			t.Errorf("%v", err)
		}
	})
	t.Run("not Dom0", func(t *testing.T) {
		x := hypercalltest.New("4.17.7", start)
		x.Denied = true
		_, err := hypercall.Probe(t.Context(), x)
		r, ok := errors.AsType[*hypercall.RefusedError](err)
		if !errors.Is(err, cause.ErrNotSupported) || !ok || r.Errno != syscall.EPERM {
			t.Errorf("%v", err)
		}
	})
	t.Run("a layout that cannot be", func(t *testing.T) {
		x := hypercalltest.New("4.17.7", start)
		x.Free = x.Total + 1
		if _, err := hypercall.Probe(t.Context(), x); err == nil || !strings.Contains(err.Error(), "another layout") {
			t.Errorf("%v", err)
		}
	})
}

func TestSettings(t *testing.T) {
	for _, release := range tmemReleases {
		x := busy(release)
		x.Migrating = map[units.DomID]bool{3: true}
		h := probe(t, x)
		if err := errors.Join(h.SetWeight(t.Context(), 2, 4294967295), h.SetCompress(t.Context(), 2, true), h.Freeze(t.Context(), 2)); err != nil {
			t.Fatal(err)
		}
		want := tmem.Settings{Weight: 4294967295, Compress: true, Frozen: true}
		tells := x.Version.AtLeast(4, 8)
		if tells {
			want.Migrating = opt.Of(false)
		}
		if got, err := h.Settings(t.Context(), 2); got != want || err != nil {
			t.Errorf("%s: %+v, %v", release, got, err)
		}
		if got, err := h.Settings(t.Context(), 3); got.Migrating.Or(false) != tells || err != nil {
			t.Errorf("%s: migrating: %+v, %v", release, got, err)
		}
		if _, err := h.Settings(t.Context(), 99); !errors.Is(err, cause.ErrNoData) {
			t.Errorf("%s: no client: %v", release, err)
		}
	}
}
