package hwprofile

import (
	"xtm/internal/finding"
	"xtm/internal/units"
)

// GuestKind is how a guest runs.
type GuestKind string

// The kinds, as type= of a guest's configuration.
const (
	PV  GuestKind = "pv"
	HVM GuestKind = "hvm"
	PVH GuestKind = "pvh"
)

// MemoryRule is what a device does to the memory of its guest; it belongs into
// each report that offers one.
const MemoryRule = "Memory of a guest with devices: HVM and PVH need memory = maxmem and keep it, so no overcommit counts on it; " +
	"PV still balloons and uses tmem, and each change costs a flush of the IOMMU."

// CheckMemory tells whether a guest of this kind can have a device with these
// settings. Less memory than maxmem is populate-on-demand for HVM and PVH: libxl
// refuses it together with devices since 4.4, and with any use of the IOMMU
// since 4.17 (commits c63868ff01, 07449ecfa4).
func CheckMemory(kind GuestKind, memory, maxmem units.KiB) finding.Finding {
	f := finding.Finding{Check: "memory", Subject: "a guest with devices", Verdict: finding.Good, Seen: "memory and maxmem are equal"}
	switch {
	case kind == PV && memory < maxmem:
		f.Verdict = finding.Note
		f.Seen = "a PV guest with devices may grow from memory to maxmem; each page that it gives or takes costs a flush of the IOMMU"
	case memory < maxmem:
		f.Verdict = finding.Bad
		f.Seen = "memory is less than maxmem, which xl refuses for an HVM or PVH guest with devices"
		f.Advice = "set memory to maxmem, and count the guest as fixed"
	case memory > maxmem:
		f.Verdict = finding.Bad
		f.Seen = "memory is more than maxmem"
	}
	return f
}

// Fixed tells whether nothing can be taken back from a guest with devices.
func (k GuestKind) Fixed() bool { return k != PV }
