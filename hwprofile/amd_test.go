package hwprofile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile"
	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/run/runtest"
)

// amdTable has the shape of the tables that AMD's firmware of 2017 and later
// has, as owners published them: the old and the new block of one unit, which
// serves every function from 00:01.0 on, and an alias for what is behind the old
// PCI bus. The fixed ranges are made up: such boards rarely have one.
func amdTable(t *testing.T) acpi.IVRS {
	t.Helper()
	a := func(s string) pci.Address { return address(t, s) }
	entries := []acpi.AMDEntry{
		{Kind: acpi.AMDRange, First: a("00:01.0"), Last: a("ff:1f.6")},
		{Kind: acpi.AMDRange, First: a("ff:00.0"), Last: a("ff:1f.7"), Aliased: true, Alias: a("00:14.4")},
	}
	return acpi.IVRS{
		Info: 0x203041,
		Units: []acpi.AMDUnit{
			{Type: 0x10, Flags: 0xb0, Address: a("00:00.2"), Base: 0xfc000000, Entries: entries},
			{Type: 0x11, Flags: 0xb0, Address: a("00:00.2"), Base: 0xfc000000, Entries: entries},
		},
		Reserved: []acpi.AMDReserved{
			{Type: 0x21, Flags: 0x07, First: a("01:00.0"), Last: a("01:00.0"), Start: 0xcd000000, Size: 0x1000},
			{Type: 0x22, Flags: 0x07, First: a("03:00.2"), Last: a("03:00.3"), Start: 0xce000000, Size: 0x2000},
		},
	}
}

// amdHost is a desktop of AMD's family 17h as Dom0 of Xen 4.17, synthetic: ids
// and places are those of such processors, a card is behind each of two ports.
func amdHost(t *testing.T) *hwtest.Machine {
	t.Helper()
	root, endpoint := new(pci.RootPort), new(pci.Endpoint)
	port := func(at, id string, bus uint8) pcitest.Device {
		return pcitest.Device{
			At: at, ID: id, Class: 0x060400, Header: 1, Secondary: bus, Subordinate: bus, Multifunction: true, Express: root,
			ACS: pcitest.IsolatingACS(), PM: true, MSI: true, Driver: "pcieport",
		}
	}
	card := func(at, id string, class uint32, driver, resets string) pcitest.Device {
		return pcitest.Device{At: at, ID: id, Sub: id, Class: class, Express: endpoint, MSI: true, NoSoftRst: true, Driver: driver, Resets: resets}
	}
	m := hwtest.X10SAE()
	m.PCI = pcitest.Host{
		{At: "00:00.0", ID: "1022:1450", Class: 0x060000},
		{At: "00:00.2", ID: "1022:1451", Class: 0x080600},
		port("00:01.3", "1022:1453", 1), card("01:00.0", "10ec:8168", 0x020000, "r8169", "pm bus"),
		port("00:03.1", "1022:1453", 2), card("02:00.0", "1000:0072", 0x010700, "mpt3sas", "flr bus"),
		port("00:07.1", "1022:1454", 3), card("03:00.2", "1022:1456", 0x108000, "ccp", "flr"), card("03:00.3", "1022:145f", 0x0c0330, "xhci_hcd", "flr"),
		{At: "00:14.0", ID: "1022:790b", Class: 0x0c0500, Multifunction: true, Driver: "piix4_smbus"},
		{At: "00:14.3", ID: "1022:790e", Class: 0x060100, Multifunction: true},
	}
	for i := range m.PCI {
		if m.PCI[i].Address().Bus == 3 {
			m.PCI[i].Multifunction = true
		}
	}
	for _, name := range []string{"r8169", "ccp"} {
		m.Links["/sys/bus/pci/drivers/"+name+"/module"] = "../../../../module/" + name
		m.Files["/sys/module/"+name+"/initstate"] = "live\n"
	}
	m.Files["/proc/cpuinfo"] = "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 23\nmodel : 1\nmodel name : AMD Ryzen 5 1600\nstepping : 1\n" +
		"microcode : 0x8001138\nphysical id : 0\nsiblings : 2\ncore id : 0\ncpu cores : 1\nflags : fpu aes hypervisor\n"
	delete(m.Files, "/sys/firmware/acpi/tables/RMAD")
	m.Files["/sys/firmware/acpi/tables/IVRS"] = string(acpitest.IVRS(amdTable(t)))
	m.Files["/proc/self/mountinfo"], m.Files["/proc/net/route"] = "", "Iface\n"
	info := xlInfo("4.17", "pv hvm hvm_directio pv_directio hap gnttab-v1 gnttab-v2")
	at := strings.Index(info.Stdout, "hw_caps")
	end := at + strings.Index(info.Stdout[at:], "\n")
	// Word 3 bit 2 is SVM.
	info.Stdout = info.Stdout[:at] + "hw_caps                : 178bf3ff:76d8320b:2e500800:244033ff:0000000f:209c01a9:00000000:00000500" + info.Stdout[end:]
	m.XL.On("xl info", info)
	m.XL.On("xl dmesg", runtest.Answer{Stdout: `(XEN) AMD-Vi: IOMMU Extended Features:
(XEN) AMD-Vi: IOMMU 0 Enabled.
(XEN) I/O virtualisation enabled
(XEN)  - Dom0 mode: Relaxed
(XEN) Interrupt remapping enabled
`})
	return m
}

