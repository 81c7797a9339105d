package pcitest

import (
	"fmt"
	"math/rand/v2"

	"xtm/hwprofile/pci"
)

// Random is a made-up host with what real ones do to a tree: several domains
// and root buses, empty and unconfigured bridges, gaps in the numbers, bridges
// by header that are none by class and the other way round, CardBus, functions
// without a function 0, ids that no file knows.
func Random(r *rand.Rand) Host {
	g := generator{r: r}
	domains := []uint32{0}
	if r.IntN(4) == 0 {
		domains = append(domains, 1)
	}
	if r.IntN(6) == 0 {
		domains = append(domains, 0x10000)
	}
	for _, domain := range domains {
		first := 0
		if r.IntN(8) == 0 {
			first = 1 + r.IntN(3)
		}
		g.domain, g.next = domain, first
		g.bus(g.take(), 0)
		for _, root := range []int{0x40, 0x7f, 0x80, 0xff} {
			if r.IntN(5) == 0 && g.next <= root {
				g.next = root
				g.bus(g.take(), 2)
			}
		}
	}
	return g.host
}

type generator struct {
	r      *rand.Rand
	host   Host
	domain uint32
	next   int // the next free bus number
}

func (g *generator) take() uint8 {
	n := g.next
	g.next++
	return uint8(n)
}

// randomIDs mixes pairs that tests name, vendors that they name, and neither.
var randomIDs = []string{
	"8086:8c10", "8086:0c08", "8086:1533", "8086:ffee", "1000:0072", "104c:8023",
	"10e3:8113", "1b21:0612", "abcd:1234", "1912:0015", "dead:beef",
}

// few leaves out what lspci does not look at, to have fewer files.
var few = []string{"revision", "numa_node", "subsystem_vendor", "subsystem_device", "boot_vga"}

// bus fills one bus and, with fewer children the deeper it is, those below.
func (g *generator) bus(n uint8, depth int) {
	slots := g.r.IntN(6 - depth)
	if depth == 0 {
		slots += 2
	}
	slot := g.r.IntN(4)
	for range slots {
		functions := 1
		if g.r.IntN(5) == 0 {
			functions = 2 + g.r.IntN(3)
		}
		fn := 0
		if g.r.IntN(12) == 0 {
			fn = 1
		}
		for range functions {
			g.function(n, slot, fn, depth, functions > 1)
			fn += 1 + g.r.IntN(2)
			if fn > 7 {
				break
			}
		}
		if slot += 1 + g.r.IntN(6); slot > 31 {
			break
		}
	}
}

func (g *generator) function(bus uint8, slot, fn, depth int, multi bool) {
	d := Device{
		At: pci.Address{Domain: g.domain, Bus: bus, Device: uint8(slot), Function: uint8(fn)}.String(),
		ID: randomIDs[g.r.IntN(len(randomIDs))], Class: 0x020000, Multifunction: multi, Omit: few,
	}
	if g.r.IntN(2) == 0 {
		d.Express = new(pci.Endpoint)
	}
	room := depth < 5 && g.next < 0xf0
	switch kind := g.r.IntN(64); {
	case kind < 16 && room:
		g.bridge(d, bus, depth)
		return
	case kind == 16: // never configured by the firmware
		d.Header, d.Class = 1, 0x060400
	case kind < 20: // a bridge by class only
		d.Class = 0x060400
	case kind < 24: // by header only
		d.Header, d.Class, d.Secondary, d.Subordinate = 1, 0x088000, uint8(g.next), uint8(g.next)
	case kind < 28:
		d.Class = 0x060000
	}
	g.host = append(g.host, d)
}

func (g *generator) bridge(d Device, bus uint8, depth int) {
	d.Header, d.Class, d.Primary = 1, 0x060400, bus
	switch g.r.IntN(8) {
	case 0:
		d.Header, d.Class = 2, 0x060700
	case 1:
		d.Class = 0x068000
	case 2:
		d.Primary = 0
	}
	at := len(g.host)
	g.host = append(g.host, d)
	secondary := g.take()
	g.bus(secondary, depth+1)
	if g.r.IntN(4) == 0 { // numbers kept free for what may be plugged in
		free := g.r.IntN(3)
		if g.next += free; free > 0 && g.r.IntN(3) == 0 {
			g.host = append(g.host, Device{
				At: pci.Address{Domain: g.domain, Bus: uint8(g.next - 1), Device: 9}.String(), ID: "dead:beef", Class: 0xff0000, Parent: d.At,
			})
		}
	}
	g.host[at].Secondary, g.host[at].Subordinate = secondary, uint8(g.next-1)
}

// Large is a host of n functions and more: root ports with an Express card of
// two functions each, behind a switch now and then.
func Large(n int) Host {
	root, up, down, end := new(pci.RootPort), new(pci.SwitchUpstream), new(pci.SwitchDownstream), new(pci.Endpoint)
	var h Host
	next := uint8(1)
	port := func(at string, kind *pci.PortType, bus, last uint8) Device {
		return Device{
			At: at, ID: "8086:8c10", Class: 0x060400, Header: 1, Multifunction: true, Secondary: bus, Subordinate: last,
			Express: kind, PM: true, MSI: true, ACS: IsolatingACS(), Driver: "pcieport",
		}
	}
	card := func(bus uint8) {
		for fn := range 2 {
			h = append(h, Device{
				At: fmt.Sprintf("%02x:00.%d", bus, fn), ID: "8086:1533", Sub: "15d9:1533", Class: 0x020000, Multifunction: true,
				Express: end, FLR: true, PM: true, MSI: true, MSIX: true, ACS: IsolatingACS(), Driver: "igb", Resets: "flr pm",
				Resources: []pci.Resource{{Index: 0, Start: 0xf0000000 + uint64(bus)<<20, End: 0xf00fffff + uint64(bus)<<20, Flags: Mem}},
			})
		}
	}
	for slot := 0; len(h) < n; slot++ {
		at := fmt.Sprintf("00:%02x.%d", slot/8, slot%8)
		if slot%8 != 7 {
			h = append(h, port(at, root, next, next))
			card(next)
			next++
			continue
		}
		h = append(h, port(at, root, next, next+3), port(fmt.Sprintf("%02x:00.0", next), up, next+1, next+3))
		for i := range uint8(2) {
			h = append(h, port(fmt.Sprintf("%02x:%02x.0", next+1, i), down, next+2+i, next+2+i))
			card(next + 2 + i)
		}
		next += 4
	}
	return h
}
