package pci

import (
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/xen"
)

// bridge is a device with buses below.
type bridge struct {
	at        int // position of its device; none for the root of a domain
	secondary uint8
	last      uint8 // subordinate: the highest bus below
	// pseudo is true for a device that the kernel calls a parent though it is
	// no bridge by its class and header.
	pseudo bool
	// children by number range are searched newest first.
	children []*bridge
	buses    []*busUnder // in the order they were opened
}

type busUnder struct {
	bus     uint8
	devices []int
}

func (b *bridge) bus(n uint8) *busUnder {
	for _, u := range b.buses {
		if u.bus == n {
			return u
		}
	}
	return nil
}

func (b *bridge) open(n uint8) *busUnder {
	u := &busUnder{bus: n}
	b.buses = append(b.buses, u)
	return u
}

// holds tells whether a bus lies below by number. A bridge that the firmware
// left unconfigured (secondary 0) holds nothing: lspci 3.10 and later let it
// swallow bus 0.
func (b *bridge) holds(bus uint8) bool {
	return b.secondary != 0 && b.secondary <= bus && bus <= b.last
}

// findBridges takes for a bridge what has base class 06 and a header of a
// bridge or of CardBus; a prog-if or subclass does not matter.
func (t *Topology) findBridges() {
	for i := range t.Devices {
		d := &t.Devices[i]
		class, known := d.Class.Get()
		if !known || class.Base() != 0x06 {
			continue
		}
		if h, ok := d.Config.HeaderType(); !ok || h != headerBridge && h != headerCardBus {
			continue
		}
		secondary, _ := d.Config.Byte(regSecondary)
		last, ok := d.Config.Byte(regSubordinate)
		if !ok {
			continue
		}
		t.bridges[i] = &bridge{at: i, secondary: secondary, last: last}
	}
	for i := range t.Devices {
		if p := t.parentByPath(i); p != none && t.bridges[p] == nil {
			bus := t.Devices[i].Address.Bus
			t.bridges[p] = &bridge{at: p, secondary: bus, last: bus, pseudo: true}
		}
	}
	for _, b := range t.bridges {
		if b != nil {
			b.open(b.secondary)
		}
	}
}

// parentByPath is the position of the bridge that the kernel's path names.
func (t *Topology) parentByPath(i int) int {
	if a, ok := t.Devices[i].Parent.Get(); ok {
		if p, ok := t.index[a]; ok && p != i {
			return p
		}
	}
	return none
}

// nest gives each bridge the one above it, for the search by number: the
// kernel's, else the tightest range that holds the bus it stands on. It
// returns the root of each domain.
func (t *Topology) nest() map[uint32]*bridge {
	tops := map[uint32]*bridge{}
	for i := range t.Devices {
		if d := t.Devices[i].Address.Domain; tops[d] == nil {
			tops[d] = &bridge{at: none}
		}
	}
	for i := range t.Devices {
		b := t.bridges[i]
		if b == nil {
			continue
		}
		above := tops[t.Devices[i].Address.Domain]
		if p := t.parentByPath(i); p != none {
			above = t.bridges[p]
		} else if c := t.tightest(i); c != nil {
			above = c
		}
		above.children = append(above.children, b)
	}
	return tops
}

func (t *Topology) tightest(i int) *bridge {
	own := t.Devices[i].Address
	var best *bridge
	for j, c := range t.bridges {
		if c == nil || j == i || t.Devices[j].Address.Domain != own.Domain || !c.holds(own.Bus) {
			continue
		}
		if best == nil || c.last-c.secondary < best.last-best.secondary {
			best = c
		}
	}
	return best
}

// put finds the bus of one device: the first of the bridge that the kernel
// names; else the root bus of that number; else the bus of that number below
// the first range that holds it; else a new one.
func (t *Topology) put(i int, tops map[uint32]*bridge) {
	d := &t.Devices[i]
	b := tops[d.Address.Domain]
	var u *busUnder
	if p := t.parentByPath(i); p != none {
		b = t.bridges[p]
		u = b.buses[0]
	} else {
		for u = b.bus(d.Address.Bus); u == nil && !d.OnRootBus; u = b.bus(d.Address.Bus) {
			below := b.below(d.Address.Bus)
			if below == nil {
				break
			}
			b = below
		}
		if u == nil {
			u = b.open(d.Address.Bus)
		}
	}
	u.devices = append(u.devices, i)
	t.place[i] = place{b.at, u.bus}
}

func (b *bridge) below(bus uint8) *bridge {
	for _, c := range slices.Backward(b.children) {
		if c.holds(bus) {
			return c
		}
	}
	return nil
}

// breakLoops moves to a root bus what cannot be reached from one.
func (t *Topology) breakLoops(tops map[uint32]*bridge) {
	reached := make([]bool, len(t.Devices))
	var walk func(b *bridge)
	walk = func(b *bridge) {
		for _, u := range b.buses {
			for _, i := range u.devices {
				if reached[i] {
					continue
				}
				reached[i] = true
				if c := t.bridges[i]; c != nil {
					walk(c)
				}
			}
		}
	}
	for _, top := range tops {
		walk(top)
	}
	for i := range t.Devices {
		if reached[i] {
			continue
		}
		a := t.Devices[i].Address
		from := t.place[i]
		t.Gaps = append(t.Gaps, xen.Gap{
			What: "place of PCI device " + a.String(), Cause: cause.Failed,
			Why: fmt.Sprintf("it stands below itself by way of %s; taken as on root bus %02x", t.Devices[from.parent].Address, a.Bus),
		})
		for _, u := range t.bridges[from.parent].buses {
			u.devices = slices.DeleteFunc(u.devices, func(j int) bool { return j == i })
		}
		top := tops[a.Domain]
		u := top.bus(a.Bus)
		if u == nil {
			u = top.open(a.Bus)
		}
		u.devices = append(u.devices, i)
		slices.Sort(u.devices)
		t.place[i] = place{none, a.Bus}
		reached[i] = true
		if c := t.bridges[i]; c != nil {
			walk(c)
		}
	}
}
