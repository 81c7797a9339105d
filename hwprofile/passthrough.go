package hwprofile

import (
	"fmt"
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/role"
)

// Readiness is whether one device can go to a guest, and why.
type Readiness struct {
	Address pci.Address `json:"address"`
	Name    string      `json:"name"`
	Answer  Answer      `json:"answer"`
	// With are the other functions that go along: the rest of its group less
	// the bridges, which stay.
	With []pci.Address `json:"with,omitempty"`
	// Blocks are the guards that stand in the way and that a user may name to
	// get the commands all the same.
	Blocks []Guard `json:"blocks,omitempty"`
	// Impossible is true where no guard's name helps.
	Impossible bool `json:"impossible,omitempty"`
	// Reasons are all that was looked at, each with its verdict.
	Reasons []finding.Finding `json:"reasons"`
	// Identity tells the device from another that gets its address later.
	Identity Identity `json:"identity"`
}

// Answer is one of four.
type Answer string

// The answers.
const (
	Ready       Answer = "ready"
	Conditional Answer = "ready_with_conditions"
	NotReady    Answer = "no"
	Unknown     Answer = "could_not_tell"
)

// readiness returns that of a device, nil where there is no such device.
func (p *Profile) readiness(a pci.Address) *Readiness {
	i, ok := slices.BinarySearchFunc(p.Passthrough, a, func(r Readiness, a pci.Address) int { return r.Address.Compare(a) })
	if !ok {
		return nil
	}
	return &p.Passthrough[i]
}

// assess judges each device.
func (p *Profile) assess() {
	lines, pages := p.lineInterrupts(), p.sharedPages()
	p.Passthrough = make([]Readiness, 0, len(p.Devices))
	for i := range p.Devices {
		d := &p.Devices[i]
		a := assessment{p: p, d: d, r: Readiness{Address: d.Address, Name: d.Name, Identity: identityOf(&d.Device)}}
		if a.possible() {
			a.guards()
			a.group()
			a.requesters()
			a.reserved()
			a.reset()
			a.interrupt(lines)
			a.pages(pages)
			a.holder()
		}
		p.Passthrough = append(p.Passthrough, a.done())
	}
}

// assessment is the judging of one device.
type assessment struct {
	p *Profile
	d *Device
	r Readiness
}

// say adds a reason.
func (a *assessment) say(v finding.Verdict, check, seen, advice string, evidence ...finding.Evidence) {
	a.r.Reasons = append(a.r.Reasons, finding.Finding{
		Check: check, Subject: a.d.Address.String(), Verdict: v, Seen: seen, Advice: advice, Evidence: evidence,
	})
}

// block is a reason that a user may overrule by naming it.
func (a *assessment) block(g Guard, seen, advice string) {
	a.say(finding.Bad, string(g), seen, advice)
	if !slices.Contains(a.r.Blocks, g) {
		a.r.Blocks = append(a.r.Blocks, g)
	}
}

// never is a reason that nothing overrules.
func (a *assessment) never(check, seen, advice string) {
	a.say(finding.Bad, check, seen, advice)
	a.r.Impossible = true
}

func (a *assessment) done() Readiness {
	switch worst := finding.Worst(a.r.Reasons); {
	case worst == finding.Bad:
		a.r.Answer = NotReady
	case slices.ContainsFunc(a.r.Reasons, func(f finding.Finding) bool { return f.Verdict == finding.CouldNotTell }):
		a.r.Answer = Unknown
	case worst == finding.Warning:
		a.r.Answer = Conditional
	default:
		a.r.Answer = Ready
	}
	return a.r
}

// part names a function that the machine is made of; "" for others.
func part(c opt.Value[pci.Class]) string {
	class, known := c.Get()
	switch {
	case !known:
		return ""
	case class.Sub() == pci.HostBridge:
		return "a host bridge"
	case class.Sub() == pci.ISABridge:
		return "the bridge to the board's own devices (LPC)"
	case class.Sub() == pci.SMBus:
		return "the board's management bus"
	case class.Base() == 0x06:
		return "a bridge"
	case class.Sub() == 0x0806:
		return "an IOMMU"
	case class.Base() == 0x05:
		return "a memory controller"
	default:
		return ""
	}
}

// PartOfTheMachine is the check of a function that no guest will ever have:
// there is nothing more to say of it.
const PartOfTheMachine = "part-of-the-machine"

