package hwprofile

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const classBlock = "/sys/class/block/"

// storage finds the controllers below what is mounted, swapped to, made into
// volumes or given to guests.
func (u *uses) storage() {
	b, err := u.files.ReadFile("/proc/self/mountinfo")
	if err != nil {
		u.p.gap("mounted file systems", err)
		u.all(classStorage, GuardBootDisk, "what is mounted could not be read")
	}
	for l := range strings.Lines(string(b)) {
		if m, ok := parseMount(l); ok {
			u.mount(m)
		}
	}
	for i, l := range strings.Split(u.text("/proc/swaps"), "\n") {
		if name, _, ok := strings.Cut(l, " "); ok && i > 0 && strings.HasPrefix(name, "/dev/") {
			u.disk(u.device(name), GuardBootDisk, "swap")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(u.p.held.disks)) {
		u.disk(u.guestDisk(u.p.held.disks[id]), GuardDisk, "a disk of domain "+id)
	}
	// A volume that is set up may be anybody's, mounted or not.
	names, err := u.files.ReadDir(classBlock)
	u.p.optional("block devices", err)
	for _, n := range names {
		if slaves, err := u.files.ReadDir(classBlock + n + "/slaves"); err == nil && len(slaves) > 0 {
			what := "volume " + n
			if name := u.text(classBlock + n + "/dm/name"); name != "" {
				what += " (" + name + ")"
			}
			for _, s := range slaves {
				u.disk(s, GuardDisk, what)
			}
		}
	}
}

// mount is one line of /proc/self/mountinfo.
type mount struct {
	number, point, kind, source, options string
}

// parseMount reads one line:
//
//	22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root_crypt rw
//
// (Documentation/filesystems/proc.rst.) Fields before the hyphen vary in number.
// Spaces in names are written \040, and stay so.
func parseMount(line string) (mount, bool) {
	left, right, ok := strings.Cut(line, " - ")
	f, g := strings.Fields(left), strings.Fields(right)
	if !ok || len(f) < 6 || len(g) < 2 {
		return mount{}, false
	}
	m := mount{number: f[2], point: f[4], kind: g[0], source: g[1]}
	if len(g) > 2 {
		m.options = g[2]
	}
	return m, true
}

// essential are the places that the machine does not run without.
var essential = []string{"/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/var/log", "/etc"}

func (u *uses) mount(m mount) {
	guard := GuardDisk
	if slices.Contains(essential, m.point) {
		guard = GuardBootDisk
	}
	what := m.point + " (" + m.kind + ")"
	var names []string
	switch {
	case !strings.HasPrefix(m.number, "0:"):
		names = []string{u.base("/sys/dev/block/" + m.number)}
	case m.kind == "btrfs": // of several devices, which only its own folder tells
		names = u.btrfs(u.device(m.source))
	case m.kind == "zfs", m.kind == "bcachefs":
		names = []string{""}
	case m.point == "/" && !strings.HasPrefix(m.kind, "nfs"): // overlay, tmpfs of a live system
		names = []string{""}
	}
	for _, n := range names {
		if !u.disk(n, guard, what) {
			u.all(classStorage, guard, what, fmt.Sprintf("on %s, which could not be followed to a disk", m.source))
		}
	}
}

// btrfs are all devices of the file system that one is part of.
func (u *uses) btrfs(one string) []string {
	systems, err := u.files.ReadDir("/sys/fs/btrfs")
	if err == nil {
		for _, id := range systems {
			members, err := u.files.ReadDir("/sys/fs/btrfs/" + id + "/devices")
			if err == nil && slices.Contains(members, one) {
				return members
			}
		}
	}
	return []string{one}
}

// device is the kernel's name for a node: dm-1 for /dev/mapper/vg0-root.
func (u *uses) device(node string) string {
	if !strings.HasPrefix(node, "/dev/") {
		return ""
	}
	if to := u.base(node); to != "" {
		return to
	}
	return path.Base(node)
}

// guestDisk is a disk as Xen's backend knows it: "fe:30" in hexadecimal, or the
// path of a node.
func (u *uses) guestDisk(s string) string {
	major, minor, ok := strings.Cut(s, ":")
	if !ok {
		return u.device(s)
	}
	a, err1 := strconv.ParseUint(major, 16, 32)
	b, err2 := strconv.ParseUint(minor, 16, 32)
	if err1 != nil || err2 != nil {
		return ""
	}
	return u.base(fmt.Sprintf("/sys/dev/block/%d:%d", a, b))
}

// disk follows a block device to its controllers; false where that leads
// nowhere though it should.
func (u *uses) disk(name string, g Guard, chain ...string) bool {
	const deepest = 16
	if name == "" || name == "." || len(chain) > deepest {
		return false
	}
	link, err := u.files.Readlink(classBlock + name)
	if err != nil {
		return false
	}
	chain = append(slices.Clone(chain), name)
	if !isVirtual(link) {
		if !strings.HasSuffix(link, "/block/"+name) {
			chain = append(chain, path.Base(path.Dir(link))) // the disk of a partition
		}
		a, ok := pciOf(link)
		if ok {
			u.add(a, g, chain...)
		}
		return ok || !u.needsPCI(link)
	}
	if strings.Contains(link, "nvme-subsystem") {
		return u.multipath(name, g, chain)
	}
	slaves, err := u.files.ReadDir(classBlock + name + "/slaves")
	if err != nil || len(slaves) == 0 {
		return true // zram, loop and the like: what they stand on is mounted
	}
	found := true
	for _, s := range slaves {
		found = u.disk(s, g, chain...) && found
	}
	return found
}

// needsPCI is false for disks that are known to stand on no PCI function.
func (u *uses) needsPCI(link string) bool {
	return !strings.Contains(link, "/vbd-") && !strings.Contains(link, "/platform/")
}

// multipath: an NVMe disk with several ways stands below all its controllers.
//
//	../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1
//
// (Linux 4.15 and later.)
func (u *uses) multipath(name string, g Guard, chain []string) bool {
	full, err := u.files.Readlink(classBlock + name)
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(full, "nvme-subsystem/")
	subsystem, _, _ := strings.Cut(rest, "/")
	dir := "/sys/devices/virtual/nvme-subsystem/" + subsystem
	entries, err := u.files.ReadDir(dir)
	if err != nil {
		return false
	}
	found := false
	for _, e := range entries {
		to, err := u.files.Readlink(dir + "/" + e)
		if err != nil || !strings.HasPrefix(e, "nvme") {
			continue
		}
		if a, ok := pciOf(to); ok {
			u.add(a, g, append(slices.Clone(chain), e)...)
			found = true
		}
	}
	return found
}
