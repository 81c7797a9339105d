package hwprofile

import (
	"fmt"
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/opt"
)

// Identity tells a device from any other, whatever its address is by then: a
// card put in or taken out renumbers the buses behind it.
type Identity struct {
	Address   pci.Address       `json:"address"`
	ID        opt.Value[pci.ID] `json:"id,omitzero"`
	Subsystem opt.Value[pci.ID] `json:"subsystem,omitzero"`
	// Path is the way from the root bus by slots, without bus numbers:
	// "0000:00/1c.3/00.0"; "" where the kernel's path was not known.
	Path string `json:"path,omitempty"`
}

// Saved is what detect passthrough --save writes and --compare reads.
type Saved struct {
	Schema  int        `json:"schema"`
	Devices []Identity `json:"devices"`
}

func identityOf(d *pci.Device) Identity {
	return Identity{d.Address, d.ID, d.Subsystem, slots(d.Path)}
}

// slots drops the bus numbers of a path of sysfs:
//
//	/sys/devices/pci0000:00/0000:00:1c.3/0000:03:00.0
func slots(path string) string {
	_, rest, ok := strings.Cut(path, "/pci")
	if !ok {
		return ""
	}
	parts := strings.Split(rest, "/")
	for i, s := range parts[1:] {
		a, err := pci.ParseAddress(s)
		if err != nil {
			return ""
		}
		parts[i+1] = fmt.Sprintf("%02x.%x", a.Device, a.Function)
	}
	return strings.Join(parts, "/")
}

// same tells whether both are one part; where it stands is another question.
func (i Identity) same(o Identity) bool { return i.ID == o.ID && i.Subsystem == o.Subsystem }

// Identities are those of some devices; of all that are no part of the machine
// where none is named.
func (p *Profile) Identities(of []pci.Address) Saved {
	s := Saved{Schema: Schema, Devices: []Identity{}}
	for _, r := range p.Passthrough {
		if d := p.Device(r.Address); len(of) == 0 && part(d.Class) == "" || slices.Contains(of, r.Address) {
			s.Devices = append(s.Devices, r.Identity)
		}
	}
	return s
}

// Compare looks for each saved device among those of now. A device that moved
// is a problem: lines that name its old address hide another device, or none.
func (p *Profile) Compare(s Saved) []finding.Finding {
	out := make([]finding.Finding, 0, len(s.Devices))
	taken := map[pci.Address]bool{}
	for _, was := range s.Devices {
		f := finding.Finding{
			Check: "moved", Subject: was.Address.String(), Verdict: finding.Good, Seen: "it is where it was",
			Evidence: []finding.Evidence{{Name: "identity", Value: was.String(), Source: "saved"}},
		}
		now := p.find(was, taken)
		here := p.readiness(was.Address)
		switch {
		case now == nil && here == nil:
			f.Verdict, f.Seen = finding.Warning, "it is gone: no "+was.ID.Or(pci.ID{}).String()+" is in this machine, and nothing has its address"
			f.Advice = "take its address out of guests' configurations and of what hides it"
		case now == nil:
			f.Verdict, f.Seen = finding.Dangerous, fmt.Sprintf("it is gone, and its address is now that of %s (%s)", here.Name, here.Identity.ID.Or(pci.ID{}))
			f.Advice = "take this address out of guests' configurations and of what hides it, before it takes a device from this machine"
		case now.Address == was.Address:
			taken[now.Address] = true
			if was.Path != "" && now.Identity.Path != was.Path {
				f.Verdict, f.Seen = finding.Note, fmt.Sprintf("it has its address, but stands in another place: %s instead of %s", now.Identity.Path, was.Path)
			}
		default:
			taken[now.Address] = true
			f.Verdict, f.Seen = finding.Warning, fmt.Sprintf("it moved to %s", now.Address)
			f.Advice = "put the new address into guests' configurations and into what hides it"
			if here != nil {
				f.Verdict = finding.Dangerous
				f.Seen += fmt.Sprintf(", and its old address is now that of %s (%s)", here.Name, here.Identity.ID.Or(pci.ID{}))
			}
			f.Commands = []string{"xtm detect passthrough " + now.Address.String()}
		}
		out = append(out, f)
	}
	return out
}

// String is the identity in a line.
func (i Identity) String() string {
	s := i.ID.Or(pci.ID{}).String()
	if sub, ok := i.Subsystem.Get(); ok {
		s += " subsystem " + sub.String()
	}
	if i.Path != "" {
		s += " at " + i.Path
	}
	return s
}

// find looks for a saved device: the same part in the same place first, then
// at the same address, then anywhere, if it is the only one.
func (p *Profile) find(was Identity, taken map[pci.Address]bool) *Readiness {
	var alike []*Readiness
	for i := range p.Passthrough {
		if r := &p.Passthrough[i]; r.Identity.same(was) && !taken[r.Address] {
			alike = append(alike, r)
		}
	}
	for _, r := range alike {
		if was.Path != "" && r.Identity.Path == was.Path {
			return r
		}
	}
	for _, r := range alike {
		if r.Address == was.Address {
			return r
		}
	}
	if len(alike) == 1 {
		return alike[0]
	}
	return nil
}
