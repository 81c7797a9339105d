package hwprofile

import (
	"path"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/hostfs"
)

// Use is why the machine itself needs a device.
type Use struct {
	Address pci.Address `json:"address"`
	Guard   Guard       `json:"guard"`
	// Chain leads from what is needed to the device: "/ (ext4)", "dm-1",
	// "dm-0", "sda1", "sda".
	Chain []string `json:"chain"`
}

// Guard is the name under which a user may insist on giving away what the
// machine itself needs.
type Guard string

// The guards.
const (
	GuardBootDisk     Guard = "boot-disk"     // /, /boot, the EFI partition, /usr, /var, swap
	GuardDisk         Guard = "disk"          // other mounted file systems, volumes, guests' disks
	GuardDefaultRoute Guard = "default-route" // the network card under it
	GuardNetworkDisk  Guard = "network-disk"  // the network card that leads to a mounted NFS or CIFS
	GuardConsole      Guard = "console"       // serial, of Linux or Xen
	GuardBootVGA      Guard = "boot-vga"
	GuardKeyboard     Guard = "keyboard" // the only one
	GuardRMRR         Guard = "rmrr-shared"
	GuardGroup        Guard = "group" // what cannot be kept apart is needed
)

// Guards are all names, for help and messages.
func Guards() []string {
	return []string{
		string(GuardBootDisk), string(GuardDisk), string(GuardDefaultRoute), string(GuardNetworkDisk), string(GuardConsole),
		string(GuardBootVGA), string(GuardKeyboard), string(GuardRMRR), string(GuardGroup),
	}
}

// uses collects what the machine needs.
type uses struct {
	p     *Profile
	files hostfs.Files
	found []Use
	seen  map[pci.Address]map[Guard]bool
}

// add notes one need; of several of a kind the first stands for all.
func (u *uses) add(a pci.Address, g Guard, chain ...string) {
	if u.seen[a] == nil {
		u.seen[a] = map[Guard]bool{}
	}
	if !u.seen[a][g] {
		u.seen[a][g] = true
		u.found = append(u.found, Use{a, g, chain})
	}
}

// all is for what stands on a device that could not be found: every device of
// a base class may be it.
func (u *uses) all(class uint8, g Guard, chain ...string) {
	for i := range u.p.Devices {
		if c, ok := u.p.Devices[i].Class.Get(); ok && c.Base() == class {
			u.add(u.p.Devices[i].Address, g, chain...)
		}
	}
}

// Base classes.
const (
	classStorage uint8 = 0x01
	classNetwork uint8 = 0x02
)

func (p *Profile) readUses(files hostfs.Files) {
	if len(p.Devices) == 0 {
		return
	}
	u := &uses{p: p, files: files, seen: map[pci.Address]map[Guard]bool{}}
	u.storage()
	u.network()
	u.consoles()
	p.Uses = u.found
}

// pciOf is the last PCI function on the way to a device of /sys:
//
//	../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda
//
// (Linux 3.2 to 6.x.)
func pciOf(link string) (pci.Address, bool) {
	var last pci.Address
	found := false
	for part := range strings.SplitSeq(link, "/") {
		// A target of a disk, 0:0:0:0, reads as an address but is not spelt as one.
		if a, err := pci.ParseAddress(part); err == nil && a.String() == part {
			last, found = a, true
		}
	}
	return last, found
}

func isVirtual(link string) bool { return strings.Contains(link, "/devices/virtual/") }

// base is the last part of a link's target, "" where there is no such link.
func (u *uses) base(link string) string {
	to, err := u.files.Readlink(link)
	if err != nil {
		return ""
	}
	return path.Base(to)
}

// text is the content of a small file, "" where there is none.
func (u *uses) text(name string) string {
	b, err := u.files.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
