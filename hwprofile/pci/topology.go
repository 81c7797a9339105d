package pci

import (
	"cmp"
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/xen"
)

// Topology is who stands below whom. It is made of what the kernel says where
// it says it, else of the bus numbers in the bridges.
type Topology struct {
	Devices []Device // by address
	// Gaps are contradictions that had to be decided.
	Gaps []xen.Gap

	index   map[Address]int
	bridges []*bridge // by position in Devices; nil: no bridge
	place   []place
	roots   []rootBus // by domain and number
	xen     xenBridges
}

// rootBus is a bus that no bridge stands above.
type rootBus struct {
	domain  uint32
	bus     uint8
	devices []int
}

// place is where a device stands: on a bus of a bridge, or on a root bus.
type place struct {
	parent int // position of the bridge; none on a root bus
	bus    uint8
}

const none = -1

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

// NewTopology places every device exactly once. Where two devices stand on
// each other's buses, the one with the lowest address is put on a root bus and
// a gap says so.
func NewTopology(devices []Device) *Topology {
	t := &Topology{
		Devices: devices, index: make(map[Address]int, len(devices)),
		bridges: make([]*bridge, len(devices)), place: make([]place, len(devices)),
	}
	if !slices.IsSortedFunc(devices, byAddress) {
		t.Devices = slices.SortedStableFunc(slices.Values(devices), byAddress)
	}
	for i := range t.Devices {
		t.index[t.Devices[i].Address] = i
	}
	t.findBridges()
	tops := t.nest()
	for i := range t.Devices {
		t.put(i, tops)
	}
	t.breakLoops(tops)
	t.xen = t.xenBridges()
	for domain, top := range tops {
		for _, u := range top.buses {
			t.roots = append(t.roots, rootBus{domain, u.bus, u.devices})
		}
	}
	slices.SortFunc(t.roots, func(a, b rootBus) int {
		return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.bus, b.bus))
	})
	return t
}

func byAddress(a, b Device) int { return a.Address.Compare(b.Address) }

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

// Device returns the device at an address, nil where there is none.
func (t *Topology) Device(a Address) *Device {
	if i, ok := t.index[a]; ok {
		return &t.Devices[i]
	}
	return nil
}

// Parent returns the bridge above a device, nil on a root bus.
func (t *Topology) Parent(a Address) *Device {
	if i, ok := t.index[a]; ok && t.place[i].parent != none {
		return &t.Devices[t.place[i].parent]
	}
	return nil
}

// Above returns the bridges above a device, the nearest first.
func (t *Topology) Above(a Address) []*Device {
	var up []*Device
	for d := t.Parent(a); d != nil; d = t.Parent(d.Address) {
		up = append(up, d)
	}
	return up
}

// Buses returns the range of buses below a bridge, and whether the device is
// one.
func (t *Topology) Buses(a Address) (secondary, subordinate uint8, ok bool) {
	if i, found := t.index[a]; found {
		if b := t.bridges[i]; b != nil {
			return b.secondary, b.last, true
		}
	}
	return 0, 0, false
}

// siblings are the other functions of the same device.
func (t *Topology) siblings(i int) []int {
	var same []int
	for fn := range uint8(8) {
		if j, ok := t.index[t.Devices[i].Address.WithFunction(fn)]; ok && j != i {
			same = append(same, j)
		}
	}
	return same
}