// possible says what makes further questions idle.
func (a *assessment) possible() bool {
	i := a.p.IOMMU
	switch what := part(a.d.Class); {
	case what != "":
		a.never(PartOfTheMachine, "it is "+what+", which belongs to the machine itself", "")
		return false
	case !a.d.Class.Has() || !a.d.ID.Has():
		a.say(finding.CouldNotTell, "identity", "what it is could not be read", "")
		return false
	case a.p.Role == role.Guest:
		a.never("role", "this is a guest: only Dom0 gives devices away", "run it in Dom0")
		return false
	case i.State == IOMMUUnknown:
		a.say(finding.CouldNotTell, "iommu", i.Reason, i.Remedy)
	case i.On():
		a.say(finding.Good, "iommu", i.Reason, "")
		if remapped, ok := i.InterruptRemapping.Get(); ok && !remapped {
			a.say(finding.Warning, "interrupt-remapping", "interrupts are not remapped: a guest with a device can disturb the host with forged ones", i.Remedy)
		}
	case a.p.Role != role.Host && i.State == IOMMUOff:
		a.say(finding.Warning, "iommu", i.Reason+"; Xen would use it", i.Remedy)
	default:
		a.never("iommu", "without an IOMMU a guest with a device reaches all memory: "+i.Reason, i.Remedy)
	}
	return a.served()
}

// guards refuses what the machine itself needs.
func (a *assessment) guards() {
	for _, u := range a.p.Uses {
		if u.Address == a.d.Address {
			a.block(u.Guard, "the machine needs it: "+strings.Join(u.Chain, " → "), "")
		}
	}
}

// mostTogether bounds a group that can be given away as a whole; the largest
// real card has 8 functions, and one behind a switch a few dozen.
const mostTogether = 256

func (a *assessment) group() {
	if a.p.GroupsBy == "" {
		a.say(finding.CouldNotTell, "group", "what it can be kept apart from is not known: the configuration spaces could not be read", "run it as root")
		return
	}
	g := pci.Find(a.p.Groups, a.d.Address)
	if g == nil {
		a.say(finding.Warning, "group", "the kernel put it into no group: no IOMMU looks after it", "")
		return
	}
	if len(g.Members) > mostTogether {
		a.never("group", fmt.Sprintf("it cannot be kept apart from %d others", len(g.Members)-1), "")
		return
	}
	var bridges, blocked []string
	for _, m := range g.Members {
		mate := a.p.Device(m)
		if m == a.d.Address || mate == nil {
			continue
		}
		if mate.Class.Or(0).Base() == 0x06 && a.above(m) {
			bridges = append(bridges, m.String())
			continue
		}
		a.r.With = append(a.r.With, m)
		if what := part(mate.Class); what != "" {
			blocked = append(blocked, fmt.Sprintf("%s is %s", m, what))
		}
		for _, u := range a.p.Uses {
			if u.Address == m {
				blocked = append(blocked, fmt.Sprintf("the machine needs %s (%s)", m, u.Guard))
				break
			}
		}
	}
	why := finding.Evidence{Name: "group", Value: strings.Join(g.Why, "; "), Source: string(a.p.GroupsBy)}
	switch {
	case len(blocked) > 0:
		a.block(GuardGroup, "it cannot be kept apart from what must stay: "+strings.Join(blocked, "; "),
			"give away another device")
		a.r.Reasons[len(a.r.Reasons)-1].Evidence = []finding.Evidence{why}
	case len(a.r.With) > 0:
		a.say(finding.Warning, "group", "it cannot be kept apart from "+pci.Join(a.r.With)+": they go to the same guest together", "", why)
	case len(bridges) > 0:
		a.say(finding.Good, "group", "nothing but the bridge above is in its group: "+strings.Join(bridges, ", "), "", why)
	default:
		a.say(finding.Good, "group", "it is alone in its group", "", why)
	}
	if x := pci.Find(a.p.XenGroups, a.d.Address); x != nil && !slices.Equal(x.Members, g.Members) && len(a.r.With)+len(x.Members) > 1 {
		mates := slices.DeleteFunc(slices.Clone(x.Members), func(m pci.Address) bool { return m == a.d.Address })
		seen := "Xen itself would let it go alone: it ignores access control between devices"
		if len(mates) > 0 {
			seen = "Xen itself, which ignores access control between devices, ties it to " + pci.Join(mates)
		}
		a.say(finding.Note, "xen-group", seen, "")
	}
}

// above tells whether a bridge stands on the device's way to the root.
func (a *assessment) above(b pci.Address) bool {
	return slices.ContainsFunc(a.p.topology.Above(a.d.Address), func(d *pci.Device) bool { return d.Address == b })
}
