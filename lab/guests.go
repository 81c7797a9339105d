package main

import (
	"fmt"
	"strings"
)

// guest is one PV guest of the lab.
type guest struct {
	name           string
	memory, maxmem int // MiB
	vcpus          int
	data, swap     bool
	// libvirt: made by virsh create where libvirt works with this Xen.
	libvirt bool
	// tmem: the guest loads the tmem module where its kernel has one.
	tmem bool
}

// guests together are promised more memory than Dom0 leaves them.
var guests = []guest{
	{name: "web1", memory: 256, maxmem: 640, vcpus: 2, data: true, swap: true, tmem: true},
	{name: "db1", memory: 256, maxmem: 512, vcpus: 1, data: true, swap: true, tmem: true, libvirt: true},
	{name: "cache1", memory: 192, maxmem: 192, vcpus: 1, data: true, tmem: true},
	{name: "idle1", memory: 192, maxmem: 192, vcpus: 1, data: true, swap: true, tmem: true},
	{name: "plain1", memory: 160, maxmem: 160, vcpus: 1},
}

const (
	guestKernelPath = "/lab/guest/vmlinux"
	guestInitrdPath = "/lab/guest/initrd"
	// dataMiB and swapMiB are the sizes of a guest's disks, sparse files in Dom0.
	dataMiB, swapMiB = 192, 256
)

// disk is a block device of Dom0's and the name the guest sees.
type disk struct {
	dev, guestDev string
	readonly      bool
}

// loopFile is a sparse file of Dom0's behind a loop device.
type loopFile struct {
	dev, file string
	mib       int
	ext4      bool
}

// disks gives each guest its loop devices, counted from loop0, and the
// read-only disk with xtm on it.
func disks() (map[string][]disk, []loopFile) {
	per := map[string][]disk{}
	var files []loopFile
	add := func(g guest, kind, guestDev string, mib int) {
		l := loopFile{fmt.Sprintf("/dev/loop%d", len(files)), fmt.Sprintf("/var/lab/%s.%s", g.name, kind), mib, kind == "data"}
		files = append(files, l)
		per[g.name] = append(per[g.name], disk{dev: l.dev, guestDev: guestDev})
	}
	for _, g := range guests {
		if g.data {
			add(g, "data", "xvda", dataMiB)
		}
		if g.swap {
			add(g, "swap", "xvdb", swapMiB)
		}
		per[g.name] = append(per[g.name], disk{dev: "/dev/labpayload", guestDev: "xvdc", readonly: true})
	}
	return per, files
}

func (g guest) cmdline() string {
	words := []string{"console=hvc0", kernelArgs, "loglevel=3", "lab.name=" + g.name}
	if g.swap {
		words = append(words, "lab.swap")
	}
	if g.tmem {
		words = append(words, "lab.tmem")
	}
	return strings.Join(words, " ")
}

// xlConfig is the guest for xl create.
func (g guest) xlConfig(disks []disk) string {
	d := make([]string, 0, len(disks))
	for _, k := range disks {
		mode := "w"
		if k.readonly {
			mode = "r"
		}
		d = append(d, fmt.Sprintf("'phy:%s,%s,%s'", k.dev, k.guestDev, mode))
	}
	return fmt.Sprintf(`name = %q
type = "pv"
kernel = %q
ramdisk = %q
extra = %q
memory = %d
maxmem = %d
vcpus = %d
disk = [ %s ]
on_crash = "destroy"
`, g.name, guestKernelPath, guestInitrdPath, g.cmdline(), g.memory, g.maxmem, g.vcpus, strings.Join(d, ", "))
}

// libvirtXML is the guest for virsh create.
func (g guest) libvirtXML(disks []disk) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<domain type="xen">
  <name>%s</name>
  <memory unit="MiB">%d</memory>
  <currentMemory unit="MiB">%d</currentMemory>
  <vcpu>%d</vcpu>
  <os>
    <type arch="x86_64" machine="xenpv">linux</type>
    <kernel>%s</kernel>
    <initrd>%s</initrd>
    <cmdline>%s</cmdline>
  </os>
  <on_crash>destroy</on_crash>
  <devices>
`, g.name, g.maxmem, g.memory, g.vcpus, guestKernelPath, guestInitrdPath, g.cmdline())
	for _, k := range disks {
		ro := ""
		if k.readonly {
			ro = "<readonly/>"
		}
		fmt.Fprintf(&b, `    <disk type="block" device="disk"><driver name="phy" type="raw"/><source dev="%s"/><target dev="%s" bus="xen"/>%s</disk>
`, k.dev, k.guestDev, ro)
	}
	b.WriteString("    <console type=\"pty\"><target type=\"xen\" port=\"0\"/></console>\n  </devices>\n</domain>\n")
	return b.String()
}
