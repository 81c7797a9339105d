package pci

import (
	"fmt"

	"xtm/internal/opt"
)

// Requester is an id under which the requests of a function may reach the
// IOMMU, and which side makes a mapping for it. An id that the hardware uses
// and Xen does not map is a fault at the first transfer.
type Requester struct {
	ID Address `json:"id"`
	// Linux and Xen tell who maps the id when the function is given away.
	Linux bool `json:"linux"`
	Xen   bool `json:"xen"`
	// Why says where the id comes from.
	Why string `json:"why"`
}

// Requesters returns the ids for a function: its own first, then those of
// bridges on the way up and those that Linux knows as a fault of the part.
// Linux: pci_for_each_dma_alias, drivers/pci/search.c 4.19. Xen: its VT-d
// driver's domain_context_mapping, 4.4 to 4.17.
func (t *Topology) Requesters(a Address) []Requester {
	i, ok := t.index[a]
	if !ok {
		return nil
	}
	ids := []Requester{{ID: a, Linux: true, Xen: true, Why: "the function itself"}}
	add := func(r Requester) {
		for k := range ids {
			if ids[k].ID == r.ID {
				ids[k].Linux = ids[k].Linux || r.Linux
				ids[k].Xen = ids[k].Xen || r.Xen
				return
			}
		}
		ids = append(ids, r)
	}
	for _, k := range t.Devices[i].dmaAliases() {
		add(Requester{ID: k, Linux: true, Why: "the part is known to use this id too (quirk of Linux); Xen needs pci-phantom="})
	}
	for b := t.place[i].parent; b != none; b = t.place[b].parent {
		hides, _ := t.conventional(b)
		if !hides {
			continue
		}
		d := &t.Devices[b]
		secondary, _, _ := t.Buses(d.Address)
		below := Address{Domain: d.Address.Domain, Bus: secondary}
		kind, express := d.Capabilities.Express.Get()
		switch {
		case express && kind == ExpressToPCI:
			add(Requester{ID: below, Linux: true, Why: fmt.Sprintf("the bridge %s may use the first id of its secondary bus", d.Address)})
		case t.hiddenExpress(b) && knownHidden(d.ID.Or(ID{})):
			add(Requester{ID: below, Linux: true, Why: fmt.Sprintf("the bridge %s (%s) uses the first id of its secondary bus (quirk of Linux)", d.Address, d.ID.Or(ID{}))})
		default:
			add(Requester{ID: d.Address, Linux: true, Why: fmt.Sprintf("the bridge %s may use its own id", d.Address)})
			if t.hiddenExpress(b) {
				add(Requester{ID: below, Why: fmt.Sprintf("the bridge %s lacks the PCI Express capability it should have; some such parts use the first id of their secondary bus", d.Address)})
			}
		}
	}
	// Xen looks at bridges for conventional functions only.
	if d := &t.Devices[i]; !d.Capabilities.Express.Has() && t.bridges[i] == nil {
		if top, secondary, ok := t.xen.top(a); ok {
			add(Requester{ID: top, Xen: true, Why: fmt.Sprintf("Xen maps the bridge %s too", top)})
			if kind, express := t.Device(top).Capabilities.Express.Get(); express && kind == ExpressToPCI {
				first := Address{Domain: a.Domain, Bus: secondary}
				add(Requester{ID: first, Xen: true, Why: "Xen maps the first id of the secondary bus too"})
			}
		}
	}
	return ids
}

// hiddenExpress tells whether a bridge stands below an Express port and claims
// to be conventional all the same. It must then be a bridge from Express that
// lacks the capability: nothing else fits on an Express link.
func (t *Topology) hiddenExpress(b int) bool {
	d := &t.Devices[b]
	if h, ok := d.Config.HeaderType(); !ok || h != headerBridge || t.onRoot(b) || d.Capabilities.Express.Has() || d.Capabilities.Extent != ExtentAll {
		return false
	}
	kind, express := t.Devices[t.place[b].parent].Capabilities.Express.Get()
	return express && kind != ExpressToPCI
}

// HiddenBridge returns the bridge above a function that should have the PCI
// Express capability and has not, nil where there is none; known tells whether
// Linux has a quirk for it. Xen has none for any of them.
func (t *Topology) HiddenBridge(a Address) (bridge *Device, known bool) {
	for _, d := range t.Above(a) {
		if i := t.index[d.Address]; t.hiddenExpress(i) {
			return d, knownHidden(d.ID.Or(ID{}))
		}
	}
	return nil, false
}

