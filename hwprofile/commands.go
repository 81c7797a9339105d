package hwprofile

import (
	"fmt"
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/role"
)

// Commands are the lines that give devices to a guest. Nothing of them has been
// done.
type Commands struct {
	Devices []pci.Address `json:"devices"`
	// Forced are the guards that the user named to get these lines.
	Forced []Guard `json:"forced,omitempty"`
	// Guest is the line of the guest's configuration.
	Guest string `json:"guest_config"`
	// Hide keeps the devices from Dom0's drivers from the next boot on, and what
	// was hidden before stays so; nil where that is not possible.
	Hide     []string `json:"hide,omitempty"`
	HideUndo []string `json:"hide_undo,omitempty"`
	// HideNote says why Hide is nil, or lacks some of the devices.
	HideNote string `json:"hide_note,omitempty"`
	// Now does it until the next boot, NowUndo gives the devices back; both
	// only in Dom0.
	Now     []string `json:"now,omitempty"`
	NowUndo []string `json:"now_undo,omitempty"`
}

// RefusedError says why there are no commands for a device.
type RefusedError struct {
	why   string
	cause error
}

func (r *RefusedError) Error() string { return r.why }

// Unwrap is cause.ErrNotSupported, cause.ErrNeedsRoot or cause.ErrNoData; nil
// where a user may insist.
func (r *RefusedError) Unwrap() error { return r.cause }

func refuse(cause error, format string, args ...any) error {
	return &RefusedError{fmt.Sprintf(format, args...), cause}
}

// Commands returns the lines for some devices and those that must go along.
// The error is a *RefusedError: which device is in the way, why, and under which
// names a user may insist.
func (p *Profile) Commands(of []pci.Address, force []Guard) (Commands, error) {
	var c Commands
	todo := slices.Clone(of)
	for len(todo) > 0 {
		a := todo[0]
		todo = todo[1:]
		r := p.readiness(a)
		switch {
		case r == nil:
			return Commands{}, refuse(cause.ErrNoData, "no device has the address %s", a)
		case slices.Contains(c.Devices, a):
			continue
		case r.Impossible:
			return Commands{}, refuse(cause.ErrNotSupported, "%s cannot go to a guest: %s", a, r.first())
		case r.Answer == Unknown:
			return Commands{}, refuse(cause.ErrNeedsRoot, "whether %s can go to a guest could not be told: %s", a, r.first())
		}
		if names := missing(r.Blocks, force); len(names) > 0 {
			return Commands{}, refuse(nil, "%s is not given away: %s; to insist: %s", a, r.first(), strings.Join(names, " "))
		}
		for _, g := range r.Blocks {
			if !slices.Contains(c.Forced, g) {
				c.Forced = append(c.Forced, g)
			}
		}
		c.Devices = append(c.Devices, a)
		if !slices.Contains(r.Blocks, GuardGroup) { // else its group is torn apart knowingly
			todo = append(todo, r.With...)
		}
	}
	slices.SortFunc(c.Devices, pci.Address.Compare)
	p.fill(&c)
	return c, nil
}

// missing are the options that a user would have to add.
func missing(blocks, force []Guard) []string {
	var names []string
	for _, g := range blocks {
		if !slices.Contains(force, g) {
			names = append(names, "--force "+string(g))
		}
	}
	return names
}

// first is the first of the worst reasons, in words.
func (r *Readiness) first() string {
	worst := finding.Worst(r.Reasons)
	if r.Answer == Unknown {
		worst = finding.CouldNotTell
	}
	for _, f := range r.Reasons {
		if f.Verdict == worst {
			return f.Seen
		}
	}
	return "its readiness is " + string(r.Answer)
}

func (p *Profile) fill(c *Commands) {
	since := func(major, minor int) bool { return p.Xen == nil || !p.Xen.Version.Before(major, minor) }
	options := ""
	// Before 4.6 there was no such key, and no such refusal.
	if slices.Contains(c.Forced, GuardRMRR) && since(4, 6) {
		options = ",rdm_policy=relaxed"
	}
	var hide, late []pci.Address
	quoted := make([]string, 0, len(c.Devices))
	for _, a := range c.Devices {
		one := a.String() + options
		if p.system.late(p.Device(a).Driver.Or("")) {
			late = append(late, a)
			if since(4, 3) {
				one += ",seize=1"
			}
		} else {
			hide = append(hide, a)
		}
		quoted = append(quoted, "'"+one+"'")
		if p.Role == role.Host {
			c.Now = append(c.Now, "xl pci-assignable-add "+a.String())
			c.NowUndo = append(c.NowUndo, "xl pci-assignable-remove -r "+a.String())
		}
	}
	if len(c.Now) > 0 && p.system.pciback != builtIn {
		c.Now = append([]string{"modprobe xen-pciback"}, c.Now...)
	}
	c.Guest = "pci = [ " + strings.Join(quoted, ", ") + " ]"
	var notes []string
	if len(late) > 0 {
		notes = append(notes, "nothing hides "+pci.Join(late)+" at boot: "+lateDriver)
	}
	if len(hide) > 0 {
		if c.Hide, c.HideUndo = p.system.hide(hide, p.modules(hide)); c.Hide == nil {
			notes = append(notes, "how this distribution hides a device at boot is not known: the option is hide="+inBrackets(hide)+" of xen-pciback")
		}
	}
	c.HideNote = strings.Join(notes, "; ")
}

// lateDriver is why a module cannot hide some devices: a module of pciback is
// loaded after all drivers of the kernel itself have taken theirs, and a pciback
// that is part of the kernel comes before them (fs_initcall of pci_stub.c, Linux
// 3.2 to 6.x).
const lateDriver = "its driver is part of the kernel, and takes it before the module xen-pciback is there"

// modules are those of the drivers that must not come first.
func (p *Profile) modules(of []pci.Address) []string {
	var names []string
	for _, a := range of {
		name := p.system.drivers[p.Device(a).Driver.Or("")].module
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func inBrackets(of []pci.Address) string {
	var s strings.Builder
	for _, a := range of {
		fmt.Fprintf(&s, "(%s)", a)
	}
	return s.String()
}
