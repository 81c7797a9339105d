package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/grub"
	"xtm/internal/run"
)

// unwritable are the file systems in which GRUB cannot write its environment
// block (00_header and grub-mkconfig_lib, GRUB 2.06).
var unwritable = []string{"btrfs", "cpiofs", "newc", "odc", "romfs", "squash4", "tarfs", "zfs"}

// planOnce plans what starts the new kernel once. What cannot be had is refused
// before anything is installed: a boot once that is not taken back is a new
// default.
func (p *Plan) planOnce(ctx context.Context, m Machine, o Options) error {
	p.wantsOnce = o.BootOnce
	if !o.BootOnce || p.By != ByGRUB || p.known == p.Release {
		return nil
	}
	if len(p.debs) == 0 {
		if e, err := p.boot.next(); err == nil && linux(e) == p.Release {
			return nil
		}
	}
	p.once = true
	if !p.boot.Menu.NextEntry {
		return noOnce(p.boot.Loader.Menu+" does not look at next_entry", "this GRUB is too old to boot an entry once, or its 00_header was changed")
	}
	for _, look := range []struct {
		target string
		bad    func(string) bool
		why    string
	}{
		{"abstraction", func(s string) bool { return s != "" }, "GRUB reads LVM and RAID and cannot write there, so the entry would boot each time from then on"},
		{"fs", func(s string) bool { return slices.Contains(unwritable, s) }, "GRUB cannot write to it, so the entry would boot each time from then on"},
	} {
		argv := []string{"grub-probe", "--target=" + look.target, "/boot/grub"}
		r, err := m.run(ctx, argv...)
		if err == nil {
			err = r.Check(run.Cmd{Name: argv[0], Args: argv[1:]})
		}
		if err != nil {
			return err
		}
		if answer := strings.Join(strings.Fields(string(r.Stdout)), " "); look.bad(answer) {
			return noOnce("/boot/grub is on "+answer, look.why)
		}
	}
	return nil
}

func noOnce(seen, why string) error {
	return &cause.RefusalError{
		Kind: cause.Impossible, Seen: seen, Why: why,
		Ways: []string{"without --boot-once: it is installed, the default stays, and you choose it in the menu at the next boot"},
	}
}

// bootOnce makes GRUB start a release at the next boot, and proves it.
func (m Machine) bootOnce(ctx context.Context, b *boot, release string) error {
	e, ok := b.entryOf(release, b.hypervisor())
	if !ok {
		return errors.New("boot once: " + strings.Join(b.lacks(release, false), "; "))
	}
	spec, err := b.Menu.Spec(e)
	if err != nil {
		return fmt.Errorf("boot once: %w", err)
	}
	if err := m.setEnv(ctx, b, map[string]*string{"next_entry": &spec}); err != nil {
		return err
	}
	got, err := b.next()
	if err == nil && (linux(got) != release || xen(got) != xen(e)) {
		err = fmt.Errorf("%q would boot next", got.Title)
	}
	if err != nil {
		return fmt.Errorf("prove that %s boots once: %w", release, err)
	}
	return nil
}

// trial are the lines that start the new kernel once where Dom0 decides, and
// the way back.
func (b *boot) trial(release string, initrd bool) []string {
	switch b.By {
	case ByPygrub:
		e, ok := b.entryOf(release, "")
		if !ok {
			return nil
		}
		n := b.number(e)
		return []string{
			"This guest's default stays Linux " + linux(b.first()) + ", the first entry of its menu. To start " + release + " once, in Dom0, in this guest's configuration:",
			fmt.Sprintf(`bootloader_args=["--entry=%d"]`, n),
			"Then xl shutdown, and xl create with it. The number holds until the menu is made again.",
			"After a good boot, in the guest: xtm kernel confirm; and take that line out again.",
			"The way back, if it does not boot: take the line out, xl destroy, xl create.",
		}
	case ByDom0:
		out := []string{"Dom0 has this guest's kernel. Copy to Dom0, for instance to /var/lib/xen/kernels:", "/boot/vmlinuz-" + release}
		lines := []string{"kernel='/var/lib/xen/kernels/vmlinuz-" + release + "'"}
		if initrd {
			out = append(out, "/boot/initrd.img-"+release)
			lines = append(lines, "ramdisk='/var/lib/xen/kernels/initrd.img-"+release+"'")
		}
		quoted := make([]string, len(lines))
		for i, l := range lines {
			quoted[i] = run.Quote(strings.ReplaceAll(l, "'", `"`))
		}
		out = append(out, "To start it once, in Dom0: xl shutdown, then:", "xl create CONFIGURATION "+strings.Join(quoted, " "))
		out = append(out, "After a good boot, in the guest: xtm kernel confirm; and in the configuration, root= and extra= as they are:")
		out = append(out, lines...)
		return append(out, "The way back, if it does not boot: xl destroy, then xl create with the configuration as it was; keep its old files.")
	case ByGRUB:
	}
	return nil
}

// first is the entry that pygrub boots, none where there is none.
func (b *boot) first() grub.Entry {
	e, err := b.usual()
	if err != nil {
		return grub.Entry{}
	}
	return e
}
