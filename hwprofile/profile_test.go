package hwprofile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile"
	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/run/runtest"
	"xtm/xen/xl"
)

// read profiles a machine as the command does.
func read(t *testing.T, m *hwtest.Machine) hwprofile.Profile {
	t.Helper()
	files := hostfs.Root(m.Write(t))
	p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: files, Run: m.XL.Run, Hypervisor: xl.New(m.XL.Run, files)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bare is the X10SAE without Xen: the kernel's own name of the table, every
// processor in /proc/cpuinfo, no xl.
func bare() *hwtest.Machine {
	m := hwtest.X10SAE()
	delete(m.Files, "/proc/xen/capabilities")
	m.Files["/sys/firmware/acpi/tables/DMAR"] = string(acpitest.DMAR(acpi.SignatureDMAR, acpitest.X10SAE()))
	delete(m.Files, "/sys/firmware/acpi/tables/RMAD")
	var cpus strings.Builder
	one := strings.NewReplacer(" hypervisor", "", "siblings : 4", "siblings : 8", "cpu cores : 2", "cpu cores : 4", "flags : fpu", "flags : fpu vmx").Replace(hwtest.CPUInfo)
	for n := range 8 {
		cpus.WriteString(strings.NewReplacer("processor : 0", fmt.Sprintf("processor : %d", n), "core id : 0", fmt.Sprintf("core id : %d", n%4)).Replace(one))
		cpus.WriteByte('\n')
	}
	m.Files["/proc/cpuinfo"] = cpus.String()
	m.XL.Lacks("xl", "xenstore-ls")
	return m
}

// driven lets the kernel drive the IOMMU: units and a group for each device.
func driven(m *hwtest.Machine, interrupts string) *hwtest.Machine {
	m.PCI = slices.Clone(m.PCI)
	for i := range m.PCI {
		m.PCI[i].Group = fmt.Sprint(i)
	}
	m.Files["/sys/class/iommu/dmar0/intel-iommu/version"] = "1:0\n"
	m.Files["/proc/interrupts"] = interrupts
	return m
}

// TestBareLadder is scenario 7.
func TestBareLadder(t *testing.T) {
	const plain, remapped = "  1:  9  0  IO-APIC   1-edge  i8042\n", "  1:  9  0  IR-IO-APIC   1-edge  i8042\n"
	noTable := bare()
	delete(noTable.Files, "/sys/firmware/acpi/tables/DMAR")
	noTable.Files["/sys/firmware/acpi/tables/FACP"] = ""
	off := bare()
	off.Files["/proc/cmdline"] = "ro intel_iommu=off\n"
	for _, c := range []struct {
		name      string
		m         *hwtest.Machine
		state     hwprofile.IOMMUState
		remapping opt.Value[bool]
		remedy    string
		reason    string
	}{
		{"no table", noTable, hwprofile.IOMMUNotOffered, opt.Value[bool]{}, "firmware's setup", "neither"},
		{"table only", off, hwprofile.IOMMUOff, opt.Value[bool]{}, "intel_iommu=on", "intel_iommu=off is on the command line"},
		{"units", driven(bare(), plain), hwprofile.IOMMUOn, opt.Of(false), "interrupt remapping", "not remapped"},
		{"units and interrupts", driven(bare(), remapped), hwprofile.IOMMUOn, opt.Of(true), "", "remapped too"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := read(t, c.m).IOMMU
			if v.State != c.state || v.InterruptRemapping != c.remapping {
				t.Errorf("%s, remapping %v: %s", v.State, v.InterruptRemapping, v.Reason)
			}
			if (c.remedy == "") != (v.Remedy == "") || !strings.Contains(v.Remedy, c.remedy) || !strings.Contains(v.Reason, c.reason) {
				t.Errorf("reason %q, remedy %q", v.Reason, v.Remedy)
			}
		})
	}
}

// xlInfo is the synthetic xl info with another release and other virt_caps, in
// the words of each release (tools/xl/xl_info.c by tag).
func xlInfo(version, virtCaps string) runtest.Answer {
	major, minor, _ := strings.Cut(version, ".")
	r := strings.NewReplacer("xen_version            : 4.4.0", "xen_version            : "+version+".1",
		"xen_major              : 4", "xen_major              : "+major, "xen_minor              : 4", "xen_minor              : "+minor,
		"hvm hvm_directio", virtCaps)
	return runtest.Answer{Stdout: r.Replace(hwtest.XLInfo)}
}

