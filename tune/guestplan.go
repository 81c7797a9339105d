package tune

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/toml"
	"xtm/internal/units"
)

// GuestChange is one tunable that gets another value.
type GuestChange struct {
	Tunable guest.Tunable `json:"tunable"`
	From    uint64        `json:"from"`
	To      uint64        `json:"to"`
	// Lasts tells that it is set at each boot, too.
	Lasts bool `json:"lasts"`
	// Undoable is false where the kernel does not take the old value back.
	Undoable bool `json:"undoable"`
}

// String is "selfballoon_interval: 5 → 10 s".
func (c GuestChange) String() string {
	return fmt.Sprintf("%s: %d → %d %s", short(c.Tunable.Name), c.From, c.To, c.Tunable.Unit)
}

// short is a tunable's name without its folder.
func short(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// GuestPlan is what is to be set in a guest.
type GuestPlan struct {
	Changes []GuestChange     `json:"changes"`
	Notes   []finding.Finding `json:"notes,omitempty"`
}

func (p *GuestPlan) note(check string, v finding.Verdict, seen, advice string, commands ...string) {
	p.Notes = append(p.Notes, finding.Finding{Check: check, Subject: "this guest", Verdict: v, Seen: seen, Advice: advice, Commands: commands})
}

// ParseGuestWords reads "selfballoon_interval=10".
func ParseGuestWords(words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%.80q is no setting: want NAME=VALUE", w)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%.80q is set twice", name)
		}
		out[name] = value
	}
	if len(out) == 0 {
		return nil, errors.New("nothing to set: want NAME=VALUE")
	}
	return out, nil
}

// ParseGuestFile reads a file of tunables, strictly.
//
//	selfballoon_interval = 10
//	selfballoon_reserved_mb = 64
func ParseGuestFile(text []byte) (map[string]string, error) {
	var file map[string]any
	if err := toml.Decode(text, &file); err != nil {
		return nil, fmt.Errorf("parse tunables: %w", err)
	}
	out := map[string]string{}
	for name, v := range file {
		n, ok := v.(int64)
		if !ok {
			return nil, fmt.Errorf("parse tunables: %.80q wants a whole number", name)
		}
		out[name] = strconv.FormatInt(n, 10)
	}
	if len(out) == 0 {
		return nil, errors.New("parse tunables: nothing is set")
	}
	return out, nil
}

// Proved tells whether a pool was shown to stand behind this guest, with the
// reason.
type Proved func() (bool, string)

// PlanGuest checks what is wanted of a guest's tunables. proved is asked only when
// selfballooning is to be started.
func PlanGuest(s guest.State, want map[string]string, proved Proved) (GuestPlan, error) {
	release, _ := s.Release.Get()
	balloon, ok := s.Balloon.Get()
	if !ok {
		return GuestPlan{}, &cause.RefusalError{Kind: cause.Blocked, Seen: "this kernel has no balloon driver, so there is nothing to tune", Ways: []string{"what is missing here: xtm status"}}
	}
	known := guest.Tunables(release.Version)
	var p GuestPlan
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t, err := tunable(known, balloon, release, name)
		if err != nil {
			return p, err
		}
		if err := t.Check(want[name]); err != nil {
			return p, err
		}
		n, err := strconv.ParseUint(want[name], 10, 64)
		if err != nil {
			return p, err
		}
		c := GuestChange{Tunable: t, From: balloon.Settings[t.Name], To: n}
		c.Undoable = t.Check(strconv.FormatUint(c.From, 10)) == nil
		// The size is the toolstack's from boot to boot; the start is for
		// xtm guard, which proves the pool each time.
		c.Lasts = t.Name != guest.TargetKiB && (t.Name != guest.Selfballoon || n == 0)
		if t.Name == guest.Selfballoon && n == 1 && c.From != 1 {
			if err := mayStart(s, proved); err != nil {
				return p, err
			}
		}
		if c.From != n || c.Lasts {
			p.Changes = append(p.Changes, c)
		}
	}
	p.warn(s, balloon)
	return p, nil
}

// tunable finds one by its name, with or without its folder.
func tunable(known []guest.Tunable, b guest.Balloon, release guest.Release, name string) (guest.Tunable, error) {
	var names []string
	for _, t := range known {
		_, there := b.Settings[t.Name]
		if t.Name != name && short(t.Name) != name {
			if there {
				names = append(names, short(t.Name))
			}
			continue
		}
		if !there {
			return t, &cause.RefusalError{
				Kind: cause.Blocked, Seen: fmt.Sprintf("this kernel does not show %s, though Linux %s can have it", short(t.Name), release.Version),
				Ways: []string{"it was built without it, or module tmem is not loaded: xtm status"},
			}
		}
		return t, nil
	}
	for _, t := range guest.Tunables(guest.Version{Major: 4, Minor: 19}) {
		if short(t.Name) == name || t.Name == name {
			return t, &cause.RefusalError{Kind: cause.Blocked, Seen: fmt.Sprintf("Linux %s has no %s: it came with %s", release.Version, name, t.Since)}
		}
	}
	return guest.Tunable{}, &cause.RefusalError{Kind: cause.Blocked, Seen: fmt.Sprintf("nothing is called %.80q", name), Ways: []string{"this kernel has: " + strings.Join(names, ", ")}}
}

