package hwprofile

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"xtm/internal/hostfs"
)

// system is how this distribution boots, and what its kernel has.
type system struct {
	family  string // debian, dracut, arch, alpine, xcp-ng; "" is none of these
	pciback home
	drivers map[string]driver // by name: xhci_hcd is in xhci_pci

	// What hides devices now.
	modprobe  string // modprobeFile
	grub      string // grubFile
	commands  string // the kernel's command line
	initramfs bool   // of Debian: it has xen-pciback
}

// home is where the kernel has a driver; "" could not be told.
type home string

const (
	builtIn  home = "kernel"
	asModule home = "module"
	nowhere  home = "nowhere"
)

// driver is one that has a device now.
type driver struct {
	module string // "" where it is no module, or could not be told
	home   home
}

// The files that xtm's own lines write: each has one purpose, so that its
// removal is the undo.
const (
	modprobeFile = "/etc/modprobe.d/xtm-pciback.conf"
	grubFile     = "/etc/default/grub.d/xtm-pciback.cfg"
)

func (p *Profile) readSystem(files hostfs.Files) {
	read := func(name string) string {
		b, err := files.ReadFile(name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	s := &p.system
	s.family = family(read("/etc/os-release"))
	s.modprobe, s.grub, s.commands = read(modprobeFile), read(grubFile), strings.Join(p.commands, " ")
	s.initramfs = strings.Contains("\n"+read("/etc/initramfs-tools/modules")+"\n", "\nxen-pciback\n")
	s.drivers = map[string]driver{}
	for i := range p.Devices {
		name := p.Devices[i].Driver.Or("")
		if _, known := s.drivers[name]; !known && name != "" && name != driverPCIBack && name != driverVFIO {
			s.drivers[name] = driverOf(files, name)
		}
	}
	if r := read("/proc/sys/kernel/osrelease"); r != "" && !strings.Contains(r, "/") {
		s.pciback = pcibackOf(files, r)
	}
}

// driverOf looks where a driver is. A module has a link to it and a state there;
// a driver that is part of the kernel has the link only where it has parameters.
//
//	/sys/bus/pci/drivers/xhci_hcd/module -> ../../../../module/xhci_pci
//	/sys/module/xhci_pci/initstate: live
//
// (Linux 3.2 to 6.x, kernel/module/sysfs.c and drivers/base/module.c.)
func driverOf(files hostfs.Files, name string) driver {
	to, err := files.Readlink("/sys/bus/pci/drivers/" + name + "/module")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return driver{home: builtIn}
	case err != nil:
		return driver{}
	}
	d := driver{module: path.Base(to), home: asModule}
	if there, err := files.Exists("/sys/module/" + d.module + "/initstate"); err == nil && !there {
		return driver{home: builtIn}
	}
	return d
}

// pcibackOf looks for pciback among what a kernel was installed with.
//
//	kernel/drivers/xen/xen-pciback/xen-pciback.ko
//
// (A line of modules.builtin, where it is part of the kernel.) Absent where
// nothing tells.
func pcibackOf(files hostfs.Files, release string) home {
	modules := "/lib/modules/" + release
	if b, err := files.ReadFile(modules + "/modules.builtin"); err == nil {
		if strings.Contains(string(b), "/xen-pciback.ko") {
			return builtIn
		}
	} else if b, err := files.ReadFile("/boot/config-" + release); err == nil && strings.Contains("\n"+string(b)+"\n", "\nCONFIG_XEN_PCIDEV_BACKEND=y\n") {
		return builtIn
	}
	for _, name := range []string{"/sys/bus/pci/drivers/pciback", modules + "/kernel/drivers/xen/xen-pciback"} {
		if there, err := files.Exists(name); err != nil {
			return ""
		} else if there {
			return asModule
		}
	}
	if there, err := files.Exists(modules + "/kernel/drivers"); err == nil && there {
		return nowhere
	}
	return ""
}

// late tells whether no setting hides the devices of a driver at boot.
func (s system) late(driver string) bool {
	return s.pciback != builtIn && s.drivers[driver].home == builtIn
}

// family reads ID and ID_LIKE of os-release:
//
//	ID=ubuntu
//	ID_LIKE="debian"
func family(text string) string {
	var ids []string
	for l := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(l), "=")
		value = strings.ToLower(strings.Trim(value, `"'`))
		switch key {
		case "ID":
			ids = append([]string{value}, ids...)
		case "ID_LIKE":
			ids = append(ids, strings.Fields(value)...)
		}
	}
	for _, id := range ids {
		switch id {
		case "debian", "ubuntu", "devuan":
			return "debian"
		case "xenenterprise", "xcp-ng":
			return "xcp-ng"
		case "fedora", "rhel", "centos", "suse", "opensuse", "gentoo", "qubes":
			return "dracut"
		case "arch":
			return "arch"
		case "alpine":
			return "alpine"
		}
	}
	return ""
}
