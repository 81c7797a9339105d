// Package hwtest makes whole machines for tests: files, and what xl answers.
package hwtest

import (
	_ "embed"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/run/runtest"
)

// CPUInfo is the first processor of /proc/cpuinfo in the PV Dom0 of the X10SAE
// host, as it was published in 2014.
//
//go:embed testdata/cpuinfo-cpu0.txt
var CPUInfo string

// XLInfo is synthetic: no xl info of that host was published. The figures are
// those of its processor and board; the words of hw_caps are made up but for
// the bits that matter, in the order of Xen 4.4.
const XLInfo = `host                   : x10sae
release                : 3.14.0
nr_cpus                : 8
max_cpu_id             : 7
nr_nodes               : 1
cores_per_socket       : 4
threads_per_core       : 2
cpu_mhz                : 2500
hw_caps                : bfebfbff:2c100800:00000000:00007f00:77fafbff:00000000:00000021:00002fbb
virt_caps              : hvm hvm_directio
total_memory           : 32672
free_memory            : 1024
outstanding_claims     : 0
xen_major              : 4
xen_minor              : 4
xen_extra              : .0
xen_version            : 4.4.0
xen_commandline        : dom0_mem=2048M,max:2048M tmem
`

// XLDmesg is synthetic too: the lines that Xen 4.4 prints for such a board.
const XLDmesg = `(XEN) Intel VT-d iommu 0 supported page sizes: 4kB, 2MB, 1GB.
(XEN) Intel VT-d iommu 1 supported page sizes: 4kB, 2MB, 1GB.
(XEN) Intel VT-d Interrupt Remapping enabled.
(XEN) I/O virtualisation enabled
(XEN)  - Dom0 mode: Relaxed
(XEN) Interrupt remapping enabled
`

// Machine is a machine for a test. Fields may be changed before Write.
type Machine struct {
	PCI   pcitest.Host
	Files map[string]string // by path
	Links map[string]string // by path
	XL    *runtest.Fake
}

// Start is when the clock of XL begins.
var Start = time.Date(2014, 9, 2, 12, 0, 0, 0, time.UTC)

// X10SAE is that host as Dom0: board, processor, VT-d table, Debian, and a root
// file system on the onboard SATA controller.
func X10SAE() *Machine {
	m := &Machine{
		PCI: pcitest.X10SAE(),
		Files: map[string]string{
			"/proc/cpuinfo":                           CPUInfo,
			"/proc/xen/capabilities":                  "control_d\n",
			"/proc/cmdline":                           "root=/dev/mapper/vg0-root ro\n",
			"/proc/sys/kernel/osrelease":              "3.14.0\n",
			"/sys/class/dmi/id/sys_vendor":            "Supermicro\n",
			"/sys/class/dmi/id/product_name":          "X10SAE\n",
			"/sys/class/dmi/id/board_name":            "X10SAE\n",
			"/sys/class/dmi/id/board_version":         "1.01\n",
			"/sys/class/dmi/id/bios_version":          "3.0\n",
			"/sys/class/dmi/id/bios_date":             "05/20/2015\n",
			"/sys/devices/system/edac/mc/mc0/mc_name": "IE31200\n",
			"/sys/firmware/acpi/tables/RMAD":          string(acpitest.DMAR(acpi.SignatureRMAD, acpitest.X10SAE())),
			"/etc/os-release":                         "ID=debian\n",
		},
		Links: map[string]string{},
		XL: runtest.New(Start).On("xl info", runtest.Answer{Stdout: XLInfo}).On("xl dmesg", runtest.Answer{Stdout: XLDmesg}).
			On("xenstore-ls -f /local/domain/0/backend", runtest.Answer{Stdout: "/local/domain/0/backend = \"\"\n"}),
	}
	for _, part := range []fixture{drivers(m.PCI), storage(), network()} {
		maps.Copy(m.Files, part.files)
		maps.Copy(m.Links, part.links)
	}
	return m
}

// fixture is a part of a machine.
type fixture struct{ files, links map[string]string }

