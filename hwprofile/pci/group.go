package pci

import (
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/opt"
)

// Group is a set of functions that cannot be kept apart: what is given to a
// guest is given as a whole.
type Group struct {
	// Kernel is the kernel's number; absent for a computed group.
	Kernel opt.Value[int] `json:"kernel,omitzero"`
	// Members by address.
	Members []Address `json:"members"`
	// Why says what holds the members together, and what keeps them apart from
	// the rest; empty for the kernel's own groups, which give no reasons.
	Why []string `json:"why,omitempty"`
}

// KernelGroups are the IOMMU groups that the kernel made. Functions without a
// group are in none. The error wraps cause.ErrNoData where there is no group at
// all: no IOMMU is driven by this kernel, which in Dom0 says nothing of Xen.
func (t *Topology) KernelGroups() ([]Group, error) {
	var groups []Group
	at := map[int]int{}
	for i := range t.Devices {
		n, ok := t.Devices[i].KernelGroup.Get()
		if !ok {
			continue
		}
		g, seen := at[n]
		if !seen {
			g = len(groups)
			at[n] = g
			groups = append(groups, Group{Kernel: opt.Of(n)})
		}
		groups[g].Members = append(groups[g].Members, t.Devices[i].Address)
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("read IOMMU groups: the kernel made none: %w", cause.ErrNoData)
	}
	return groups, nil
}

// ComputedGroups are the groups that Linux would make (pci_device_group,
// drivers/iommu/iommu.c 4.19), from the configuration spaces alone: for Dom0,
// where the kernel has none, and for a machine whose IOMMU is off. The error
// wraps cause.ErrNeedsRoot where only headers could be read. A single function
// that could not be read is taken not to isolate, and Why says so.
func (t *Topology) ComputedGroups(r Rules) ([]Group, error) {
	if err := t.readable(); err != nil {
		return nil, fmt.Errorf("compute IOMMU groups: %w", err)
	}
	n := len(t.Devices)
	j := joiner{t: t, of: make([]int, n), why: make([][]string, n), says: make([]answer, n), paths: make([]opt.Value[answer], n)}
	for i := range t.Devices {
		j.of[i] = i
		j.says[i] = t.isolates(i, r)
	}
	for i := range t.Devices {
		j.device(i)
	}
	return j.groups(), nil
}

func (t *Topology) readable() error {
	headers := false
	for i := range t.Devices {
		if t.Devices[i].Capabilities.Extent != ExtentNone {
			return nil
		}
		headers = headers || len(t.Devices[i].Config) > 0
	}
	if headers {
		return fmt.Errorf("only the first %d bytes of each configuration space can be read: %w", configHeader, cause.ErrNeedsRoot)
	}
	return fmt.Errorf("no configuration space can be read: %w", cause.ErrNoData)
}

// joiner unites functions; of leads to another member, in the end to the
// group's first.
type joiner struct {
	t     *Topology
	of    []int
	why   [][]string
	says  []answer            // of each function itself
	paths []opt.Value[answer] // from each bridge to the root, once asked for
}

func (j *joiner) root(i int) int {
	for j.of[i] != i {
		j.of[i] = j.of[j.of[i]]
		i = j.of[i]
	}
	return i
}

func (j *joiner) join(a, b int, why string) {
	j.why[a] = append(j.why[a], fmt.Sprintf("%s with %s: %s", j.t.Devices[a].Address, j.t.Devices[b].Address, why))
	a, b = j.root(a), j.root(b)
	j.of[max(a, b)] = min(a, b)
}

// device joins one function with the nearest it cannot be told from. What lies
// further up is that one's affair.
func (j *joiner) device(i int) {
	t := j.t
	if bridge, why := t.aliasAbove(i); bridge != none {
		j.join(i, bridge, why)
		return
	}
	for _, k := range t.aliases(i) {
		j.join(i, k.device, k.why)
	}
	if !t.onRoot(i) {
		path := j.path(t.place[i].parent)
		if !path.isolates {
			j.join(i, t.place[i].parent, path.why)
			return
		}
		j.why[i] = append(j.why[i], fmt.Sprintf("%s is apart: %s", t.Devices[i].Address, path.why))
	}
	j.functions(i)
}

