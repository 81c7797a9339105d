package pci

import (
	"fmt"

	"xtm/internal/opt"
)

// Bits of access control services: PCI Express Base Specification, 7.7.8.
const (
	acsSourceValidation   = 1 << 0
	acsRequestRedirect    = 1 << 2
	acsCompletionRedirect = 1 << 3
	acsUpstreamForwarding = 1 << 4

	// acsNeeded is what Linux asks for (REQ_ACS_FLAGS, drivers/iommu/iommu.c 4.19).
	acsNeeded = acsSourceValidation | acsRequestRedirect | acsCompletionRedirect | acsUpstreamForwarding
)

// Isolates tells whether every bit that isolation needs is enabled; a bit that
// the function does not have is taken as hard-wired, as Linux takes it.
func (a ACS) Isolates() bool { return acsNeeded&a.Capability&^a.Control == 0 }

// Rules are the circumstances under which groups are computed. The zero value
// is a Linux that drives the IOMMU now.
type Rules struct {
	// AssumeEnabled takes every ACS bit that a function has for enabled: what
	// Linux and Xen would do when they drive an IOMMU that is off now.
	AssumeEnabled bool
	// NoPCHQuirk leaves out that Intel's older root ports isolate without ACS
	// (before Linux 3.15, or where the quirk failed).
	NoPCHQuirk bool
	// IVRS is true where the firmware describes an AMD IOMMU: then functions of
	// AMD's old southbridges count as isolated.
	IVRS bool
}

// answer is whether a function passes what comes from one side to the other
// without a check upstream, and why it is thought so.
type answer struct {
	isolates bool
	why      string
}

// isolates tells whether requests that meet in the function are sent upstream
// to be checked, as pci_acs_enabled does (Linux drivers/pci/pci.c, 4.19), with
// the quirks of 6.1 that concern x86.
func (t *Topology) isolates(i int, r Rules) answer {
	d := &t.Devices[i]
	if a, ok := t.quirk(i, r); ok {
		return a
	}
	kind, express := d.Capabilities.Express.Get()
	switch {
	case d.Capabilities.Extent == ExtentNone:
		return answer{false, "its capabilities could not be read, so it is taken not to isolate"}
	case !express:
		return answer{false, "it is no PCI Express function, so there is no access control"}
	}
	switch kind {
	case ExpressToPCI, PCIToExpress, RootComplexCollector:
		return answer{false, fmt.Sprintf("access control does not apply to a %s", kind)}
	case RootPort, SwitchDownstream:
		return d.acs(r)
	default:
		if !t.multifunction(i) {
			return answer{true, "a single function has nobody beside it to reach"}
		}
		return d.acs(r)
	}
}

func (d *Device) acs(r Rules) answer {
	a, ok := d.Capabilities.ACS.Get()
	switch {
	case !ok && d.Capabilities.Extent != ExtentAll:
		return answer{false, "its extended configuration space could not be read, so it is taken not to isolate"}
	case !ok:
		return answer{false, "it has no access control services"}
	case r.AssumeEnabled && !a.Isolates():
		return answer{true, fmt.Sprintf("access control would be enabled (capability %#04x, now %#04x)", a.Capability, a.Control)}
	case !a.Isolates():
		return answer{false, fmt.Sprintf("access control is not enabled (capability %#04x, control %#04x)", a.Capability, a.Control)}
	default:
		return answer{true, fmt.Sprintf("access control is enabled (capability %#04x, control %#04x)", a.Capability, a.Control)}
	}
}

// multifunction is Linux' idea of it: every function but 0 is one of several,
// function 0 says so itself, and a virtual function never is.
func (t *Topology) multifunction(i int) bool {
	d := &t.Devices[i]
	if d.PhysicalFunction.Has() {
		return false
	}
	return d.Address.Function > 0 || d.Config.multifunction()
}

// onRoot tells whether the device stands on a root bus.
func (t *Topology) onRoot(i int) bool { return t.place[i].parent == none }

const (
	vendorIntel = 0x8086
	vendorAMD   = 0x1022
	vendorATI   = 0x1002
)

// quirk is what Linux knows of single devices; false where it knows nothing.
func (t *Topology) quirk(i int, r Rules) (answer, bool) {
	d := &t.Devices[i]
	id, ok := d.ID.Get()
	if !ok {
		return answer{}, false
	}
	kind, express := d.Capabilities.Express.Get()
	port := express && kind == RootPort
	switch {
	case oldSouthbridge(id) && r.IVRS && t.onRoot(i) && t.multifunction(i):
		return answer{true, "AMD states that this southbridge passes nothing between its functions"}, true
	case isolatedFunctions(id):
		return answer{true, "its maker states that its functions do not reach each other (quirk of Linux)"}, true
	case id.Vendor == vendorIntel && express && kind == IntegratedEndpoint:
		return answer{true, "Intel's integrated endpoints reach others through the IOMMU only (quirk of Linux 5.8 and its stable releases)"}, true
	case id.Vendor == vendorIntel && port && oldPCHPort(id.Device):
		return t.pchPort(i, r), true
	case id.Vendor == vendorIntel && port && wideACSPort(id.Device):
		return d.wideACS(r)
	}
	return answer{}, false
}