// drivers makes modules of all drivers but those that Debian builds in.
func drivers(devices pcitest.Host) fixture {
	f := fixture{map[string]string{}, map[string]string{}}
	for _, d := range devices {
		name := d.Driver
		switch d.Driver {
		case "", "pcieport", "serial":
			continue
		case "xhci_hcd":
			name = "xhci_pci"
		}
		f.links["/sys/bus/pci/drivers/"+d.Driver+"/module"] = "../../../../module/" + name
		f.files["/sys/module/"+name+"/initstate"] = "live\n"
	}
	return f
}

// disk puts a disk with one partition on a controller.
func (f fixture) disk(controller, name string) {
	dir := "/sys/devices/" + controller + "/ata1/host0/target0:0:0/0:0:0:0/block/" + name
	f.files[dir+"/size"] = "1000\n"
	f.files[dir+"/"+name+"1/partition"] = "1\n"
	f.links["/sys/class/block/"+name] = "../.." + dir[len("/sys"):]
	f.links["/sys/class/block/"+name+"1"] = "../.." + dir[len("/sys"):] + "/" + name + "1"
}

// mapped puts a device-mapper device on others.
func (f fixture) mapped(name, number string, slaves ...string) {
	dir := "/sys/devices/virtual/block/" + name
	f.files[dir+"/size"] = "1000\n"
	f.links["/sys/class/block/"+name] = "../../devices/virtual/block/" + name
	f.links["/sys/dev/block/"+number] = "../../devices/virtual/block/" + name
	for _, s := range slaves {
		f.links[dir+"/slaves/"+s] = "../../../../../class/block/" + s
	}
}

// storage is a root on LUKS on LVM on a disk of 00:1f.2, with /boot on the disk
// itself, and images of guests on 07:00.0 (synthetic, scenario 12).
func storage() fixture {
	f := fixture{map[string]string{}, map[string]string{}}
	f.disk("pci0000:00/0000:00:1f.2", "sda")
	f.disk("pci0000:00/0000:00:1c.7/0000:07:00.0", "sdb")
	f.links["/sys/dev/block/8:1"] = f.links["/sys/class/block/sda1"]
	f.links["/sys/dev/block/8:17"] = f.links["/sys/class/block/sdb1"]
	f.mapped("dm-0", "254:0", "sda1")
	f.mapped("dm-1", "254:1", "dm-0")
	f.files["/proc/self/mountinfo"] = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root_crypt rw
23 22 8:1 / /boot rw,relatime shared:2 - ext4 /dev/sda1 rw
24 22 8:17 / /var/lib/xen/images rw,relatime shared:3 - ext4 /dev/sdb1 rw
25 22 0:21 / /proc rw shared:4 - proc proc rw
`
	f.files["/proc/swaps"] = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
	return f
}

// network is a default route over a bridge on a bond of 00:19.0; 03:00.0 has an
// interface that nobody needs (synthetic, scenario 12).
func network() fixture {
	f := fixture{map[string]string{}, map[string]string{}}
	physical := func(name, device string) {
		f.files["/sys/devices/"+device+"/net/"+name+"/ifindex"] = "2\n"
		f.links["/sys/class/net/"+name] = "../../devices/" + device + "/net/" + name
	}
	virtual := func(name string, lower ...string) {
		dir := "/sys/devices/virtual/net/" + name
		f.files[dir+"/ifindex"] = "3\n"
		f.links["/sys/class/net/"+name] = "../../devices/virtual/net/" + name
		for _, l := range lower {
			f.links[dir+"/lower_"+l] = "../" + l
		}
	}
	physical("eth0", "pci0000:00/0000:00:19.0")
	physical("eth1", "pci0000:00/0000:00:1c.3/0000:03:00.0")
	virtual("bond0", "eth0")
	virtual("xenbr0", "bond0", "vif1.0")
	virtual("vif1.0")
	f.files["/proc/net/route"] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"xenbr0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	return f
}

// Write writes the machine into a new temporary folder.
func (m *Machine) Write(tb testing.TB) string {
	tb.Helper()
	pcitest.InMemory(tb)
	dir := string(m.PCI.Write(tb))
	for name, text := range m.Files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for name, to := range m.Links {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Symlink(to, at); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}
