package hwprofile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/hwprofile/acpi"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/xen"
)

// IOMMU is whether devices can be kept to the memory they are given.
type IOMMU struct {
	State IOMMUState `json:"state"`
	// DrivenBy is who uses it: "Xen", "Linux"; "" nobody, or could not be told.
	DrivenBy string `json:"driven_by,omitempty"`
	// InterruptRemapping is absent where nothing tells.
	InterruptRemapping opt.Value[bool] `json:"interrupt_remapping,omitzero"`
	// Reason is what the state rests on, in a sentence.
	Reason string `json:"reason"`
	// Remedy is what to do where it is not on; "" where nothing need be done.
	Remedy   string             `json:"remedy,omitempty"`
	Evidence []finding.Evidence `json:"evidence,omitempty"`

	// DMAR and IVRS are the firmware's tables of Intel's and AMD's IOMMU, nil
	// where there is none or only root may read it.
	DMAR *acpi.DMAR `json:"dmar,omitempty"`
	IVRS *acpi.IVRS `json:"ivrs,omitempty"`
}

// IOMMUState is how far up the ladder a machine is.
type IOMMUState string

// The states, from worse to better.
const (
	IOMMUNotOffered IOMMUState = "not_offered" // the firmware describes none
	IOMMUOff        IOMMUState = "offered_not_used"
	IOMMUNotUsed    IOMMUState = "not_used" // and whether it is offered could not be told
	IOMMUOn         IOMMUState = "on"
	IOMMUUnknown    IOMMUState = "could_not_tell"
)

// On tells whether an IOMMU is in use.
func (i IOMMU) On() bool { return i.State == IOMMUOn }

// signals are what the verdict is made of.
type signals struct {
	role role.Role
	// host is Xen's own account; nil outside Dom0 and where xl failed.
	host *xen.Host
	// table is the signature of the firmware's table, "" where there is none,
	// "present" where there is one that could not be read; absent where /sys
	// does not show the firmware's tables at all.
	table opt.Value[string]
	// units are the names in /sys/class/iommu.
	units []string
	// groups counts the kernel's IOMMU groups.
	groups int
	// remapped is whether the kernel's interrupts go through the IOMMU.
	remapped opt.Value[bool]
	// ring are the lines of Xen's console ring that speak of the IOMMU.
	ring []string
	// commandLine is the kernel's.
	commandLine string
	virtual     bool
}

const firmwareRemedy = "switch on VT-d (Intel) or IOMMU/AMD-Vi (AMD) in the firmware's setup; where it has no such switch, the processor or chipset lacks it"

// verdict climbs the ladder: offered by the firmware, used, and interrupts too.
func (s signals) verdict() IOMMU {
	if s.role == role.Host {
		return s.underXen()
	}
	return s.bare()
}

func (s signals) evidence() []finding.Evidence {
	var e []finding.Evidence
	if table, ok := s.table.Get(); ok {
		if table == "" {
			table = "none"
		}
		e = append(e, finding.Evidence{Name: "firmware table", Value: table, Source: "/sys/firmware/acpi/tables"})
	}
	if s.role == role.Host {
		if s.host != nil {
			e = append(e, finding.Evidence{Name: "virt_caps", Value: strings.Join(s.host.VirtCaps, " "), Source: "xl info"})
			if line, ok := s.host.CommandLine.Get(); ok {
				e = append(e, finding.Evidence{Name: "Xen's command line", Value: line, Source: "xl info"})
			}
		}
		for _, l := range s.ring {
			e = append(e, finding.Evidence{Name: "Xen's boot message", Value: l, Source: "xl dmesg"})
		}
		return e
	}
	return append(e,
		finding.Evidence{Name: "units in use", Value: strconv.Itoa(len(s.units)), Source: "/sys/class/iommu"},
		finding.Evidence{Name: "groups", Value: strconv.Itoa(s.groups), Source: "/sys/bus/pci/devices/*/iommu_group"})
}

// bare is for a kernel that drives the IOMMU itself.
func (s signals) bare() IOMMU {
	v := IOMMU{State: IOMMUUnknown, Evidence: s.evidence()}
	table, known := s.table.Get()
	switch {
	case len(s.units) > 0 && s.groups > 0:
		v.State, v.DrivenBy, v.InterruptRemapping = IOMMUOn, "Linux", s.remapped
		v.Reason = fmt.Sprintf("Linux drives %s and made %d groups", strings.Join(s.units, ", "), s.groups)
		switch remapped, ok := s.remapped.Get(); {
		case ok && remapped:
			v.Reason += "; interrupts are remapped too"
		case ok:
			v.Reason += "; interrupts are not remapped"
			v.Remedy = "switch on interrupt remapping (or x2APIC) in the firmware's setup, and take intremap=off off the kernel's command line: without it a device can forge interrupts"
		}
	case len(s.units) > 0:
		v.State = IOMMUOff
		v.Reason = fmt.Sprintf("Linux knows %s, but put no device into a group", strings.Join(s.units, ", "))
		v.Remedy = "look for DMAR or AMD-Vi in the kernel's messages: dmesg | grep -e DMAR -e AMD-Vi"
	case known && table == "" && s.virtual:
		v.State = IOMMUNotOffered
		v.Reason = "this is a virtual machine, and it was given no IOMMU"
		v.Remedy = "its host would have to emulate one (QEMU: -device intel-iommu)"
	case known && table == "":
		v.State = IOMMUNotOffered
		v.Reason = "the firmware has neither a DMAR nor an IVRS table"
		v.Remedy = firmwareRemedy
	case known:
		v.State = IOMMUOff
		v.Reason = "the firmware offers one (" + table + "), but this kernel does not use it" + because(s.commandLine, "intel_iommu=off", "iommu=off", "amd_iommu=off")
		v.Remedy = "for Linux itself: intel_iommu=on on the kernel's command line (AMD needs nothing); Xen needs neither, it uses the IOMMU by itself"
		if table == acpi.SignatureIVRS {
			v.Remedy = "take iommu=off and amd_iommu=off off the kernel's command line"
		}
	default:
		v.Reason = "/sys shows neither units nor the firmware's tables"
	}
	return v
}

