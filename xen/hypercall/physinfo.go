package hypercall

import (
	"context"
	"fmt"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// physical is what physinfo says in any release.
type physical struct {
	threadsPerCore, coresPerSocket, cpus, nodes, kHz uint32

	total, free uint64 // pages
	outstanding opt.Value[uint64]
	hwCap       [8]uint32
	// capabilities are XEN_SYSCTL_PHYSCAP_*; two bits changed their meaning in
	// 4.12.
	capabilities uint32
}

// physinfo asks for the machine.
func (h *Hypervisor) physinfo(ctx context.Context) error {
	var payload [sizeOfPayload]byte
	if err := sysctlCall(ctx, h, "read the host's memory", sysctlPhysinfo, &payload, nil, 0); err != nil {
		return err
	}
	h.physical = parsePhysinfo(h.sysctl, payload[:])
	return h.physical.check()
}

// parsePhysinfo reads the layout of a sysctl version.
func parsePhysinfo(version uint32, b []byte) physical {
	none := opt.Value[uint64]{}
	switch {
	case version == 0x07:
		p := decode[physinfo40](b)
		return physical{
			p.ThreadsPerCore, p.CoresPerSocket, p.NrCPUs, p.MaxNodeID + 1, p.CPUkHz,
			p.TotalPages, p.FreePages, none, p.HWCap, p.Capabilities,
		}
	case version <= 0x09:
		p := decode[physinfo41](b)
		return physical{
			p.ThreadsPerCore, p.CoresPerSocket, p.NrCPUs, p.NrNodes, p.CPUkHz,
			p.TotalPages, p.FreePages, none, p.HWCap, p.Capabilities,
		}
	case version <= 0x0f:
		p := decode[physinfo43](b)
		return physical{
			p.ThreadsPerCore, p.CoresPerSocket, p.NrCPUs, p.NrNodes, p.CPUkHz,
			p.TotalPages, p.FreePages, opt.Of(p.OutstandingPages), p.HWCap, p.Capabilities,
		}
	case version <= 0x14:
		p := decode[physinfo410](b)
		return physical{
			p.ThreadsPerCore, p.CoresPerSocket, p.NrCPUs, p.NrNodes, p.CPUkHz,
			p.TotalPages, p.FreePages, opt.Of(p.OutstandingPages), p.HWCap, p.Capabilities,
		}
	default:
		p := decode[physinfo417](b)
		return physical{
			p.ThreadsPerCore, p.CoresPerSocket, p.NrCPUs, p.NrNodes, p.CPUkHz,
			p.TotalPages, p.FreePages, opt.Of(p.OutstandingPages), p.HWCap, p.Capabilities,
		}
	}
}

// maxPages is more memory than x86-64 can address: 52 bits.
const maxPages = 1 << (52 - 12)

// check finds a layout that is not what the interface version says.
func (p physical) check() error {
	const many = 1 << 16
	if p.total == 0 || p.total > maxPages || p.free > p.total || p.outstanding.Or(0) > p.total ||
		p.cpus == 0 || p.cpus > many || p.nodes == 0 || p.nodes > many ||
		p.threadsPerCore > many || p.coresPerSocket > many {
		return fmt.Errorf("read the host's memory: %d of %d pages free, %d CPUs on %d nodes cannot be: "+
			"this Xen has another layout than its interface version says", p.free, p.total, p.cpus, p.nodes)
	}
	return nil
}

// host is what xl info would print, in exact pages.
func (h *Hypervisor) host() xen.Host {
	p := h.physical
	out := xen.Host{
		Version: h.Version,
		Total:   kib(p.total), Free: kib(p.free),
		Granularity: opt.Of(units.KiB(units.PageSize / 1024)),
		HWCaps:      hwCaps(p.hwCap), VirtCaps: h.virtCaps(),
		CPUs: opt.Of(int(p.cpus)), Nodes: opt.Of(int(p.nodes)),
	}
	if claimed, ok := p.outstanding.Get(); ok {
		// As xl has it: claimed memory is promised, though nobody has it yet.
		out.Free = kib(p.free - min(claimed, p.free))
		out.Outstanding = kib(claimed)
	}
	if p.kHz > 0 {
		out.MHz = opt.Of(float64(p.kHz) / 1000)
	}
	if p.coresPerSocket > 0 && p.threadsPerCore > 0 {
		out.CoresPerSocket, out.ThreadsPerCore = opt.Of(int(p.coresPerSocket)), opt.Of(int(p.threadsPerCore))
	}
	return out
}

func kib(pages uint64) opt.Value[units.KiB] { return opt.Of(units.Pages(pages).KiB()) }

// hwCaps prints the words as xl info does: "178bfbfd:82982203:…".
func hwCaps(words [8]uint32) string {
	out := make([]byte, 0, 8*9)
	for i, w := range words {
		if i > 0 {
			out = append(out, ':')
		}
		out = fmt.Appendf(out, "%08x", w)
	}
	return string(out)
}

// virtCaps names the capabilities as xl info of that release does
// (X:tools/xl/xl_info.c, output_physinfo, read at 4.1.0, 4.9.0, 4.10.0, 4.12.0,
// 4.17.0 and 4.22.0).
func (h *Hypervisor) virtCaps() []string {
	c := func(bit int) bool { return h.physical.capabilities>>bit&1 != 0 }
	var out []string
	add := func(has bool, name string) {
		if has {
			out = append(out, name)
		}
	}
	if h.sysctl < 0x12 {
		add(c(0), "hvm")
		add(c(1), "hvm_directio")
		return out
	}
	hvm, pv, directIO := c(0), c(1), c(2)
	add(pv, "pv")
	add(hvm, "hvm")
	add(hvm && directIO, "hvm_directio")
	add(pv && directIO, "pv_directio")
	for i, name := range [...]string{"hap", "shadow", "iommu_hap_pt_share", "vmtrace", "vpmu", "gnttab-v1", "gnttab-v2"} {
		add(c(3+i), name)
	}
	return out
}