// mayStart refuses to start selfballooning where nothing takes what the guest
// gives up: it then squeezes itself for nothing.
func mayStart(s guest.State, proved Proved) error {
	if ok, why := proved(); !ok {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: "selfballooning is not started: " + why,
			Ways: []string{"in Dom0: xtm status; a guest that shrinks itself without tmem in its host fails to start programs"},
		}
	}
	if len(s.Swaps.Or(nil)) == 0 {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: "selfballooning is not started: no swap area is active, and a guest that shrinks without one fails to start programs",
			Ways: []string{"make one as large as the guest's maximum memory: xtm enable-tmem --create-swap"},
		}
	}
	return nil
}

// warn looks at what the kernel will compute with the new values.
func (p *GuestPlan) warn(s guest.State, b guest.Balloon) {
	value := func(name string) (uint64, bool) {
		for _, c := range p.Changes {
			if c.Tunable.Name == name {
				return c.To, true
			}
		}
		return b.Settings[name], false
	}
	on, starts := value(guest.Selfballoon)
	if _, sized := value(guest.TargetKiB); sized && on == 1 {
		p.note("overwritten", finding.Warning, "selfballooning is on, and writes target_kb anew at its next step", "Set selfballooning=0 with it.")
	}
	for _, c := range p.Changes {
		if !c.Undoable && c.From != c.To {
			p.note("not-undone", finding.Note, fmt.Sprintf("the kernel does not take %d back for %s: only a reboot does", c.From, short(c.Tunable.Name)), "")
		}
	}
	in, err := s.TargetInput()
	if on != 1 || err != nil {
		return
	}
	up, _ := value(guest.SelfballoonUp)
	down, _ := value(guest.SelfballoonDown)
	shrinking, _ := value(guest.Selfshrinking)
	least, setLeast := value(guest.SelfballoonMin)
	reserved, setReserve := value(guest.SelfballoonReserve)
	_, hasReserve := b.Settings[guest.SelfballoonReserve]
	in.UpHysteresis, in.DownHysteresis, in.Selfshrinking = int64(up), int64(down), shrinking == 1 //nolint:gosec // checked to fit 31 bits
	in.MinUsable, in.Reserved = units.MiB(least), units.MiB(reserved)                             //nolint:gosec // as above
	target, err := guest.ComputeTarget(in)
	if err != nil {
		return
	}
	full := guest.DefaultReserve(max(in.Managed, s.Memory.Or(guest.Memory{}).Zones.Or(guest.Zones{}).Present))
	if hasReserve && (setReserve || starts) && in.Reserved < full/2 {
		p.note("starves", finding.Warning,
			fmt.Sprintf("%d MiB are reserved beyond what processes were promised, which leaves little for the kernel itself and its caches; kernels from 3.14 on reserve a tenth, %d MiB here, "+
				"after guests ran out of memory", in.Reserved, full), "Reserve that much:",
			fmt.Sprintf("xtm tune guest set selfballoon_reserved_mb=%d", max(1, full)))
	}
	own := in
	own.MinUsable = 0
	kernels, errOwn := guest.ComputeTarget(own)
	if setLeast && errOwn == nil && target.Floor < kernels.Floor && target.Floor < in.Committed+in.Reserve {
		p.note("starves", finding.Warning,
			fmt.Sprintf("min_usable %d MiB is less than the kernel's own floor (%d MiB) and than what processes were promised (Committed_AS, %d MiB): "+
				"when they let go of memory and want it back, it is gone until the next step", in.MinUsable, mib(kernels.Floor-in.Reserve), mib(in.Committed)),
			"Set it to no less than the larger of them.")
	}
	p.warnSwap(s, in, target, starts || setLeast || setReserve)
}

// warnSwap compares what the guest will give up with its swap.
func (p *GuestPlan) warnSwap(s guest.State, in guest.TargetInput, t guest.Target, shrinksMore bool) {
	m, ok := s.Memory.Get()
	gives := in.Managed - t.Rest()
	if !ok || !shrinksMore || gives <= 0 || m.SwapFree >= gives {
		return
	}
	p.note("swap-too-small", finding.Warning,
		fmt.Sprintf("it will give up %d MiB and has %d MiB of free swap: what does not fit again while the host is short of memory fails", mib(gives), mib(m.SwapFree)),
		"Give it a swap area as large as its maximum memory.")
}

func mib(p units.Pages) units.MiB { return units.MiB(p.KiB() / 1024) }