// TestDom0Ladder is scenario 8.
func TestDom0Ladder(t *testing.T) {
	for _, c := range []struct {
		version, caps string
		table         string
		state         hwprofile.IOMMUState
	}{
		{"4.4", "hvm hvm_directio", "RMAD", hwprofile.IOMMUOn},
		{"4.4", "hvm", "XMAR", hwprofile.IOMMUOff},
		{"4.11", "hvm hvm_directio", "RMAD", hwprofile.IOMMUOn},
		{"4.11", "hvm", "", hwprofile.IOMMUNotOffered},
		{"4.12", "pv hvm hvm_directio pv_directio", "RMAD", hwprofile.IOMMUOn},
		{"4.12", "pv hvm", "RMAD", hwprofile.IOMMUOff},
		// VT-x off, VT-d on: only the one word (seen on Xen 4.17).
		{"4.17", "pv pv_directio iommu_hap_pt_share gnttab-v1 gnttab-v2", "RMAD", hwprofile.IOMMUOn},
		{"4.17", "pv iommu_hap_pt_share gnttab-v1 gnttab-v2", "RMAD", hwprofile.IOMMUOff},
		{"4.17", "pv gnttab-v1 gnttab-v2", "RMAD", hwprofile.IOMMUOff},
		{"4.17", "pv gnttab-v1 gnttab-v2", "", hwprofile.IOMMUNotOffered},
	} {
		t.Run(c.version+" "+c.caps+" "+c.table, func(t *testing.T) {
			m := hwtest.X10SAE()
			delete(m.Files, "/sys/firmware/acpi/tables/RMAD")
			m.Files["/sys/firmware/acpi/tables/FACP"] = ""
			if c.table != "" {
				m.Files["/sys/firmware/acpi/tables/"+c.table] = string(acpitest.DMAR(c.table, acpitest.X10SAE()))
			}
			m.XL.On("xl info", xlInfo(c.version, c.caps))
			p := read(t, m)
			if p.IOMMU.State != c.state {
				t.Errorf("%s: %s", p.IOMMU.State, p.IOMMU.Reason)
			}
			if said := p.IOMMU.Reason + p.IOMMU.Remedy; strings.Contains(said, "intel_iommu") {
				t.Errorf("Dom0 is told of intel_iommu: %s", said)
			}
			if c.state != hwprofile.IOMMUOn {
				for _, r := range p.Passthrough {
					if _, err := p.Commands([]pci.Address{r.Address}, nil); err == nil {
						t.Errorf("commands for %s without an IOMMU", r.Address)
					}
				}
			}
		})
	}
}

// TestXenOptionOff: the remedy names the word that switches it off.
func TestXenOptionOff(t *testing.T) {
	m := hwtest.X10SAE()
	info := xlInfo("4.17", "pv")
	info.Stdout = strings.Replace(info.Stdout, "dom0_mem=", "iommu=verbose,no dom0_mem=", 1)
	m.XL.On("xl info", info)
	p := read(t, m)
	if !strings.Contains(p.IOMMU.Reason, "iommu=verbose,no is on the command line") || !strings.Contains(p.IOMMU.Remedy, "iommu=1 on Xen's") {
		t.Errorf("%s / %s", p.IOMMU.Reason, p.IOMMU.Remedy)
	}
	r := readiness(t, p, "01:00.0")
	if r.Answer != hwprofile.NotReady || !r.Impossible {
		t.Errorf("without an IOMMU the HBA is %s", r.Answer)
	}
}

