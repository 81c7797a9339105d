package pci

import (
	"cmp"
	"slices"

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