func TestAMDTable(t *testing.T) {
	want := amdTable(t)
	got, err := acpi.ParseIVRS(acpitest.IVRS(want))
	want.Header = got.Header
	if diff := cmp.Diff(want, got); err != nil || diff != "" || !got.Header.ChecksumOK {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestAMD: the same questions on the other maker's machine.
func TestAMD(t *testing.T) {
	p := read(t, amdHost(t))
	if len(p.Gaps) > 0 {
		t.Errorf("gaps: %v", p.Gaps)
	}
	i := p.IOMMU
	if !i.On() || i.DrivenBy != "Xen" || i.InterruptRemapping != opt.Of(true) || i.IVRS == nil || i.DMAR != nil {
		t.Errorf("%+v", i)
	}
	if !slices.ContainsFunc(i.Evidence, func(e finding.Evidence) bool { return e.Value == "AMD-Vi: IOMMU 0 Enabled." }) {
		t.Errorf("evidence: %+v", i.Evidence)
	}
	if f := p.CPU.Feature("svm"); f.Name != "AMD-V" || f.Present != opt.Of(true) || !f.Hidden || f.Source != "hw_caps of xl info" {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct {
		at           string
		answer       hwprofile.Answer
		check, says  string
		verdict      finding.Verdict
		mates, never bool
	}{
		{"02:00.0", hwprofile.Ready, "reset", "by itself (flr)", finding.Good, false, false},
		{"01:00.0", hwprofile.Ready, "reserved-memory", "memory 0xcd000000–0xcd000fff, which the guest will see", finding.Note, false, false},
		{"03:00.3", hwprofile.Conditional, "reserved-memory", "together with 0000:03:00.2", finding.Warning, true, false},
		{"00:00.2", hwprofile.NotReady, "part-of-the-machine", "an IOMMU", finding.Bad, false, true},
		{"00:14.0", hwprofile.NotReady, "part-of-the-machine", "management bus", finding.Bad, false, true},
	} {
		r := readiness(t, p, c.at)
		f := reason(r, c.check)
		if r.Answer != c.answer || f.Verdict != c.verdict || !strings.Contains(f.Seen, c.says) || (len(r.With) > 0) != c.mates || r.Impossible != c.never {
			t.Errorf("%s is %s, with %v: %+v", c.at, r.Answer, r.With, r.Reasons)
		}
	}
}

// TestAMDLadder: the words that switch it off, in Dom0 and without Xen.
func TestAMDLadder(t *testing.T) {
	off := amdHost(t)
	info := xlInfo("4.17", "pv hvm gnttab-v1")
	info.Stdout = strings.Replace(info.Stdout, "dom0_mem=", "iommu=no dom0_mem=", 1)
	off.XL.On("xl info", info)
	p := read(t, off)
	if p.IOMMU.State != hwprofile.IOMMUOff || !strings.Contains(p.IOMMU.Reason, "(IVRS)") || !strings.Contains(p.IOMMU.Reason, "iommu=no is on the command line") {
		t.Errorf("%s: %s", p.IOMMU.State, p.IOMMU.Reason)
	}
	for _, c := range []struct {
		line   string
		units  bool
		state  hwprofile.IOMMUState
		remedy string
	}{
		{"ro amd_iommu=off", false, hwprofile.IOMMUOff, "take iommu=off and amd_iommu=off off"},
		{"ro", true, hwprofile.IOMMUOn, ""},
	} {
		m := amdHost(t)
		delete(m.Files, "/proc/xen/capabilities")
		m.Files["/proc/cmdline"] = c.line
		if c.units {
			for i := range m.PCI {
				m.PCI[i].Group = string(rune('0' + i))
			}
			m.Files["/sys/class/iommu/ivhd0/amd-iommu/cap"] = "40\n"
			m.Files["/proc/interrupts"] = "  1:  9  0  IR-IO-APIC   1-edge  i8042\n"
		}
		v := read(t, m).IOMMU
		if v.State != c.state || !strings.Contains(v.Remedy, c.remedy) || (c.remedy == "") != (v.Remedy == "") {
			t.Errorf("%q: %s: %s / %s", c.line, v.State, v.Reason, v.Remedy)
		}
	}
}
