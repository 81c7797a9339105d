package acpi

import (
	"fmt"

	"xtm/hwprofile/pci"
)

// Resolve follows a scope to the function it names, through the bridges' bus
// numbers of now. The error says where the way ends; I/O APICs and HPETs often
// have an address at which no function answers.
func (s Scope) Resolve(segment uint16, t *pci.Topology) (pci.Address, error) {
	bus := s.StartBus
	var a pci.Address
	for i, hop := range s.Path {
		a = pci.Address{Domain: uint32(segment), Bus: bus, Device: hop.Device, Function: hop.Function}
		if i == len(s.Path)-1 {
			break
		}
		secondary, _, ok := t.Buses(a)
		if !ok {
			return a, fmt.Errorf("resolve scope: %s is no bridge: %w", a, ErrTable)
		}
		bus = secondary
	}
	if t.Device(a) == nil {
		return a, fmt.Errorf("resolve scope: no function at %s: %w", a, ErrTable)
	}
	return a, nil
}

// covers tells whether a scope names a function, or a bridge above it.
func (s Scope) covers(segment uint16, t *pci.Topology, a pci.Address) bool {
	if s.Type != ScopeEndpoint && s.Type != ScopeBridge || uint32(segment) != a.Domain {
		return false
	}
	named, err := s.Resolve(segment, t)
	if err != nil {
		return false
	}
	if named == a {
		return true
	}
	if s.Type == ScopeBridge {
		for _, b := range t.Above(a) {
			if b.Address == named {
				return true
			}
		}
	}
	return false
}

func covered(scopes []Scope, segment uint16, t *pci.Topology, a pci.Address) bool {
	for _, s := range scopes {
		if s.covers(segment, t, a) {
			return true
		}
	}
	return false
}

// UnitFor returns the unit that translates for a function: the one that names
// it or a bridge above, else the one of all others of its segment; nil where
// there is none, and the function then reaches all memory.
func (t DMAR) UnitFor(top *pci.Topology, a pci.Address) *Unit {
	var rest *Unit
	for i := range t.Units {
		u := &t.Units[i]
		if covered(u.Scopes, u.Segment, top, a) {
			return u
		}
		if u.IncludeAll && uint32(u.Segment) == a.Domain && rest == nil {
			rest = u
		}
	}
	return rest
}

// ReservedFor returns the reserved ranges that a function uses.
func (t DMAR) ReservedFor(top *pci.Topology, a pci.Address) []ReservedMemory {
	var found []ReservedMemory
	for _, r := range t.Reserved {
		if covered(r.Scopes, r.Segment, top, a) {
			found = append(found, r)
		}
	}
	return found
}

// Shared tells whether the firmware ties more than one device to the range.
// Xen then gives none of them away without rdm_policy=relaxed; it counts what
// the table names, present or not (xen/drivers/passthrough/vtd/iommu.c 4.6).
func (r ReservedMemory) Shared() bool { return len(r.Scopes) > 1 }

// Devices are the functions that the range is for and that are there.
func (r ReservedMemory) Devices(t *pci.Topology) []pci.Address {
	var found []pci.Address
	for i := range t.Devices {
		if a := t.Devices[i].Address; covered(r.Scopes, r.Segment, t, a) {
			found = append(found, a)
		}
	}
	return found
}