// knownHidden lists the bridges that Linux corrects
// (quirk_use_pcie_bridge_dma_alias): ASMedia 1083 and 1085, Tundra, ITE, Intel.
func knownHidden(id ID) bool {
	switch id {
	case ID{0x1b21, 0x1080}, ID{0x10e3, 0x8113}, ID{0x1283, 0x8892}, ID{0x1283, 0x8893}, ID{vendorIntel, 0x244e}:
		return true
	default:
		return false
	}
}

// alias is another device with which a function shares an id.
type alias struct {
	device int
	why    string
}

// aliases are the devices that use an id of this one, or whose id it uses.
func (t *Topology) aliases(i int) []alias {
	var found []alias
	for _, a := range t.Devices[i].dmaAliases() {
		if k, ok := t.index[a]; ok && k != i {
			found = append(found, alias{k, "it uses the other's requester id (quirk of Linux)"})
		}
	}
	return found
}

// dmaAliases are ids of its own bus that a part is known to use beside its
// own: quirk_dma_func0_alias, quirk_dma_func1_alias and quirk_fixed_dma_alias
// of Linux 6.1.
func (d *Device) dmaAliases() []Address {
	id := d.ID.Or(ID{})
	function := func(fn uint8) []Address {
		if d.Address.Function == fn {
			return nil
		}
		return []Address{d.Address.WithFunction(fn)}
	}
	switch id {
	case ID{0x1180, 0xe832}, ID{0x1180, 0xe476}: // Ricoh
		return function(0)
	case ID{0x1b4b, 0x9120}, ID{0x1b4b, 0x9123}, ID{0x1b4b, 0x9125}, ID{0x1b4b, 0x9128}, ID{0x1b4b, 0x9130},
		ID{0x1b4b, 0x9170}, ID{0x1b4b, 0x9172}, ID{0x1b4b, 0x917a}, ID{0x1b4b, 0x9182}, ID{0x1b4b, 0x9183},
		ID{0x1b4b, 0x91a0}, ID{0x1b4b, 0x9215}, ID{0x1b4b, 0x9220}, ID{0x1b4b, 0x9230}, ID{0x1b4b, 0x9235}, // Marvell
		ID{0x1103, 0x0642}, ID{0x1103, 0x0645}, // HighPoint
		ID{0x197b, 0x2392}, // JMicron
		ID{0x1c28, 0x0122}: // Lite-On
		return function(1)
	case ID{0x9005, 0x0285}: // Adaptec 3405, 3805
		if sub := d.Subsystem.Or(ID{}); sub == (ID{0x9005, 0x02bb}) || sub == (ID{0x9005, 0x02bc}) {
			a := d.Address
			a.Device, a.Function = 1, 0
			return []Address{a}
		}
	}
	return nil
}

// xenBridges is Xen's table bus2bridge: for each bus of a domain, the
// conventional bridge that leads to it. The last bridge by address wins
// (alloc_pdev, xen/drivers/passthrough/pci.c 4.17).
type xenBridges map[uint32]*[256]opt.Value[Address]

func (t *Topology) xenBridges() xenBridges {
	up := xenBridges{}
	for i, b := range t.bridges {
		d := &t.Devices[i]
		if b == nil || d.Class.Or(0).Sub() != PCIBridge {
			continue
		}
		if kind, express := d.Capabilities.Express.Get(); express && kind != ExpressToPCI {
			continue
		}
		if up[d.Address.Domain] == nil {
			up[d.Address.Domain] = new([256]opt.Value[Address])
		}
		for bus := int(b.secondary); bus <= int(b.last); bus++ {
			up[d.Address.Domain][bus] = opt.Of(d.Address)
		}
	}
	return up
}

// top is the uppermost conventional bridge above a function, with the bus
// below it on the way; false where there is none. Bus 0 is never behind one.
func (up xenBridges) top(a Address) (bridge Address, secondary uint8, ok bool) {
	buses := up[a.Domain]
	if buses == nil || a.Bus == 0 {
		return a, 0, false
	}
	bus := a.Bus
	for range len(buses) {
		above, found := buses[bus].Get()
		if !found {
			return bridge, secondary, ok
		}
		bridge, secondary, ok = above, bus, true
		bus = above.Bus
	}
	return a, 0, false // a loop: Xen gives up too
}
