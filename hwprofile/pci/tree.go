package pci

// Tree is every function at its place, each exactly once.
type Tree struct {
	Roots []Bus `json:"roots"`
}

// Bus is one bus and what stands on it, by address.
type Bus struct {
	Domain  uint32 `json:"domain"`
	Number  uint8  `json:"number"`
	Devices []Node `json:"devices,omitempty"`
}

// Node is one function; a bridge has its buses below.
type Node struct {
	Address Address `json:"address"`
	// Bridge is nil for what is no bridge.
	Bridge *Bridge `json:"bridge,omitempty"`
}

// Bridge is the range of bus numbers that a bridge passes on, as its registers
// say (0–0: the firmware left it unconfigured), and the buses found below.
type Bridge struct {
	Secondary   uint8 `json:"secondary"`
	Subordinate uint8 `json:"subordinate"`
	// Pseudo is true for a function that only the kernel's path shows to be a
	// bridge; its range is then the bus of its first child.
	Pseudo bool  `json:"pseudo,omitempty"`
	Buses  []Bus `json:"buses"`
}

// Tree returns the topology as plain data.
func (t *Topology) Tree() Tree {
	tree := Tree{Roots: make([]Bus, 0, len(t.roots))}
	for _, r := range t.roots {
		tree.Roots = append(tree.Roots, t.bus(r.domain, r.bus, r.devices))
	}
	return tree
}

func (t *Topology) bus(domain uint32, n uint8, devices []int) Bus {
	bus := Bus{Domain: domain, Number: n, Devices: make([]Node, 0, len(devices))}
	for _, i := range devices {
		node := Node{Address: t.Devices[i].Address}
		if b := t.bridges[i]; b != nil {
			node.Bridge = &Bridge{Secondary: b.secondary, Subordinate: b.last, Pseudo: b.pseudo}
			for _, u := range b.buses {
				node.Bridge.Buses = append(node.Bridge.Buses, t.bus(node.Address.Domain, u.bus, u.devices))
			}
		}
		bus.Devices = append(bus.Devices, node)
	}
	return bus
}