// TestDom0CPU is scenario 9: the physical processor, in both orders of hw_caps.
func TestDom0CPU(t *testing.T) {
	const newOrder = "bfebfbff:77fafbff:2c100800:00000021:00000001:000027ab:00000000:00000100"
	for _, c := range []struct{ version, words string }{{"4.4", ""}, {"4.17", newOrder}} {
		m := hwtest.X10SAE()
		info := xlInfo(c.version, "hvm hvm_directio")
		if c.words != "" {
			at := strings.Index(info.Stdout, "hw_caps")
			end := at + strings.Index(info.Stdout[at:], "\n")
			info.Stdout = info.Stdout[:at] + "hw_caps                : " + c.words + info.Stdout[end:]
		}
		m.XL.On("xl info", info)
		cpu := read(t, m).CPU
		if cpu.Cores != opt.Of(4) || cpu.Threads != opt.Of(8) || cpu.Sockets != opt.Of(1) || cpu.CountedBy != "xl info" {
			t.Errorf("%s: %v cores, %v threads, %v sockets by %q", c.version, cpu.Cores, cpu.Threads, cpu.Sockets, cpu.CountedBy)
		}
		if diff := cmp.Diff(&hwprofile.SeenCPU{Processors: 1, Siblings: 4, Cores: 2}, cpu.Seen); diff != "" {
			t.Errorf("%s: %s", c.version, diff)
		}
		vmx, aes := cpu.Feature("vmx"), cpu.Feature("aes")
		if vmx.Present != opt.Of(true) || !vmx.Hidden || aes.Present != opt.Of(true) || aes.Hidden {
			t.Errorf("%s: vmx %+v, aes %+v", c.version, vmx, aes)
		}
		// The published host had TSX; these newer words have it masked (bit 11).
		if tsx := cpu.Feature("rtm").Present; tsx != opt.Of(c.words == "") {
			t.Errorf("%s: rtm %v", c.version, tsx)
		}
	}
}

// TestDom0WithoutXL: what only Xen knows is not made up from Dom0's view.
func TestDom0WithoutXL(t *testing.T) {
	m := hwtest.X10SAE()
	m.XL = runtest.New(hwtest.Start).Lacks("xl", "xenstore-ls")
	p := read(t, m)
	if p.CPU.Cores.Has() || p.CPU.Threads.Has() || p.CPU.Feature("vmx").Present.Has() {
		t.Errorf("%v cores, %v threads, vmx %+v", p.CPU.Cores, p.CPU.Threads, p.CPU.Feature("vmx"))
	}
	if p.IOMMU.State != hwprofile.IOMMUUnknown {
		t.Errorf("IOMMU %s: %s", p.IOMMU.State, p.IOMMU.Reason)
	}
	if r := readiness(t, p, "01:00.0"); r.Answer != hwprofile.Unknown {
		t.Errorf("the HBA is %s", r.Answer)
	}
}

func TestBareCPU(t *testing.T) {
	p := read(t, bare())
	if p.CPU.Cores != opt.Of(4) || p.CPU.Threads != opt.Of(8) || p.CPU.Seen != nil || p.CPU.Virtual {
		t.Errorf("%+v", p.CPU)
	}
	if v := p.CPU.Feature("vmx"); v.Present != opt.Of(true) || v.Hidden {
		t.Errorf("vmx %+v", v)
	}
	if p.Memory.Total.Has() {
		t.Errorf("memory %v without /proc/meminfo", p.Memory.Total)
	}
}

func TestFindings(t *testing.T) {
	verdicts := func(p hwprofile.Profile) map[string]finding.Verdict {
		m := map[string]finding.Verdict{}
		for _, f := range p.Findings {
			m[f.Check] = f.Verdict
		}
		return m
	}
	m := hwtest.X10SAE()
	m.Files["/proc/cmdline"] = "ro intel_iommu=on\n"
	info := xlInfo("4.17", "hvm hvm_directio")
	info.Stdout = strings.Replace(info.Stdout, "dom0_mem=2048M,max:2048M ", "", 1)
	m.XL.On("xl info", info)
	want := map[string]finding.Verdict{
		"iommu": finding.Good, "smt": finding.Warning, "microcode": finding.Warning,
		"dom0-mem": finding.Warning, "dom0-iommu-option": finding.Note,
	}
	if diff := cmp.Diff(want, verdicts(read(t, m))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m = hwtest.X10SAE()
	m.Files["/proc/cpuinfo"] = strings.Replace(hwtest.CPUInfo, "0x17", "0x28", 1)
	m.XL.On("xl info", runtest.Answer{Stdout: strings.Replace(hwtest.XLInfo, "threads_per_core       : 2", "threads_per_core       : 1", 1)})
	got := verdicts(read(t, m))
	if got["microcode"] != finding.Good || got["smt"] != finding.Good || got["dom0-mem"] != finding.Good {
		t.Errorf("%v", got)
	}
}