// pchPort: these root ports are isolated by registers of the root complex
// block, which Linux sets where the LPC bridge has the block enabled.
func (t *Topology) pchPort(i int, r Rules) answer {
	if r.NoPCHQuirk {
		return answer{false, "it has no access control services, and the quirk for Intel's root ports is not in use"}
	}
	lpc := t.Device(Address{Domain: t.Devices[i].Address.Domain, Bus: t.Devices[i].Address.Bus, Device: 0x1f})
	if lpc != nil {
		if block, ok := lpc.Config.Long(0xf0); ok && block&1 == 0 {
			return answer{false, "it has no access control services, and the root complex block that would replace them is disabled"}
		}
	}
	return answer{true, "Intel's root port isolates by registers of the chipset instead of access control services (quirk of Linux 3.15)"}
}

// wideACS: these root ports have access control registers of 32 bits, so that
// the control register is two bytes further on than anybody looks.
func (d *Device) wideACS(r Rules) (answer, bool) {
	at := 0
	walkExtended(d.Config, func(id uint16, off int) {
		if id == extACS {
			at = off
		}
	})
	capability, ok1 := d.Config.Word(at + 4)
	control, ok2 := d.Config.Word(at + 8)
	if at == 0 || !ok1 || !ok2 {
		return answer{}, false
	}
	wide := *d
	wide.Capabilities.ACS = opt.Of(ACS{capability, control})
	a := wide.acs(r)
	a.why += ", in Intel's 32-bit form"
	return a, true
}

// oldPCHPort lists the root ports of Intel's chipsets from the 5 to the 9
// series and of X79 and X99 (pci_quirk_intel_pch_acs_ids).
func oldPCHPort(device uint16) bool {
	in := func(first, last uint16) bool { return first <= device && device <= last }
	switch {
	case in(0x3b42, 0x3b51), // 5 series
		in(0x1c10, 0x1c1f),                     // 6 series
		in(0x1e10, 0x1e1f),                     // 7 series
		in(0x8c10, 0x8c1f),                     // 8 series, C220
		in(0x9c10, 0x9c1b), in(0x9c90, 0x9c9b), // mobile
		in(0x8d10, 0x8d1e): // X99
		return true
	default: // X79, 9 series: even numbers
		return (in(0x1d10, 0x1d1e) || in(0x8c90, 0x8c9e)) && device%2 == 0
	}
}

// wideACSPort lists the root ports of the 100 and 200 series and of the mobile
// chips of their time.
func wideACSPort(device uint16) bool {
	in := func(first, last uint16) bool { return first <= device && device <= last }
	return in(0xa110, 0xa11f) || in(0xa167, 0xa16a) || in(0xa290, 0xa29f) || in(0xa2e7, 0xa2ee) || in(0x9d10, 0x9d1b)
}

func oldSouthbridge(id ID) bool {
	switch id {
	case ID{vendorATI, 0x4385}, ID{vendorATI, 0x439c}, ID{vendorATI, 0x4383}, ID{vendorATI, 0x439d},
		ID{vendorATI, 0x4384}, ID{vendorATI, 0x4399}, ID{vendorAMD, 0x780f}, ID{vendorAMD, 0x7809}:
		return true
	default:
		return false
	}
}

// isolatedFunctions lists network cards whose makers vouch for them
// (pci_quirk_mf_endpoint_acs).
func isolatedFunctions(id ID) bool {
	switch id.Vendor {
	case vendorIntel:
		switch id.Device {
		case 0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc, // 82598, 82599
			0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558,
			0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527, // 82580
			0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526, // 82576
			0x10a7, 0x10a9, 0x10d6, // 82575
			0x1521, 0x1522, 0x1523, 0x1524, // I350
			0x105e, 0x105f, 0x1060, 0x10d9, // 82571
			0x15b7, 0x15b8: // I219
			return true
		}
	case 0x14e4: // Broadcom
		switch id.Device {
		case 0x16d7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763:
			return true
		}
	case 0x1924: // Solarflare
		return id.Device == 0x0903 || id.Device == 0x0923 || id.Device == 0x0a03
	case 0x19a2: // Emulex
		return id.Device == 0x0710
	case 0x10df:
		return id.Device == 0x0720
	}
	return false
}