// path tells whether all bridges from this one to the root isolate: how the
// first does it, or why the nearest does not that fails to.
func (j *joiner) path(b int) answer {
	if known, ok := j.paths[b].Get(); ok {
		return known
	}
	a := j.says[b]
	a.why = fmt.Sprintf("%s above: %s", j.t.Devices[b].Address, a.why)
	if up := j.t.place[b].parent; a.isolates && up != none {
		if above := j.path(up); !above.isolates {
			a = above
		}
	}
	j.paths[b] = opt.Of(a)
	return a
}

// functions joins the functions of one device that may reach each other.
func (j *joiner) functions(i int) {
	t := j.t
	if !t.multifunction(i) {
		return
	}
	own := j.says[i]
	siblings := t.siblings(i)
	if own.isolates {
		if len(siblings) > 0 {
			j.why[i] = append(j.why[i], fmt.Sprintf("%s is apart from its sibling functions: %s", t.Devices[i].Address, own.why))
		}
		return
	}
	for _, k := range siblings {
		if !j.says[k].isolates && j.root(i) != j.root(k) {
			j.join(i, k, "functions of one device; "+own.why)
		}
	}
}

func (j *joiner) groups() []Group {
	var groups []Group
	at := map[int]int{}
	for i := range j.of {
		first := j.root(i)
		g, seen := at[first]
		if !seen {
			g = len(groups)
			at[first] = g
			groups = append(groups, Group{})
		}
		groups[g].Members = append(groups[g].Members, j.t.Devices[i].Address)
		groups[g].Why = append(groups[g].Why, j.why[i]...)
	}
	return groups
}

// aliasAbove is the nearest bridge above that may put its own number on the
// requests of what is below: each conventional one does. none where there is
// no such bridge.
func (t *Topology) aliasAbove(i int) (bridge int, why string) {
	for b := t.place[i].parent; b != none; b = t.place[b].parent {
		if conventional, why := t.conventional(b); conventional {
			return b, why
		}
	}
	return none, ""
}

// conventional tells whether a bridge hides who is below it.
func (t *Topology) conventional(b int) (bool, string) {
	d := &t.Devices[b]
	kind, express := d.Capabilities.Express.Get()
	switch {
	case express && (kind == ExpressToPCI || kind == PCIToExpress):
		return true, fmt.Sprintf("behind a %s, which hides who is below", kind)
	case express:
		return false, ""
	case d.Capabilities.Extent != ExtentAll:
		return true, "behind a bridge whose capabilities could not be read, taken as a conventional one"
	case t.hiddenExpress(b):
		return true, "behind a bridge to conventional PCI that lacks the PCI Express capability it should have"
	default:
		return true, "behind a conventional PCI bridge, which hides who is below"
	}
}

// XenGroups is what Xen answers for XEN_DOMCTL_get_device_group on VT-d
// (intel_iommu_group_id, xen/drivers/passthrough/vtd/iommu.c 4.17): only what
// stands behind one conventional bridge belongs together. Access control is
// not considered, so a function alone in its group here is not thereby isolated.
func (t *Topology) XenGroups() []Group {
	var groups []Group
	at := map[Address]int{}
	for i := range t.Devices {
		a := t.Devices[i].Address
		key, why := a, ""
		if top, _, ok := t.xen.top(a); ok {
			key, why = top, fmt.Sprintf("%s is behind the conventional bridge %s", a, top)
		}
		g, seen := at[key]
		if !seen {
			g = len(groups)
			at[key] = g
			groups = append(groups, Group{})
		}
		groups[g].Members = append(groups[g].Members, a)
		if why != "" {
			groups[g].Why = append(groups[g].Why, why)
		}
	}
	slices.SortFunc(groups, func(a, b Group) int { return a.Members[0].Compare(b.Members[0]) })
	return groups
}

// Find returns the group that holds an address, nil where none does.
func Find(groups []Group, a Address) *Group {
	for i := range groups {
		if _, ok := slices.BinarySearchFunc(groups[i].Members, a, Address.Compare); ok {
			return &groups[i]
		}
	}
	return nil
}
