package guest

import (
	"errors"
	"fmt"

	"xtm/internal/cause"
	"xtm/internal/units"
)

// TargetInput is what one step of the selfballooning driver computes with.
type TargetInput struct {
	Kernel Version `json:"kernel"`
	// Current is what the balloon driver counts, Managed what the kernel manages:
	// it is smaller by what the kernel took for itself at the start.
	Current   units.Pages `json:"current_pages"`
	Managed   units.Pages `json:"managed_pages"`
	Committed units.Pages `json:"committed_pages"`
	Reserve   units.Pages `json:"reserve_pages"`
	MaxPFN    units.Pages `json:"max_pfn"`
	// Frontswapped are the pages in frontswap, which selfshrinking wants room for.
	Frontswapped  units.Pages `json:"frontswapped_pages"`
	Selfshrinking bool        `json:"selfshrinking"`

	DownHysteresis int64     `json:"down_hysteresis"`
	UpHysteresis   int64     `json:"up_hysteresis"`
	MinUsable      units.MiB `json:"min_usable_mib"` // 0: the kernel's own floor
	Reserved       units.MiB `json:"reserved_mib"`
}

// FloorRule names the way in which a floor was found.
type FloorRule string

// The rules.
const (
	NoFloor     FloorRule = "none"       // Linux 3.1, which had no reserve in its goal either
	FloorSet    FloorRule = "min_usable" // reserve + min_usable_mb
	FloorTiny   FloorRule = "tiny"       // less than 16 MiB useful: no ballooning
	FloorSmall  FloorRule = "small"      // less than 64 MiB: reserve + 16 MiB + 1/2 of the rest
	FloorMedium FloorRule = "medium"     // less than 512 MiB: reserve + 40 MiB + 1/8 of the rest
	FloorLarge  FloorRule = "large"      // else: reserve + 99 MiB + 1/32 of the rest
)

// Target is one step of the driver, with the numbers in between. All but Balloon
// are in pages that the kernel manages.
type Target struct {
	// Goal is what the driver wants in the end: committed, reserve, reserved and
	// the pages in frontswap.
	Goal units.Pages `json:"goal_pages"`
	// Step is where one step by the hysteresis leads.
	Step units.Pages `json:"step_pages"`
	// Useful is MaxPFN less Reserve, which decides on the floor; 0 on 3.1.
	Useful    units.Pages `json:"useful_pages"`
	Floor     units.Pages `json:"floor_pages"`
	FloorRule FloorRule   `json:"floor_rule"`
	// Next is the larger of Step and Floor.
	Next units.Pages `json:"next_pages"`
	// Balloon is what the driver then writes as the balloon's target: Next, in
	// pages of Current.
	Balloon units.Pages `json:"balloon_pages"`
}

// Rest is where the target comes to rest if nothing changes, in managed pages.
// Shrinking may stop up to a page less than the down hysteresis above it.
func (t Target) Rest() units.Pages { return max(t.Goal, t.Floor) }

// ComputeTarget computes the next step as the kernel does (selfballoon_process in
// drivers/xen/xen-selfballoon.c, Linux 3.1–5.2). cause.ErrNotSupported where this
// kernel has no such driver.
func ComputeTarget(in TargetInput) (Target, error) {
	if !EraOf(in.Kernel).Has(Selfballooning) {
		return Target{}, fmt.Errorf("compute the selfballooning target: Linux %s has no such driver: %w", in.Kernel, cause.ErrNotSupported)
	}
	if in.DownHysteresis < 1 || in.UpHysteresis < 1 {
		return Target{}, errors.New("compute the selfballooning target: the kernel never has a hysteresis below 1")
	}
	var t Target
	t.Goal = in.Committed
	if in.Selfshrinking {
		t.Goal += in.Frontswapped
	}
	t.FloorRule = NoFloor
	if in.Kernel.AtLeast(3, 2) {
		t.Goal += in.Reserve + pages(in.Reserved)
		t.Useful = in.MaxPFN - in.Reserve
		t.Floor, t.FloorRule = floor(in, t.Useful)
	}
	t.Step = step(in.Managed, t.Goal, in)
	t.Next = max(t.Step, t.Floor)
	t.Balloon = t.Next + in.Current - in.Managed
	return t, nil
}

func step(current, goal units.Pages, in TargetInput) units.Pages {
	if current > goal {
		return current - (current-goal)/units.Pages(in.DownHysteresis)
	}
	return current + (goal-current)/units.Pages(in.UpHysteresis)
}

func floor(in TargetInput, useful units.Pages) (units.Pages, FloorRule) {
	above := func(base units.MiB, shift uint) units.Pages {
		return in.Reserve + pages(base) + (useful-pages(base))>>shift
	}
	switch {
	case in.MinUsable != 0:
		return in.Reserve + pages(in.MinUsable), FloorSet
	case useful < pages(16):
		return in.MaxPFN, FloorTiny
	case useful < pages(64):
		return above(16, 1), FloorSmall
	case useful < pages(512):
		return above(40, 3), FloorMedium
	default:
		return above(99, 5), FloorLarge
	}
}

func pages(m units.MiB) units.Pages { return m.KiB().Pages() }

// TargetInput gathers what the driver computes with now. The error names what
// could not be read.
func (s State) TargetInput() (TargetInput, error) {
	release, _ := s.Release.Get()
	memory, ok := s.Memory.Get()
	if !ok {
		return TargetInput{}, s.lack("memory")
	}
	zones, ok := memory.Zones.Get()
	if !ok {
		return TargetInput{}, fmt.Errorf("no /proc/zoneinfo: %w", cause.ErrNoData)
	}
	balloon, ok := s.Balloon.Get()
	if !ok {
		return TargetInput{}, s.lack("balloon")
	}
	if !balloon.HasSelfballooning() {
		return TargetInput{}, fmt.Errorf("this kernel has no selfballooning driver: %w", cause.ErrNotSupported)
	}
	return TargetInput{
		Kernel:  release.Version,
		Current: balloon.Current.Pages(), Managed: memory.Managed,
		Committed: memory.Committed, Reserve: zones.Reserve, MaxPFN: zones.MaxPFN,
		Frontswapped:   s.frontswapped(),
		Selfshrinking:  balloon.Settings[Selfshrinking] == 1,
		DownHysteresis: int64(balloon.Settings[SelfballoonDown]),
		UpHysteresis:   int64(balloon.Settings[SelfballoonUp]),
		MinUsable:      units.MiB(balloon.Settings[SelfballoonMin]),
		Reserved:       units.MiB(balloon.Settings[SelfballoonReserve]),
	}, nil
}

// frontswapped bounds the pages in frontswap from above, as the kernel does not
// show them: neither more than swap slots in use, nor than stores less
// invalidates (a slot that is stored again counts as a store twice). It is exact
// where no swap is in use.
func (s State) frontswapped() units.Pages {
	var used units.Pages
	if m, ok := s.Memory.Get(); ok {
		used = m.SwapTotal - m.SwapFree
	}
	if c, ok := s.Counters.Frontswap.Get(); ok {
		used = min(used, units.Pages(min(c.SuccStores-min(c.Invalidates, c.SuccStores), maxPages)))
	}
	return used
}