// underXen is for Dom0, whose kernel is not allowed to drive the IOMMU: its own
// signs (groups, units, messages) are missing however well things stand.
func (s signals) underXen() IOMMU {
	v := IOMMU{State: IOMMUUnknown, Evidence: s.evidence()}
	if s.host == nil || len(s.host.VirtCaps) == 0 {
		v.Reason = "only xl info tells, and it could not be read; what Dom0's kernel shows of an IOMMU means nothing under Xen"
		v.Remedy = "run it as root"
		return v
	}
	line := s.host.CommandLine.Or("")
	table, known := s.table.Get()
	for _, word := range []string{"hvm_directio", "pv_directio"} {
		if slices.Contains(s.host.VirtCaps, word) {
			v.State, v.DrivenBy, v.InterruptRemapping = IOMMUOn, "Xen", ringSays(s.ring, "nterrupt remapping")
			v.Reason = "Xen drives it: virt_caps has " + word
			switch remapped, ok := v.InterruptRemapping.Get(); {
			case ok && remapped:
				v.Reason += ", and Xen's boot messages say that interrupts are remapped"
			case ok:
				v.Reason += ", but interrupts are not remapped"
				v.Remedy = "switch on interrupt remapping (or x2APIC) in the firmware's setup, and take no-intremap off iommu= on Xen's command line: without it a device can forge interrupts"
			}
			return v
		}
	}
	switch {
	case known && table == "":
		v.State = IOMMUNotOffered
		v.Reason = "the firmware has no table of an IOMMU (looked for DMAR, its names under Xen RMAD and XMAR, and IVRS)"
		v.Remedy = firmwareRemedy
	case known:
		v.State = IOMMUOff
		v.Reason = "the firmware offers one (" + table + "), but Xen does not use it: virt_caps has neither hvm_directio nor pv_directio" + because(line, iommuOff(line)...)
		v.Remedy = "put iommu=1 on Xen's command line in place of any other iommu= that switches it off, and read why in xl dmesg | grep -i -e iommu -e VT-d; Dom0's own command line has no part in it"
	default:
		v.State = IOMMUNotUsed
		v.Reason = "Xen does not use one: virt_caps has neither hvm_directio nor pv_directio; whether the firmware offers one could not be told" + because(line, iommuOff(line)...)
		v.Remedy = "look for iommu= on Xen's command line, then in the firmware's setup"
	}
	return v
}

// because names the word of a command line that switches the IOMMU off.
func because(line string, words ...string) string {
	for w := range strings.FieldsSeq(line) {
		if slices.Contains(words, w) {
			return ": " + w + " is on the command line"
		}
	}
	return ""
}

// iommuOff are the words of Xen's command line with iommu= that switch it off
// (docs/misc/xen-command-line.pandoc: a list of settings, a boolean among them).
func iommuOff(line string) []string {
	var off []string
	for w := range strings.FieldsSeq(line) {
		settings, ok := strings.CutPrefix(w, "iommu=")
		if w == "no-iommu" {
			off = append(off, w)
		}
		if !ok {
			continue
		}
		for one := range strings.SplitSeq(settings, ",") {
			switch one {
			case "0", "no", "off", "false", "disable":
				off = append(off, w)
			}
		}
	}
	return off
}

// ringSays finds what Xen said of a thing at boot:
//
//	(XEN) Intel VT-d Interrupt Remapping enabled.
//	(XEN) Interrupt remapping enabled
//
// (xen/drivers/passthrough/iommu.c 4.3 and later). Absent where nothing was
// said: the ring forgets its first lines.
func ringSays(ring []string, thing string) opt.Value[bool] {
	for _, l := range ring {
		_, rest, ok := strings.Cut(l, thing)
		if !ok {
			_, rest, ok = strings.Cut(strings.ToLower(l), thing)
		}
		switch word := strings.Trim(rest, " .\n"); {
		case !ok:
		case word == "enabled":
			return opt.Of(true)
		case word == "disabled", word == "not enabled":
			return opt.Of(false)
		}
	}
	return opt.Value[bool]{}
}
