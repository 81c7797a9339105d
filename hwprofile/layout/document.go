// Package layout decides what of a hwprofile.Profile people see, and in which
// order. It computes nothing: what it shows is in the Profile.
package layout

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/hwprofile"
	"xtm/hwprofile/pci"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/role"
	"xtm/internal/units"
)

// Document is the profile for people.
func Document(p hwprofile.Profile) render.Document {
	doc := render.Document{
		render.Heading{Level: 1, Text: title(p)},
		append(recorded(p.Recorded), machine(p)...),
	}
	if len(p.Devices) > 0 {
		doc = append(doc, devices(p))
	}
	doc = append(doc, render.Findings{List: p.Findings})
	return append(doc, gaps(p)...)
}

// recorded names the recording; nothing where the machine is this one.
func recorded(label string) render.Fields {
	if label == "" {
		return nil
	}
	return render.Fields{{Label: "RECORDED", Text: label + "; not live"}}
}

func title(p hwprofile.Profile) string {
	name := strings.TrimSpace(p.Board.Maker + " " + p.Board.Product)
	if name == "" {
		name = "This machine"
	}
	switch {
	case p.Role == role.Host && p.Xen != nil:
		return name + ", Dom0 of Xen " + p.Xen.Version.String()
	case p.Role == role.Host:
		return name + ", Dom0 of Xen"
	case p.Role == role.Guest:
		return name + ", a guest of Xen"
	case p.CPU.Virtual:
		return name + ", a virtual machine"
	default:
		return name + ", without Xen"
	}
}

func machine(p hwprofile.Profile) []render.Field {
	var f []render.Field
	add := func(label, text string) {
		if text != "" {
			f = append(f, render.Field{Label: label, Text: text})
		}
	}
	add("Processor", p.CPU.Model)
	add("Cores", cores(p.CPU))
	add("Family", family(p.CPU))
	for _, one := range p.CPU.Features {
		add(one.Name, feature(one))
	}
	add("Board", strings.TrimSpace(p.Board.Board+" "+p.Board.Revision))
	add("Firmware", strings.TrimSpace(p.Board.BIOS+" "+p.Board.BIOSDate))
	add("Memory", memory(p.Memory))
	add("IOMMU", iommuWord(p.IOMMU)) // why, and what to do, is a finding
	return f
}

