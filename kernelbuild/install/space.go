package install

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"xtm/internal/cause"
	"xtm/internal/units"
)

// space makes sure that the packages and the initrd that their hooks make fit.
// The new initrd is taken for twice the largest there is: an own build may have
// modules that are not stripped.
func (m Machine) space(debs []Deb) error {
	boot, err := m.volume("/boot")
	if err != nil {
		return err
	}
	modules, err := m.volume("/lib")
	if err != nil {
		return err
	}
	var inBoot, elsewhere units.Bytes
	for _, d := range debs {
		elsewhere += d.Unpacked
		for _, size := range d.InBoot {
			inBoot += size
		}
	}
	elsewhere = max(0, elsewhere-inBoot)
	initrd, name, err := m.largestInitrd()
	if err != nil {
		return err
	}
	inBoot += 2 * initrd
	if boot.device == modules.device {
		inBoot, elsewhere = inBoot+elsewhere, 0
	}
	for _, v := range []struct {
		volume
		needs units.Bytes
	}{{boot, inBoot}, {modules, elsewhere}} {
		if v.free >= v.needs {
			continue
		}
		why := fmt.Sprintf("the packages need %d MiB there", mib(v.needs))
		if v.path == boot.path && name != "" {
			why = fmt.Sprintf("the kernel and its initrd need %d MiB there, going by %s of %d MiB", mib(v.needs), name, mib(initrd))
		}
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s has %d MiB left", v.path, v.free>>20), Why: why,
			Ways: []string{"remove kernels that are not needed: xtm kernel list; apt-get autoremove --purge"},
		}
	}
	return nil
}

// mib rounds up: what is needed is not understated.
func mib(b units.Bytes) int64 { return int64((b + 1<<20 - 1) >> 20) }

// volume is the file system of a folder.
type volume struct {
	path   string
	device uint64
	free   units.Bytes // without what is reserved, as df shows it
}

func (m Machine) volume(p string) (volume, error) {
	at, err := m.Root.Path(p)
	if err != nil {
		return volume{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(at, &st); err != nil {
		return volume{}, fmt.Errorf("look at %s: %w", p, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		return volume{}, fmt.Errorf("ask how full %s is: %w", p, err)
	}
	return volume{p, st.Dev, units.Bytes(fs.Bavail) * units.Bytes(fs.Bsize)}, nil
}

// largestInitrd is the largest in /boot; 0 where there is none.
func (m Machine) largestInitrd() (units.Bytes, string, error) {
	names, err := m.Root.ReadDir("/boot")
	if err != nil {
		return 0, "", err
	}
	var largest units.Bytes
	name := ""
	for _, n := range names {
		if !strings.HasPrefix(n, "initrd.img-") && !strings.HasPrefix(n, "initramfs-") {
			continue
		}
		size, err := m.size("/boot/" + n)
		if err != nil {
			return 0, "", err
		}
		if size > largest {
			largest, name = size, "/boot/"+n
		}
	}
	return largest, name, nil
}

// size is a file's length.
func (m Machine) size(p string) (units.Bytes, error) {
	at, err := m.Root.Path(p)
	if err != nil {
		return 0, err
	}
	fi, err := os.Stat(at)
	if err != nil {
		return 0, err
	}
	return units.Bytes(fi.Size()), nil
}
