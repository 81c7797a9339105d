package hwprofile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/role"
)

// requesters looks for ids that the device's transfers may carry and that Xen
// does not map: the first transfer would be a fault.
func (a *assessment) requesters() {
	if a.p.IOMMU.IVRS != nil {
		return // AMD's table itself names the ids
	}
	for _, r := range a.p.topology.Requesters(a.d.Address) {
		if r.Xen {
			continue
		}
		seen := fmt.Sprintf("its transfers may carry the id %s, which Xen does not map: %s", r.ID, r.Why)
		advice := "use it in another slot, or another card"
		if b, _ := a.p.topology.HiddenBridge(a.d.Address); b != nil {
			seen += fmt.Sprintf("; the bridge %s (%s) has no PCI Express capability, and what is behind it must go together", b.Address, b.ID.Or(pci.ID{}))
			advice = "use a device that is not behind this bridge; Xen would report VT-d faults and the device would not work"
		}
		if a.p.Role == role.Host {
			a.never("requester-id", seen, advice)
		} else {
			a.say(finding.Warning, "requester-id", seen, advice)
		}
		return
	}
}

// served asks the firmware's table for a unit. Xen answers ENODEV where there is
// none (acpi_find_matched_drhd_unit, find_iommu_for_device of 4.12, the latter
// with the first function's for one that is not listed).
func (a *assessment) served() bool {
	served := true
	switch i := a.p.IOMMU; {
	case i.DMAR != nil:
		served = i.DMAR.UnitFor(a.p.topology, a.d.Address) != nil
	case i.IVRS != nil:
		served = len(i.IVRS.UnitsFor(a.d.Address)) > 0 || len(i.IVRS.UnitsFor(a.d.Address.WithFunction(0))) > 0
	}
	if !served {
		a.never("iommu-unit", "the firmware names no IOMMU unit that serves it", "look for an update of the firmware")
	}
	return served
}

// reserved looks at memory that the firmware ties to the device.
func (a *assessment) reserved() {
	t := a.p.IOMMU.DMAR
	if t == nil && a.p.IOMMU.IVRS == nil {
		if a.p.IOMMU.State != IOMMUNotOffered {
			a.say(finding.CouldNotTell, "reserved-memory", "the firmware's table of reserved memory could not be read", "run it as root")
		}
		return
	}
	if t == nil {
		a.reservedAMD()
		return
	}
	for _, r := range t.ReservedFor(a.p.topology, a.d.Address) {
		where := fmt.Sprintf("the firmware ties it to memory %#x–%#x", r.Base, r.Limit)
		if !r.Shared() {
			a.say(finding.Note, "reserved-memory", where+", which the guest will see as it is", "")
			continue
		}
		others := slices.DeleteFunc(r.Devices(a.p.topology), func(o pci.Address) bool { return o == a.d.Address })
		a.block(GuardRMRR, fmt.Sprintf("%s together with %s: whoever has one of them reaches the others' memory", where, pci.Join(others)),
			"Xen 4.6 and later refuse it unless rdm_policy=relaxed is in the guest's configuration, which is not secure")
	}
}

// reservedAMD is reserved for AMD's table. Xen gives such a device away, and its
// range with it (since XSA-378 to the guest that has it, and to no other).
func (a *assessment) reservedAMD() {
	for _, r := range a.p.IOMMU.IVRS.ReservedFor(a.d.Address) {
		where := fmt.Sprintf("the firmware ties it to memory %#x–%#x", r.Start, r.Start+max(r.Size, 1)-1)
		var others []pci.Address
		for i := range a.p.Devices {
			if d := &a.p.Devices[i]; d.Address != a.d.Address && part(d.Class) == "" && slices.Contains(a.p.IOMMU.IVRS.ReservedFor(d.Address), r) {
				others = append(others, d.Address)
			}
		}
		if len(others) == 0 {
			a.say(finding.Note, "reserved-memory", where+", which the guest will see as it is", "")
			continue
		}
		a.say(finding.Warning, "reserved-memory", where+" together with "+pci.Join(others)+": whoever has one of them reaches the others' memory", "give all of them to the same guest")
	}
}

// reset looks for a way to put the device into a known state before another
// guest, or the host, gets it.
func (a *assessment) reset() {
	d := a.d
	methods := d.ResetMethods
	source := "reset_method of sysfs"
	if len(methods) == 0 {
		source = "configuration space"
		if d.Capabilities.ExpressFLR {
			methods = append(methods, "flr")
		}
		if d.Capabilities.AFFLR {
			methods = append(methods, "af_flr")
		}
	}
	e := finding.Evidence{Name: "reset", Value: strings.Join(methods, " "), Source: source}
	resettable, told := d.Resettable.Get()
	switch {
	case slices.ContainsFunc(methods, func(m string) bool {
		return m == "flr" || m == "af_flr" || m == "device_specific" || m == "acpi"
	}):
		a.say(finding.Good, "reset", "it can be reset by itself ("+methods[0]+")", "", e)
	case slices.Contains(methods, "bus"):
		a.say(finding.Good, "reset", "it is reset with its bus, where it is alone (bus)", "", e)
	case slices.Contains(methods, "pm"):
		a.say(finding.Note, "reset", "it is reset by a change of power state (pm), which not every part does fully", "", e)
	case told && resettable:
		a.say(finding.Note, "reset", "the kernel knows a way to reset it and does not name it (before Linux 5.15)", "")
	case d.Capabilities.Extent == pci.ExtentNone && !told:
		a.say(finding.CouldNotTell, "reset", "whether it can be reset could not be read", "run it as root")
	default:
		a.say(finding.Warning, "reset", "it cannot be reset: what a guest leaves in it stays there for the next, and it may not start again without a restart of the host",
			"give it to one guest that you trust, and keep it there")
	}
}