// cores never makes up a number: what is not known is said to be so.
func cores(c hwprofile.CPU) string {
	threads, known := c.Threads.Get()
	var s string
	switch n, ok := c.Cores.Get(); {
	case !known:
		s = "could not tell"
	case ok:
		s = fmt.Sprintf("%s, %s", count(n, "core"), count(threads, "thread"))
	default:
		s = count(threads, "thread")
	}
	if n, ok := c.Sockets.Get(); ok && n > 1 {
		s += " in " + count(n, "socket")
	}
	if c.CountedBy != "" {
		s += " (" + c.CountedBy + ")"
	}
	if c.Seen != nil {
		s += fmt.Sprintf("; /proc/cpuinfo shows Dom0's virtual ones: siblings %d, cpu cores %d", c.Seen.Siblings, c.Seen.Cores)
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func family(c hwprofile.CPU) string {
	var parts []string
	for _, one := range []struct {
		name string
		n    opt.Value[int]
	}{{"", c.Family}, {"model ", c.Number}, {"stepping ", c.Stepping}} {
		if n, ok := one.n.Get(); ok {
			parts = append(parts, one.name+strconv.Itoa(n))
		}
	}
	if rev, ok := c.Microcode.Get(); ok {
		parts = append(parts, fmt.Sprintf("microcode %#x", rev))
	}
	return strings.Join(parts, ", ")
}

func feature(f hwprofile.Feature) string {
	present, known := f.Present.Get()
	switch {
	case !known:
		return "could not tell"
	case !present:
		return "no (" + f.Source + ")"
	case f.Hidden:
		return "yes (" + f.Source + "; hidden from Dom0)"
	default:
		return "yes (" + f.Source + ")"
	}
}

func memory(m hwprofile.Memory) string {
	var parts []string
	if total, ok := m.Total.Get(); ok {
		parts = append(parts, units.Group(int64(total>>10))+" MiB")
	}
	if n := len(m.Modules); n > 0 {
		parts = append(parts, count(n, "module"))
	}
	if ecc, ok := m.ECC.Get(); ok {
		parts = append(parts, "correction: "+ecc)
	}
	if len(m.Controllers) > 0 {
		parts = append(parts, "errors are counted by "+strings.Join(m.Controllers, ", "))
	}
	return strings.Join(parts, ", ")
}

// iommuWord is the state of the IOMMU without its reason.
func iommuWord(i hwprofile.IOMMU) string {
	text := "could not tell"
	switch i.State {
	case hwprofile.IOMMUNotOffered:
		text = "not offered"
	case hwprofile.IOMMUOff:
		text = "offered, not used"
	case hwprofile.IOMMUNotUsed:
		text = "not used"
	case hwprofile.IOMMUOn:
		text = "on"
	case hwprofile.IOMMUUnknown:
	}
	if remapped, ok := i.InterruptRemapping.Get(); ok && remapped {
		text += ", with interrupt remapping"
	} else if ok {
		text += ", without interrupt remapping"
	}
	return text
}

// devices is the tree as a table.
func devices(p hwprofile.Profile) render.Table {
	t := render.Table{
		Title: "PCI devices",
		Columns: []render.Column{
			{Key: "address", Name: "Address"},
			{Key: "name", Name: "Device", Cut: 50},
			{Key: "driver", Name: "Driver"},
			{Key: "group", Name: "Group", Align: render.Right},
			{Key: "passthrough", Name: "To a guest"},
		},
		Absent: "none, or could not be told",
	}
	groups := map[pci.Address]int{}
	for i, g := range p.Groups {
		for _, a := range g.Members {
			groups[a] = g.Kernel.Or(i)
		}
	}
	answers := map[pci.Address]hwprofile.Readiness{}
	for _, r := range p.Passthrough {
		answers[r.Address] = r
	}
	walk(p.Tree.Roots, 0, func(a pci.Address, depth int) {
		d := p.Device(a)
		row := []render.Cell{render.Str(branch(depth) + a.String()), render.Str(short(d.Name)), {}, {}, {}}
		if name, ok := d.Driver.Get(); ok {
			row[2] = render.Str(name)
		}
		if n, ok := groups[a]; ok {
			row[3] = render.Int(int64(n))
		}
		if r, ok := answers[a]; ok {
			row[4] = render.Str(brief(r))
		}
		t.Rows = append(t.Rows, row)
	})
	switch p.GroupsBy {
	case hwprofile.GroupsByKernel:
		t.Notes = []string{"Groups are the kernel's: what is in one goes to a guest together."}
	case hwprofile.GroupsByComputed:
		t.Notes = []string{"Groups are computed from the devices' own registers, as Linux would make them: what is in one goes to a guest together."}
	}
	return t
}

// short drops the form of the maker's company, which stands in front of each
// name and tells nothing: there is room for what it is instead.
func short(name string) string {
	for _, form := range []string{" Corporation", " Corp.", " Co., Ltd.", ", Ltd.", " Ltd.", ", Inc.", " Inc.", ", LLC", " GmbH"} {
		name = strings.Replace(name, form, "", 1)
	}
	return name
}

// branch stands before what is below a bridge.
func branch(depth int) string {
	if depth == 0 {
		return ""
	}
	return strings.Repeat("· ", depth)
}

// walk visits every function in the order of the tree.
func walk(buses []pci.Bus, depth int, visit func(a pci.Address, depth int)) {
	for _, b := range buses {
		for _, n := range b.Devices {
			visit(n.Address, depth)
			if n.Bridge != nil {
				walk(n.Bridge.Buses, depth+1, visit)
			}
		}
	}
}

// gaps are what could not be read.
func gaps(p hwprofile.Profile) []render.Block {
	if len(p.Gaps) == 0 {
		return nil
	}
	list := make(render.Bullets, 0, len(p.Gaps))
	for _, g := range p.Gaps {
		list = append(list, g.What+": "+g.Why)
	}
	return []render.Block{render.Heading{Level: 2, Text: "Could not be read"}, list}
}
