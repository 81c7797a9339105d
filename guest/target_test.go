package guest_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/units"
)

// sample reads one of the eight moments of a guest of captures/xen-4.12-selfballoon.
func sample(t *testing.T, name string, n int) (guest.TargetInput, units.Pages) {
	t.Helper()
	s := read(guesttest.Files(t, fmt.Sprintf("xen-4.12-selfballoon/%s/%d", name, n)))
	in, err := s.TargetInput()
	if err != nil {
		t.Fatal(err)
	}
	balloon, _ := s.Balloon.Get()
	return in, balloon.Target.Pages()
}

func compute(t *testing.T, in guest.TargetInput) guest.Target {
	t.Helper()
	target, err := guest.ComputeTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Once settled, the target that is computed is the target that the kernel had
// set, to the page.
func TestTargetOfSettledGuests(t *testing.T) {
	settled := 0
	for name, from := range map[string]int{"web1": 3, "cache1": 7, "db1": 8, "idle1": 8} {
		for n := from; n <= 8; n++ {
			in, kernels := sample(t, name, n)
			if got := compute(t, in); got.Balloon != kernels {
				t.Errorf("%s, moment %d: computed %d, the kernel has %d, difference %d: %+v", name, n, got.Balloon, kernels, got.Balloon-kernels, got)
			}
			settled++
		}
	}
	if settled != 10 {
		t.Errorf("%d settled samples", settled)
	}
}

// Between two moments one step or two were taken: the computed steps arrive
// exactly at the target that the later moment shows. Only web1's Committed_AS moved
// between its first two.
func TestTargetStepByStep(t *testing.T) {
	steps := map[string][]int{ // between moments 1–2, 2–3, …
		"cache1": {1, 1, 2, 1, 2, 1},
		"idle1":  {2, 1, 1, 2, 1, 2, 1},
		"web1":   {0, 1},
		"db1":    {1, 2, 1, 2, 1},
	}
	for name, counts := range steps {
		for i, want := range counts {
			if want == 0 {
				continue
			}
			in, _ := sample(t, name, i+1)
			_, later := sample(t, name, i+2)
			got := 0
			for next := in; got < 4; {
				target := compute(t, next)
				got++
				if target.Balloon == later {
					break
				}
				next.Managed, next.Current = target.Next, target.Balloon
			}
			if got != want {
				t.Errorf("%s, moments %d–%d: %d steps, want %d", name, i+1, i+2, got, want)
			}
		}
	}
	// The first step of cache1 in numbers: (32509 − 6203)/8 pages.
	in, _ := sample(t, "cache1", 1)
	target := compute(t, in)
	if in.Managed != 32509 || target.Goal != 6203 || target.Next != 32509-(32509-6203)/8 || target.Floor != 15783 || target.FloorRule != guest.FloorMedium {
		t.Errorf("managed %d, %+v", in.Managed, target)
	}
}

func TestFloorRules(t *testing.T) {
	const mib = 256
	base := guest.TargetInput{
		Kernel: guest.Version{Major: 4, Minor: 19}, Current: 100 * mib, Managed: 100 * mib, Reserve: 2 * mib,
		DownHysteresis: 8, UpHysteresis: 1,
	}
	for _, tt := range []struct {
		useful units.Pages
		min    units.MiB
		rule   guest.FloorRule
		floor  units.Pages
	}{
		{16*mib - 1, 0, guest.FloorTiny, 18*mib - 1},
		{16 * mib, 0, guest.FloorSmall, 18 * mib},
		{64*mib - 2, 0, guest.FloorSmall, 2*mib + 16*mib + 24*mib - 1},
		{64 * mib, 0, guest.FloorMedium, 2*mib + 40*mib + 3*mib},
		{512 * mib, 0, guest.FloorLarge, 2*mib + 99*mib + (512-99)*mib/32},
		{1024 * mib, 0, guest.FloorLarge, 2*mib + 99*mib + (1024-99)*mib/32},
		{1024 * mib, 300, guest.FloorSet, 302 * mib},
	} {
		in := base
		in.MaxPFN, in.MinUsable = tt.useful+in.Reserve, tt.min
		got := compute(t, in)
		if got.Useful != tt.useful || got.FloorRule != tt.rule || got.Floor != tt.floor {
			t.Errorf("useful %d: %+v, want floor %d by %s", tt.useful, got, tt.floor, tt.rule)
		}
	}
}

// 3.1 had neither floor nor reserve in its goal; 3.2 has them.
func TestTargetOfOldKernels(t *testing.T) {
	in, _ := sample(t, "cache1", 1)
	in.Reserved, in.Selfshrinking = 0, false
	in.Kernel = guest.Version{Major: 3, Minor: 1}
	if got := compute(t, in); got.Goal != in.Committed || got.Floor != 0 || got.FloorRule != guest.NoFloor ||
		got.Balloon != in.Current-(in.Managed-in.Committed)/8 {
		t.Errorf("3.1: %+v", got)
	}
	in.Kernel = guest.Version{Major: 3, Minor: 2}
	if got := compute(t, in); got.Goal != in.Committed+in.Reserve || got.Floor != 15783 {
		t.Errorf("3.2: %+v", got)
	}
	for _, v := range []guest.Version{{}, {Major: 3}, {Major: 5, Minor: 3}} {
		in.Kernel = v
		if _, err := guest.ComputeTarget(in); !errors.Is(err, cause.ErrNotSupported) {
			t.Errorf("Linux %s: %v", v, err)
		}
	}
	in.Kernel, in.DownHysteresis = guest.Version{Major: 4, Minor: 19}, 0
	if _, err := guest.ComputeTarget(in); err == nil {
		t.Error("divided by a hysteresis of 0")
	}
}

// What is in frontswap is room that the goal wants, as far as it can be known.
func TestTargetCountsFrontswap(t *testing.T) {
	m := guesttest.Files(t, "xen-4.12/web1/2-under-load")
	// The recording of this guest has no zoneinfo; that of another boot of it.
	other := guesttest.Files(t, "xen-4.12-selfballoon/web1/8")
	m["proc/zoneinfo"] = other["proc/zoneinfo"]
	in, err := read(m).TargetInput()
	// 21139 stores less 19584 invalidates are 1555 pages, but 2816 KiB (704
	// pages) of slots are in use: the rest were stored twice.
	if err != nil || in.Frontswapped != 704 || !in.Selfshrinking {
		t.Fatalf("%+v, %v", in, err)
	}
	with := compute(t, in)
	in.Selfshrinking = false
	if without := compute(t, in); with.Goal != without.Goal+704 {
		t.Errorf("goal %d with and %d without selfshrinking", with.Goal, without.Goal)
	}
	delete(m, "proc/zoneinfo")
	if _, err := read(m).TargetInput(); cause.Of(err) != cause.NoData {
		t.Errorf("without zoneinfo: %v", err)
	}
	m["proc/zoneinfo"] = other["proc/zoneinfo"]
	guesttest.Remove(m, guest.BalloonDir+"/selfballoon")
	if _, err := read(m).TargetInput(); cause.Of(err) != cause.NotSupported {
		t.Errorf("without selfballooning: %v", err)
	}
}

// Steps never pass the goal, never lead below the floor, and come to rest where
// Rest says.
func TestTargetComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pages := func(name string, most int64) units.Pages {
			return units.Pages(rapid.Int64Range(0, most).Draw(t, name))
		}
		in := guest.TargetInput{
			Kernel:  guest.Version{Major: 3, Minor: rapid.IntRange(1, 19).Draw(t, "minor")},
			Managed: pages("managed", 1<<24), Committed: pages("committed", 1<<24), Reserve: pages("reserve", 1<<16),
			Frontswapped: pages("frontswapped", 1<<20), Selfshrinking: rapid.Bool().Draw(t, "selfshrinking"),
			DownHysteresis: rapid.Int64Range(1, 100).Draw(t, "down"), UpHysteresis: rapid.Int64Range(1, 100).Draw(t, "up"),
			MinUsable: units.MiB(rapid.Int64Range(0, 1024).Draw(t, "min")), Reserved: units.MiB(rapid.Int64Range(0, 1024).Draw(t, "reserved")),
		}
		in.MaxPFN = in.Reserve + pages("useful", 1<<24)
		in.Current = in.Managed + pages("taken", 1<<16)
		away := in.Current - in.Managed
		for range 20_000 {
			got, err := guest.ComputeTarget(in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Next < got.Floor || got.Balloon-got.Next != away {
				t.Fatalf("%+v", got)
			}
			if lo, hi := min(in.Managed, got.Goal), max(in.Managed, got.Goal); got.Step < lo || got.Step > hi {
				t.Fatalf("step %d leaves %d–%d", got.Step, lo, hi)
			}
			if got.Next == in.Managed {
				slack := units.Pages(max(in.DownHysteresis, in.UpHysteresis))
				if got.Next <= got.Rest()-slack || got.Next >= got.Rest()+slack {
					t.Fatalf("rests at %d, not near %d", got.Next, got.Rest())
				}
				return
			}
			in.Managed, in.Current = got.Next, got.Balloon
		}
		t.Fatal("it does not come to rest")
	})
}
