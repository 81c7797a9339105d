package hwprofile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/proc"
	"xtm/internal/role"
)

// CPU is the machine's processor; the same in each socket.
type CPU struct {
	Vendor string `json:"vendor,omitempty"` // GenuineIntel, AuthenticAMD
	Model  string `json:"model,omitempty"`
	// Family, Number and Stepping are decimal, as in /proc/cpuinfo.
	Family   opt.Value[int] `json:"family,omitzero"`
	Number   opt.Value[int] `json:"model_number,omitzero"`
	Stepping opt.Value[int] `json:"stepping,omitzero"`
	// Microcode is the loaded revision; absent where the kernel shows none.
	Microcode opt.Value[uint32] `json:"microcode,omitzero"`
	// Virtual is true where the machine is a guest of a hypervisor other than
	// the Xen that this is Dom0 of.
	Virtual bool `json:"virtual,omitempty"`

	Sockets opt.Value[int] `json:"sockets,omitzero"`
	Cores   opt.Value[int] `json:"cores,omitzero"`   // of the whole machine
	Threads opt.Value[int] `json:"threads,omitzero"` // of the whole machine
	// CountedBy is where the three are from: "xl info" or "/proc/cpuinfo".
	// /proc/cpuinfo of a Dom0 is never asked: it describes virtual processors.
	CountedBy string `json:"counted_by,omitempty"`
	// Seen is what /proc/cpuinfo of a Dom0 shows instead; nil elsewhere.
	Seen *SeenCPU `json:"seen_by_dom0,omitempty"`

	Features []Feature `json:"features,omitempty"`
	// Bugs are the kernel's names of the processor's faults: "l1tf", "mds".
	Bugs []string `json:"bugs,omitempty"`
}

// SeenCPU is how Dom0's virtual processors look in /proc/cpuinfo.
type SeenCPU struct {
	Processors int `json:"processors"`
	Siblings   int `json:"siblings"`
	Cores      int `json:"cpu_cores"`
}

// Feature is something that a processor has or has not.
type Feature struct {
	Name string `json:"name"` // "VT-x"
	Flag string `json:"flag"` // "vmx", as in /proc/cpuinfo
	// Present is absent where that could not be told.
	Present opt.Value[bool] `json:"present,omitzero"`
	Source  string          `json:"source"`
	// Hidden is true where the processor has it and Dom0 does not see it.
	Hidden bool `json:"hidden_from_dom0,omitempty"`
}

// Feature returns one by its flag; its zero value where it was not looked for.
func (c CPU) Feature(flag string) Feature {
	for _, f := range c.Features {
		if f.Flag == flag {
			return f
		}
	}
	return Feature{}
}

// SMT tells whether a core runs several threads.
func (c CPU) SMT() opt.Value[bool] {
	return opt.Both(c.Threads, c.Cores, func(t, n int) bool { return t > n })
}

func (p *Profile) readCPU(files hostfs.Files) {
	cpus, err := cpuinfo(files)
	p.gap("processor", err)
	c := &p.CPU
	var flags []string
	if len(cpus) > 0 {
		first := cpus[0]
		flags = first.Flags
		*c = CPU{
			Vendor: first.VendorID, Model: first.ModelName, Bugs: first.Bugs,
			Family: number(first.CPUFamily), Number: number(first.Model), Stepping: number(first.Stepping),
		}
		if rev, err := strconv.ParseUint(first.Microcode, 0, 32); err == nil && uint32(rev) != ^uint32(0) {
			c.Microcode = opt.Of(uint32(rev))
		}
		// CPUID leaf 1 ECX bit 31; real hardware never sets it, Xen always does.
		c.Virtual = p.Role != role.Host && slices.Contains(flags, "hypervisor")
	}
	if p.Role == role.Host {
		if len(cpus) > 0 {
			c.Seen = &SeenCPU{len(cpus), int(cpus[0].Siblings), int(cpus[0].CPUCores)}
		}
		p.countByXen()
	} else {
		c.count(cpus)
	}
	virtualisation := Feature{Name: "VT-x", Flag: "vmx"}
	if c.Vendor == "AuthenticAMD" || c.Vendor == "HygonGenuine" {
		virtualisation = Feature{Name: "AMD-V", Flag: "svm"}
	}
	for _, f := range []Feature{virtualisation, {Name: "AES-NI", Flag: "aes"}, {Name: "TSX", Flag: "rtm"}} {
		c.Features = append(c.Features, p.feature(f, flags, len(cpus) > 0))
	}
}