// lineInterrupts counts the devices that use each line interrupt now.
func (p *Profile) lineInterrupts() map[int][]pci.Address {
	by := map[int][]pci.Address{}
	for i := range p.Devices {
		d := &p.Devices[i]
		n, ok := d.IRQ.Get()
		if ok && n > 0 && d.MSIVectors.Or(0) == 0 && d.Driver.Has() && part(d.Class) == "" {
			by[n] = append(by[n], d.Address)
		}
	}
	return by
}

// interrupt looks for line interrupts that are shared: Xen's SUPPORT.md does
// not stand for the security of a device that shares one.
func (a *assessment) interrupt(by map[int][]pci.Address) {
	d := a.d
	if d.MSIVectors.Or(0) > 0 || d.Capabilities.MSI || d.Capabilities.MSIX {
		a.say(finding.Good, "interrupt", "it has message interrupts of its own", "")
		return
	}
	n, ok := d.IRQ.Get()
	if !ok || n == 0 {
		return
	}
	var others []pci.Address
	for _, o := range by[n] {
		if o != d.Address {
			others = append(others, o)
		}
	}
	if len(others) > 0 {
		a.say(finding.Warning, "interrupt", fmt.Sprintf("it shares interrupt line %d with %s: they disturb each other, and Xen's security support does not cover it", n, pci.Join(others)),
			"move the card to another slot, or leave the others without a driver")
		return
	}
	a.say(finding.Note, "interrupt", fmt.Sprintf("it has interrupt line %d, which no other driver uses now", n), "")
}

// sharedPages are the devices with a register in each page of memory that no
// register fills. Whole pages are shared with nothing but what overlaps them.
func (p *Profile) sharedPages() map[uint64][]pci.Address {
	by := map[uint64][]pci.Address{}
	for i := range p.Devices {
		for page := range partPages(&p.Devices[i].Device) {
			by[page] = append(by[page], p.Devices[i].Address)
		}
	}
	return by
}

// partPages are the pages that a device's registers fill in part.
func partPages(d *pci.Device) map[uint64]bool {
	const inPage = 1<<12 - 1
	pages := map[uint64]bool{}
	for _, r := range d.Resources {
		if !r.Register() || !r.Memory() {
			continue
		}
		if r.Start&inPage != 0 {
			pages[r.Start>>12] = true
		}
		if r.End&inPage != inPage {
			pages[r.End>>12] = true
		}
	}
	return pages
}

// pages looks for registers that lie in one page with another device's: the
// guest would reach both.
func (a *assessment) pages(by map[uint64][]pci.Address) {
	for _, page := range slices.Sorted(maps.Keys(partPages(&a.d.Device))) {
		others := slices.DeleteFunc(slices.Clone(by[page]), func(o pci.Address) bool { return o == a.d.Address })
		if len(others) > 0 {
			a.say(finding.Warning, "register-page", fmt.Sprintf("its registers share the page at %#x with those of %s: the guest reaches both, and Xen's security support does not cover it", page<<12, pci.Join(others)),
				"give both to the same guest, or boot with pci=resource_alignment= for one of them")
			return
		}
	}
}

// Drivers that hold a device for somebody else.
const (
	driverPCIBack = "pciback"
	driverVFIO    = "vfio-pci"
)

func (a *assessment) holder() {
	if id, ok := a.p.held.devices[a.d.Address]; ok {
		a.never("in-use", "domain "+id+" has it now", "take it back first: xl pci-detach "+id+" "+a.d.Address.String())
		return
	}
	if len(a.d.VirtualFunctions) > 0 {
		a.never("virtual-functions", "its virtual functions are in use: "+pci.Join(a.d.VirtualFunctions), "give those away instead")
		return
	}
	if a.p.system.pciback == nowhere {
		a.never("pciback", "this kernel has no xen-pciback, by which Dom0 gives devices away",
			"boot a kernel with CONFIG_XEN_PCIDEV_BACKEND; on Debian linux-image-amd64 has it, linux-image-cloud-amd64 has not")
	}
	switch driver, bound := a.d.Driver.Get(); {
	case bound && driver == driverPCIBack:
		a.say(finding.Good, "driver", "it is hidden from Dom0 already (pciback)", "")
	case bound && driver == driverVFIO:
		a.say(finding.Warning, "driver", "VFIO has it: a virtual machine of KVM may use it", "")
	case bound && a.p.system.late(driver):
		a.say(finding.Warning, "driver", "the driver "+driver+" is part of the kernel: at each boot it takes the device before a module, as xen-pciback is, can hide it",
			"let xl take the device when the guest starts (seize=1), and use it for nothing in Dom0")
	case bound:
		a.say(finding.Good, "driver", "the driver "+driver+" has it now, and lets go of it", "")
	default:
		a.say(finding.Good, "driver", "no driver has it", "")
	}
}
