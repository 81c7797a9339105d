package tune

import (
	"fmt"

	"xtm/guest"
	"xtm/internal/units"
)

// Explain writes the target that the kernel computes at its next step, its
// formula with the numbers put in, in pages of 4 KiB.
func Explain(in guest.TargetInput, t guest.Target) []string {
	g := func(p units.Pages) string { return units.Group(p) }
	goal := "committed " + g(in.Committed)
	if in.Kernel.AtLeast(3, 2) {
		goal += " + kernel's reserve " + g(in.Reserve) + fmt.Sprintf(" + reserved %s (%d MiB)", g(in.Reserved.KiB().Pages()), in.Reserved)
	}
	if in.Selfshrinking {
		goal += " + in frontswap " + g(in.Frontswapped)
	}
	lines := []string{"goal = " + goal + " = " + g(t.Goal)}
	if in.Managed > t.Goal {
		lines = append(lines, fmt.Sprintf("step = managed %s − (%s − %s)/%d = %s", g(in.Managed), g(in.Managed), g(t.Goal), in.DownHysteresis, g(t.Step)))
	} else {
		lines = append(lines, fmt.Sprintf("step = managed %s + (%s − %s)/%d = %s", g(in.Managed), g(t.Goal), g(in.Managed), in.UpHysteresis, g(t.Step)))
	}
	lines = append(lines, "floor = "+floorText(in, t))
	return append(lines, fmt.Sprintf("target = the larger of step and floor, %s, and what the kernel took at its start, %s: %s = %s KiB",
		g(t.Next), g(in.Current-in.Managed), g(t.Balloon), units.Group(t.Balloon.KiB())))
}

// floorText is how the floor came about.
func floorText(in guest.TargetInput, t guest.Target) string {
	g := func(p units.Pages) string { return units.Group(p) }
	useful := fmt.Sprintf("; useful = last page %s − reserve %s = %s", g(in.MaxPFN), g(in.Reserve), g(t.Useful))
	above := func(base units.MiB, share int) string {
		b := base.KiB().Pages()
		return fmt.Sprintf("reserve %s + %d MiB + (useful − %d MiB)/%d = %s + %s + %s/%d = %s", g(in.Reserve), base, base, share,
			g(in.Reserve), g(b), g(t.Useful-b), share, g(t.Floor)) + useful
	}
	switch t.FloorRule {
	case guest.FloorSet:
		return fmt.Sprintf("reserve %s + min_usable %d MiB = %s", g(in.Reserve), in.MinUsable, g(t.Floor))
	case guest.FloorTiny:
		return g(t.Floor) + ", all it has: below 16 MiB useful it does not balloon" + useful
	case guest.FloorSmall:
		return above(16, 2)
	case guest.FloorMedium:
		return above(40, 8)
	case guest.FloorLarge:
		return above(99, 32)
	default:
		return "none in this kernel"
	}
}

// GuestTunable is a tunable with its value now.
type GuestTunable struct {
	guest.Tunable
	Value uint64 `json:"value"`
}

// GuestView is what there is to tune in a guest.
type GuestView struct {
	Schema   int                `json:"schema"`
	Kernel   string             `json:"kernel"`
	Tunables []GuestTunable     `json:"tunables"`
	Input    *guest.TargetInput `json:"target_input,omitempty"`
	Target   *guest.Target      `json:"target,omitempty"`
	Formula  []string           `json:"formula,omitempty"`
	// NoTarget is why there is no target.
	NoTarget string `json:"no_target,omitempty"`
}

// ViewGuest lists the tunables that this kernel shows, and explains its target.
func ViewGuest(s guest.State) GuestView {
	release, _ := s.Release.Get()
	v := GuestView{Schema: 1, Kernel: release.Text, Tunables: []GuestTunable{}}
	b, _ := s.Balloon.Get()
	for _, t := range guest.Tunables(release.Version) {
		if n, ok := b.Settings[t.Name]; ok {
			v.Tunables = append(v.Tunables, GuestTunable{t, n})
		}
	}
	in, err := s.TargetInput()
	if err == nil {
		var t guest.Target
		if t, err = guest.ComputeTarget(in); err == nil {
			v.Input, v.Target, v.Formula = &in, &t, Explain(in, t)
			if !b.Shrinks() {
				v.NoTarget = "selfballooning is off: this is what it would do"
			}
			return v
		}
	}
	v.NoTarget = err.Error()
	return v
}
