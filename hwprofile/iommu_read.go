package hwprofile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"xtm/hwprofile/acpi"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/internal/run"
)

func (p *Profile) readIOMMU(ctx context.Context, m Machine) {
	s := signals{role: p.Role, host: p.Xen, virtual: p.CPU.Virtual}
	dmar, errDMAR := acpi.ReadDMAR(m.Files)
	ivrs, errIVRS := acpi.ReadIVRS(m.Files)
	s.table = firmwareTable(m.Files, dmar, errDMAR, errIVRS)
	p.optional("table of Intel's IOMMU", errDMAR)
	p.optional("table of AMD's IOMMU", errIVRS)
	if b, err := m.Files.ReadFile("/proc/cmdline"); err == nil {
		s.commandLine = strings.TrimSpace(string(b))
		p.commands = strings.Fields(s.commandLine)
	}
	if p.Role == role.Host {
		s.ring = p.readRing(ctx, m.Run)
	} else {
		var err error
		s.units, err = m.Files.ReadDir("/sys/class/iommu")
		p.optional("IOMMU units", err)
		if groups, err := p.topology.KernelGroups(); err == nil {
			s.groups = len(groups)
		}
		s.remapped = interruptsRemapped(m.Files)
	}
	p.IOMMU = s.verdict()
	if table(errDMAR) {
		p.IOMMU.DMAR = &dmar
	}
	if table(errIVRS) {
		p.IOMMU.IVRS = &ivrs
	}
}

// firmwareTable names the table that there is.
func firmwareTable(files hostfs.Files, dmar acpi.DMAR, errDMAR, errIVRS error) opt.Value[string] {
	switch {
	case table(errDMAR):
		return opt.Of(dmar.Header.Signature)
	case table(errIVRS):
		return opt.Of(acpi.SignatureIVRS)
	case errors.Is(errDMAR, fs.ErrPermission):
		return opt.Of("Intel's, readable by root only")
	case errors.Is(errIVRS, fs.ErrPermission):
		return opt.Of("AMD's, readable by root only")
	}
	if there, err := files.Exists("/sys/firmware/acpi/tables"); err != nil || !there {
		return opt.Value[string]{}
	}
	return opt.Of("")
}

// interruptsRemapped looks at the kinds of interrupts: those that go through
// the IOMMU begin with IR.
//
//	16:          0          0  IR-IO-APIC   16-fasteoi   ehci_hcd:usb1
//	27:     123456          0  IR-PCI-MSI 327680-edge      xhci_hcd
//
// (Linux 3.2 to 6.x, arch/x86/kernel/apic.) Absent where no line names a kind.
func interruptsRemapped(files hostfs.Files) opt.Value[bool] {
	b, err := files.ReadFile("/proc/interrupts")
	switch {
	case err != nil:
		return opt.Value[bool]{}
	case bytes.Contains(b, []byte(" IR-")):
		return opt.Of(true)
	case bytes.Contains(b, []byte("IO-APIC")) || bytes.Contains(b, []byte("PCI-MSI")):
		return opt.Of(false)
	default:
		return opt.Value[bool]{}
	}
}

// readRing returns what Xen said of the IOMMU at boot.
func (p *Profile) readRing(ctx context.Context, start run.Func) []string {
	const most = 40
	if p.Xen == nil || start == nil {
		return nil // xl does not work here, as a gap says already
	}
	c := run.Cmd{Name: "xl", Args: []string{"dmesg"}}
	res, err := start.Checked(ctx, c)
	if err != nil {
		p.gap("Xen's boot messages of the IOMMU", err)
		return nil
	}
	var lines []string
	for l := range strings.Lines(string(res.Stdout)) {
		l = strings.TrimSpace(l)
		if len(lines) < most && speaksOfIOMMU(l) {
			lines = append(lines, strings.TrimPrefix(l, "(XEN) "))
		}
	}
	return lines
}

func speaksOfIOMMU(l string) bool {
	for _, word := range []string{"VT-d", "I/O virtualisation", "nterrupt remapping", "AMD-Vi", "Dom0 mode:", "DMAR"} {
		// Each scope of a verbose table is a line; they are in the table itself.
		if strings.Contains(l, word) && !strings.Contains(l, "endpoint:") && len(l) < 300 {
			return true
		}
	}
	return false
}

// errNoPrograms stands for programs that cannot be run for another root.
var errNoPrograms = fmt.Errorf("programs are not run for another root: %w", cause.ErrNoData)

// NoPrograms is a run.Func for a root that is not the running machine: its
// error wraps cause.ErrNoData.
func NoPrograms(context.Context, run.Cmd) (run.Result, error) {
	return run.Result{}, errNoPrograms
}
