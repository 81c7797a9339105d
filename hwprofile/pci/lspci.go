package pci

import (
	"bytes"
	"fmt"
)

// Layout is a release of lspci whose tree is drawn.
type Layout uint8

// The layouts differ only where there are several domains or bus 0000:00 is
// empty.
const (
	// PerDomain is lspci 3.10 and later: one tree for each domain.
	PerDomain Layout = iota
	// Forest is lspci up to 3.9: one tree over all domains, bus 0000:00 always.
	Forest
)

const (
	lineRoom  = 1023 // of lspci's buffer; a line that fills it is cut
	nameLimit = 255
	ellipsis  = "..."
)

// LspciTree draws what lspci -tv prints, byte for byte, or lspci -t where names
// is nil. lspci calls only its -m output stable: this is for people and for
// comparison, programs take Tree. Three things differ on purpose: a bridge that
// was left unconfigured does not swallow bus 0, what stands below itself is
// still drawn (lspci 3.10 and later lose the one and crash on the other), and a
// bus that the kernel calls a root bus is one, whatever a bridge claims.
func (t *Topology) LspciTree(names *IDs, layout Layout) []byte {
	d := drawing{t: t, names: names}
	roots := t.Tree().Roots
	if layout == Forest {
		if len(roots) == 0 || roots[0].Domain != 0 || roots[0].Number != 0 {
			roots = append([]Bus{{}}, roots...)
		}
		d.buses(line{}, roots, true)
		return d.out.Bytes()
	}
	for len(roots) > 0 {
		n := 1
		for n < len(roots) && roots[n].Domain == roots[0].Domain {
			n++
		}
		d.buses(line{}, roots[:n], true)
		roots = roots[n:]
	}
	return d.out.Bytes()
}

// line is what stands to the left of the next mark.
type line struct {
	text string
	cut  bool
}

func (l line) add(s string) line {
	switch room := lineRoom - len(l.text); {
	case l.cut || room <= 0:
		return line{l.text, true}
	case len(s) >= room:
		return line{l.text + s[:room-1], true}
	default:
		return line{l.text + s, false}
	}
}

// dash is added without lspci looking whether there is room.
func (l line) dash() line {
	if l.cut {
		return l
	}
	return line{l.text + "-", len(l.text)+1 >= lineRoom}
}

// below is what a line leaves for the next one: bars where a branch goes on.
func (l line) below() line {
	b := []byte(l.text)
	for i, c := range b {
		if c == '+' || c == '|' {
			b[i] = '|'
		} else {
			b[i] = ' '
		}
	}
	return line{string(b), l.cut}
}

type drawing struct {
	t     *Topology
	names *IDs
	out   bytes.Buffer
}

func (d *drawing) print(l line) {
	d.out.WriteString(l.text)
	if l.cut {
		d.out.WriteString(ellipsis)
	}
	d.out.WriteByte('\n')
}

// buses draws what is below a bridge or a root.
func (d *drawing) buses(l line, buses []Bus, root bool) {
	l = l.dash()
	for i, b := range buses {
		at := l
		switch {
		case len(buses) == 1 && !root:
		case len(buses) == 1:
			at = l.add(fmt.Sprintf("[%04x:%02x]-", b.Domain, b.Number))
		default:
			at = l.add(fmt.Sprintf("%s[%04x:%02x]-", mark(i, len(buses)), b.Domain, b.Number))
		}
		d.bus(at, b.Devices)
		l = l.below()
	}
}

func (d *drawing) bus(l line, nodes []Node) {
	switch len(nodes) {
	case 0:
		d.print(l)
	case 1:
		d.node(l.add("--"), nodes[0])
	default:
		for i, n := range nodes {
			d.node(l.add(mark(i, len(nodes))), n)
			l = l.below()
		}
	}
}

func mark(i, n int) string {
	if i == n-1 {
		return `\-`
	}
	return "+-"
}

func (d *drawing) node(l line, n Node) {
	l = l.add(fmt.Sprintf("%02x.%x", n.Address.Device, n.Address.Function))
	if b := n.Bridge; b != nil {
		switch b.Secondary {
		case 0:
			l = l.add("-")
		case b.Subordinate:
			l = l.add(fmt.Sprintf("-[%02x]-", b.Secondary))
		default:
			l = l.add(fmt.Sprintf("-[%02x-%02x]-", b.Secondary, b.Subordinate))
		}
		d.buses(l, b.Buses, false)
		return
	}
	if d.names != nil {
		name := d.names.Name(d.t.Device(n.Address).ID)
		if len(name) > nameLimit {
			name = name[:nameLimit-len(ellipsis)] + ellipsis
		}
		l = l.add("  " + name)
	}
	d.print(l)
}
