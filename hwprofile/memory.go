package hwprofile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/units"
)

// MemoryRule is what a device does to the memory of its guest; it belongs into
// each report that offers one.
const MemoryRule = "Memory of a guest with devices: HVM and PVH need memory = maxmem and keep it, so no overcommit counts on it; " +
	"PV still balloons and uses tmem, and each change costs a flush of the IOMMU."

// GuestKind is how a guest runs.
type GuestKind string

// The kinds, as type= of a guest's configuration.
const (
	PV  GuestKind = "pv"
	HVM GuestKind = "hvm"
	PVH GuestKind = "pvh"
)

// Guest is what a guest's configuration says that matters for devices.
type Guest struct {
	Name string
	Kind GuestKind
	// Memory and Maxmem are equal where only one of them is set.
	Memory, Maxmem units.MiB
}

// ParseGuest reads a configuration file of xl:
//
//	name = "web1"
//	type = "hvm"
//	memory = 2048
//	maxmem = 4096
//	disk = [ 'phy:/dev/vg0/web1,xvda,w',
//	         'phy:/dev/vg0/swap1,xvdb,w' ]
//
// (xl.cfg(5).) All else is left aside. Before type= (4.10) a guest was PV unless
// builder="hvm" stood there. The error names the line, or says that no memory is
// set.
func ParseGuest(text []byte) (Guest, error) {
	g := Guest{Kind: PV}
	depth := 0 // of lists
	for n, line := range strings.Split(string(text), "\n") {
		inList := depth > 0
		line = statement(line, &depth)
		key, value, ok := strings.Cut(line, "=")
		if !ok || inList {
			continue
		}
		if err := g.set(strings.TrimSpace(key), strings.Trim(strings.TrimRight(strings.TrimSpace(value), "; "), `"'`)); err != nil {
			return Guest{}, fmt.Errorf("line %d: %w: %.80q", n+1, err, line)
		}
	}
	switch {
	case g.Memory == 0 && g.Maxmem == 0:
		return Guest{}, errors.New("neither memory= nor maxmem= is set")
	case g.Memory == 0:
		g.Memory = g.Maxmem
	case g.Maxmem == 0:
		g.Maxmem = g.Memory
	}
	return g, nil
}

// statement is a line without its comment; it counts the brackets that stand
// outside of strings.
func statement(line string, depth *int) string {
	var quote rune
	for i, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[':
			*depth++
		case c == ']':
			*depth = max(0, *depth-1)
		case c == '#':
			return line[:i]
		}
	}
	return line
}

func (g *Guest) set(key, value string) error {
	mib := func() (units.MiB, error) {
		n, err := strconv.ParseUint(value, 0, 31) // 2 PiB
		if err != nil || n == 0 {
			return 0, errors.New("want a number of MiB")
		}
		return units.MiB(n), nil
	}
	var err error
	switch key {
	case "name":
		g.Name = value
	case "memory":
		g.Memory, err = mib()
	case "maxmem":
		g.Maxmem, err = mib()
	case "builder":
		if value == "hvm" {
			g.Kind = HVM
		}
	case "type":
		switch k := GuestKind(value); k {
		case PV, HVM, PVH:
			g.Kind = k
		default:
			err = errors.New("want pv, hvm or pvh")
		}
	}
	return err
}

// Check tells whether a guest can have a device with this memory. Less than
// maxmem is populate-on-demand for HVM and PVH: libxl refuses it together with
// devices since 4.4, and with any use of the IOMMU since 4.17 (commits
// c63868ff01, 07449ecfa4).
func (g Guest) Check() finding.Finding {
	f := finding.Finding{
		Check: "memory", Subject: g.Name, Verdict: finding.Good,
		Evidence: []finding.Evidence{{
			Name: "type, memory, maxmem", Value: fmt.Sprintf("%s, %d, %d", g.Kind, g.Memory, g.Maxmem), Source: "the guest's configuration",
		}},
	}
	switch {
	case g.Memory > g.Maxmem:
		f.Verdict = finding.Bad
		f.Seen = fmt.Sprintf("memory (%d) is more than maxmem (%d)", g.Memory, g.Maxmem)
		f.Advice = "raise maxmem, or lower memory"
	case g.Kind == PV && g.Memory < g.Maxmem:
		f.Verdict = finding.Note
		f.Seen = fmt.Sprintf("a PV guest with devices may grow from %d to %d MiB; each page that it gives or takes costs a flush of the IOMMU", g.Memory, g.Maxmem)
	case g.Kind == PV:
		f.Seen = "memory and maxmem are equal; a PV guest with devices can still give memory back and use tmem"
	case g.Memory < g.Maxmem:
		f.Verdict = finding.Bad
		f.Seen = fmt.Sprintf("memory (%d) is less than maxmem (%d), which xl refuses for a guest with devices that is %s", g.Memory, g.Maxmem, strings.ToUpper(string(g.Kind)))
		f.Advice = fmt.Sprintf("set both to %d, or to what the guest shall have, and count on nothing of it: it is fixed", g.Maxmem)
	default:
		f.Seen = "memory and maxmem are equal, as they have to be; nothing of it can be taken back while the guest has a device"
	}
	return f
}