// cpuinfo reads every processor of /proc/cpuinfo.
//
//	processor	: 0
//	vendor_id	: GenuineIntel
//	cpu family	: 6
//	model		: 60
//	microcode	: 0x17
//	siblings	: 4
//	cpu cores	: 2
//
// (X10SAE, PV Dom0 of 2014.)
func cpuinfo(files hostfs.Files) (cpus []procfs.CPUInfo, err error) {
	fsys, closeProc, err := proc.Open(files, "cpuinfo")
	if err != nil {
		return nil, fmt.Errorf("read /proc/cpuinfo: %w", err)
	}
	// procfs takes what stands after ": " without looking whether it is there.
	defer func() {
		if r := recover(); r != nil {
			cpus, err = nil, fmt.Errorf("read /proc/cpuinfo: a line without a value: %v", r)
		}
		err = errors.Join(err, closeProc())
	}()
	cpus, err = fsys.CPUInfo()
	if err != nil {
		return nil, fmt.Errorf("read /proc/cpuinfo: %w", err)
	}
	if len(cpus) == 0 {
		return nil, fmt.Errorf("read /proc/cpuinfo: it names no processor: %w", cause.ErrNoData)
	}
	return cpus, nil
}

func number(s string) opt.Value[int] {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return opt.Value[int]{}
	}
	return opt.Of(n)
}

// count is for bare Linux, where each thread has a block of its own.
func (c *CPU) count(cpus []procfs.CPUInfo) {
	if len(cpus) == 0 {
		return
	}
	sockets, cores := map[string]bool{}, map[[2]string]bool{}
	for _, one := range cpus {
		if one.PhysicalID == "" || one.CoreID == "" {
			sockets = nil
			break
		}
		sockets[one.PhysicalID], cores[[2]string{one.PhysicalID, one.CoreID}] = true, true
	}
	c.Threads, c.CountedBy = opt.Of(len(cpus)), "/proc/cpuinfo"
	if sockets != nil {
		c.Sockets, c.Cores = opt.Of(len(sockets)), opt.Of(len(cores))
	}
}

// countByXen takes what Xen says of the physical machine.
func (p *Profile) countByXen() {
	if p.Xen == nil || !p.Xen.CPUs.Has() {
		return
	}
	c := &p.CPU
	c.Threads, c.CountedBy = p.Xen.CPUs, "xl info"
	threads := c.Threads.Or(0)
	if per := p.Xen.ThreadsPerCore.Or(0); per > 0 {
		c.Cores = opt.Of(threads / per)
		if n := p.Xen.CoresPerSocket.Or(0); n > 0 {
			c.Sockets = opt.Of(max(1, threads/per/n))
		}
	}
}

// feature asks the physical processor where Xen tells of it, else the flags. A
// flag that Dom0 does not see proves nothing: Xen hides most that are of no use
// to a PV guest.
func (p *Profile) feature(f Feature, flags []string, read bool) Feature {
	seen := slices.Contains(flags, f.Flag)
	if p.Role != role.Host {
		f.Source = "flags of /proc/cpuinfo"
		if read {
			f.Present = opt.Of(seen)
		}
		return f
	}
	f.Source = "could not tell: Xen hides flags from Dom0, and xl info could not be read"
	if p.Xen != nil {
		f.Source = "hw_caps of xl info"
		if f.Present = physical(p.Xen.HWCaps, p.Xen.Version, f.Flag); !f.Present.Has() && (f.Flag == "vmx" || f.Flag == "svm") && slices.Contains(p.Xen.VirtCaps, "hvm") {
			f.Present, f.Source = opt.Of(true), "virt_caps of xl info: hvm"
		}
	}
	if !f.Present.Has() && seen {
		f.Present, f.Source = opt.Of(true), "flags of /proc/cpuinfo"
	}
	f.Hidden = f.Present.Or(false) && read && !seen
	return f
}
