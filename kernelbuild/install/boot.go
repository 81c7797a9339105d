package install

import (
	"maps"
	"path"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/role"
)

// Starter is what starts a machine's kernel, and so decides which.
type Starter string

// The starters.
const (
	// ByGRUB: GRUB itself, which reads and writes its environment block.
	ByGRUB Starter = "grub"
	// ByPygrub: Dom0's pygrub, which reads the guest's grub.cfg and no environment
	// block, and takes the entry with the number of default, else the first.
	// (tools/pygrub, Xen 4.0 to 4.20.)
	ByPygrub Starter = "pygrub"
	// ByDom0: kernel= in the guest's configuration.
	ByDom0 Starter = "dom0"
)

// boot is how a machine starts.
type boot struct {
	By Starter
	// Why is how that was told.
	Why string
	// Boot has settings, menu and environment of GRUB 2 alone.
	grub.Boot
	// Running is the release that runs, Line what it was started with; "" offline.
	Running, Line string
	// Xen tells that Xen entries are wanted: the machine is a host.
	Xen bool
}

// probeBoot reads how a machine starts; said is what the user says of it, "" is
// to be found out.
func (m Machine) probeBoot(said Starter) (boot, error) {
	var b boot
	var err error
	if b.Boot, err = grub.ReadBoot(m.Root); err != nil {
		return b, err
	}
	if !m.Offline {
		if b.Running, err = readLine(m.Root, "/proc/sys/kernel/osrelease"); err != nil {
			return b, err
		}
		if b.Line, err = readLine(m.Root, "/proc/cmdline"); err != nil {
			return b, err
		}
	}
	if err := b.findStarter(m, said); err != nil {
		return b, err
	}
	if b.By != ByDom0 && b.Loader.Kind != grub.GRUB2 {
		return b, b.foreign()
	}
	if b.By != ByDom0 && b.Menu.BLS {
		return b, &cause.RefusalError{
			Kind: cause.Impossible, Seen: b.Loader.Menu + " takes its entries from /boot/loader/entries",
			Why: "xtm could not prove there what boots", Ways: []string{"install the packages with what this distribution has for it"},
		}
	}
	return b, nil
}

// findStarter tells what starts the machine.
func (b *boot) findStarter(m Machine, said Starter) error {
	b.By, b.Why = said, "--booted-by says so"
	if m.Offline {
		return b.findOffline(m.Root, said)
	}
	side, seen, err := role.Detect(m.Root)
	if err != nil {
		return err
	}
	b.Xen = side == role.Host
	if said != "" {
		return nil
	}
	b.By, b.Why = ByGRUB, seen
	if side != role.Guest {
		return nil
	}
	// GRUB puts BOOT_IMAGE= before the words of its entry; pygrub and Dom0 do not.
	kind, err := readLine(m.Root, "/sys/hypervisor/guest_type") // Linux 4.13
	switch {
	case err != nil && cause.Of(err) != cause.NoData:
		return err
	case strings.HasPrefix(b.Line, "BOOT_IMAGE="):
		b.Why = "the kernel's command line begins with BOOT_IMAGE="
	case kind == "HVM" || kind == "PVH":
		b.By, b.Why = ByDom0, "this "+kind+" guest's command line has no BOOT_IMAGE=, which GRUB writes"
	case b.Loader.Kind == grub.GRUB2 && b.fits():
		b.By, b.Why = ByPygrub, "a PV guest, started with the words of an entry of "+b.Loader.Menu
	default:
		b.By, b.Why = ByDom0, "a PV guest, started with words that no entry of its own has"
	}
	return nil
}

// findOffline tells it of a system that does not run: a host has a hypervisor.
func (b *boot) findOffline(files hostfs.Files, said Starter) error {
	names, err := files.ReadDir("/boot")
	if err != nil && cause.Of(err) != cause.NoData {
		return err
	}
	b.Xen = said != ByPygrub && said != ByDom0 && slices.ContainsFunc(names, func(n string) bool {
		return strings.HasPrefix(n, "xen-") && strings.HasSuffix(n, ".gz")
	})
	switch {
	case said != "":
	case b.Xen:
		b.By, b.Why = ByGRUB, "there is a hypervisor in its /boot"
	default:
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: "the system in --root does not run", Why: "what starts its kernel cannot be told",
			Ways: []string{
				"GRUB, as on metal and in most HVM guests: --booted-by grub",
				"Dom0's pygrub, as in PV guests: --booted-by pygrub; kernel= in its configuration: --booted-by dom0",
			},
		}
	}
	return nil
}

// fits tells whether an entry of the menu started this kernel: its image is of
// this release, and the kernel got its words.
func (b *boot) fits() bool {
	line := strings.Fields(b.Line)
	for e := range b.Menu.All() {
		for _, image := range e.Linux {
			if releaseOf(image.Path) == b.Running && !slices.ContainsFunc(image.Args, func(w string) bool {
				return !strings.Contains(w, "$") && !slices.Contains(line, w)
			}) {
				return true
			}
		}
	}
	return false
}

// foreign refuses a machine that something else than GRUB 2 starts.
func (b *boot) foreign() error {
	r := &cause.RefusalError{
		Kind: cause.Impossible, Seen: strings.Join(b.Loader.Reasons, "; "), Why: "xtm keeps the default only where GRUB 2 or Dom0 starts the kernel",
		Ways: []string{"a guest whose kernel comes from Dom0: --booted-by dom0"},
	}
	if b.Loader.Edit != "" {
		r.Ways = append(r.Ways, "install the packages by hand with dpkg, and see in "+b.Loader.Edit+" what boots")
	}
	return r
}

// usual is the entry that boots by default, apart from what boots once.
func (b *boot) usual() (grub.Entry, error) {
	if b.By == ByPygrub {
		return b.pygrubs()
	}
	env := maps.Clone(b.Env)
	delete(env, "next_entry")
	return b.Menu.Boots(env)
}

// next is the entry that boots at the next start.
func (b *boot) next() (grub.Entry, error) {
	if b.By == ByPygrub {
		return b.pygrubs()
	}
	return b.Menu.Boots(b.Env)
}

// readLine reads a file of one line.
func readLine(files hostfs.Files, p string) (string, error) {
	b, err := files.ReadFile(p)
	return strings.TrimSpace(string(b)), err
}

// releaseOf is the release in the name of an image, "" where it has none:
// /boot/vmlinuz-4.19.67-tmem.
func releaseOf(image string) string {
	release, ok := strings.CutPrefix(path.Base(image), "vmlinuz-")
	if !ok || !releaseName.MatchString(release) {
		return ""
	}
	return release
}
