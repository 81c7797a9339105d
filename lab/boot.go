package main

import (
	"fmt"
	"strconv"
	"strings"
)

// memoryMiB is the host's, dom0MiB Dom0's share of it.
const memoryMiB, dom0MiB = 2560, 896

// kernelArgs are for every Linux of the lab. What only costs an emulated
// processor time is off. Dom0 alone has rodata=off: with it, a guest's 4.19.72
// executes no module.
const kernelArgs = "quiet rdinit=/init mitigations=off init_on_alloc=0 audit=0 apparmor=0 cryptomgr.notests"

// hostDevices lay the PCI tree out like a Supermicro X10SAE: the graphics
// port, the functions of the C226, and what hangs on its root ports. ioh3420
// has no ACS, as the CPU's own port has none.
var hostDevices = []string{
	"intel-iommu,intremap=on,caching-mode=on",
	"ioh3420,id=peg,addr=0x1,chassis=1", "megasas-gen2,bus=peg",
	"VGA,addr=0x2",
	"intel-hda,addr=0x3",
	"nec-usb-xhci,addr=0x14",
	"pci-serial,addr=0x16.0,multifunction=on", "pci-serial,addr=0x16.3",
	"e1000e,addr=0x19,romfile=",
	"ich9-usb-ehci2,addr=0x1a",
	"ich9-intel-hda,addr=0x1b",
	"pcie-root-port,id=rp0,addr=0x1c.0,multifunction=on,chassis=10",
	"pcie-root-port,id=rp3,addr=0x1c.3,chassis=13", "e1000e,bus=rp3,romfile=",
	"pcie-root-port,id=rp5,addr=0x1c.5,chassis=15", "pcie-pci-bridge,id=pci,bus=rp5", "rtl8139,bus=pci,addr=0x3,romfile=",
	"pcie-root-port,id=rp6,addr=0x1c.6,chassis=16", "qemu-xhci,bus=rp6",
	"pcie-root-port,id=rp7,addr=0x1c.7,chassis=17", "ich9-ahci,bus=rp7",
	"ich9-usb-ehci1,addr=0x1d",
}

// software is what QEMU starts: Xen with Dom0's kernel, or that kernel alone.
func software(m machine, c config, b bootName) []string {
	linux := kernelArgs + " rodata=off loglevel=4 lab.boot=" + b.slug()
	if b.kind() == "linux" {
		// On a busy machine no tick may come while Linux tries its timer.
		return []string{"-kernel", m.kernel, "-append", "console=ttyS0 no_timer_check " + linux + " " + b.args(), "-initrd", m.initrd}
	}
	xen := []string{fmt.Sprintf("console=com1 com1=115200,8n1 dom0_mem=%dM,max:%[1]dM loglvl=all guest_loglvl=all iommu=verbose", dom0MiB)}
	if c.accel == "tcg" {
		// Each saves an emulated host more time than all else together.
		xen = append(xen, "spec-ctrl=no xpti=no pv-l1tf=no")
	}
	xen = append(xen, c.xenArgs, b.args())
	return []string{"-kernel", m.xen, "-append", strings.TrimSpace(strings.Join(xen, " ")), "-initrd", m.kernel + " console=hvc0 " + linux + "," + m.initrd}
}

// qemuArgs is the whole machine. Disks are told apart in Dom0 by their serial.
func qemuArgs(m machine, c config, b bootName) []string {
	args := []string{
		"-machine", "q35,accel=" + c.accel,
		// A PV Dom0 faults on a CPU with SMAP.
		"-cpu", "Westmere", "-smp", "2", "-m", strconv.Itoa(memoryMiB),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-smbios", "type=1,manufacturer=Supermicro,product=X10SAE",
		"-smbios", "type=2,manufacturer=Supermicro,product=X10SAE",
	}
	args = append(args, software(m, c, b)...)
	if c.shell != "" {
		args = append(args, "-serial", "mon:stdio")
	} else {
		args = append(args, "-serial", "stdio")
	}
	for _, d := range hostDevices {
		args = append(args, "-device", d)
	}
	for i, d := range []struct{ file, serial, opt string }{
		{m.root, "LABROOT", "snapshot=on"},
		{m.payload, "LABPAYLOAD", "snapshot=on"},
		{m.results, "LABRESULTS", "snapshot=off"},
	} {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,cache=unsafe,%s,file=%s", i, d.opt, d.file),
			"-device", fmt.Sprintf("ide-hd,bus=ide.%d,drive=disk%[1]d,serial=%s", i, d.serial))
	}
	return args
}
