package hwprofile

import (
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/run"
)

// hide are the lines that bind devices to pciback at boot, before their own
// drivers see them, and those that undo it; nil where the distribution is not
// known. What is hidden already stays hidden, and the undo goes back to that.
func (s system) hide(of []pci.Address, modules []string) (do, undo []string) {
	switch {
	case s.family == "xcp-ng":
		const tool = "/opt/xensource/libexec/xen-cmdline "
		return s.byOption(hidden(s.commands), of, tool+`--set-dom0 "`, `"`, tool+"--delete-dom0 xen-pciback.hide")
	case s.pciback == builtIn && s.family == "debian":
		return s.byGRUB(of)
	case s.pciback == builtIn && s.family == "dracut":
		const tool = "grubby --update-kernel=ALL "
		return s.byOption(hidden(s.commands), of, tool+`--args "`, `"`, tool+"--remove-args xen-pciback.hide")
	case s.pciback == builtIn:
		return nil, nil
	default:
		return s.byModprobe(of, modules)
	}
}

// byOption sets the option of the kernel's command line with a tool for it.
func (s system) byOption(before []string, of []pci.Address, set, end, remove string) (do, undo []string) {
	option := func(list []string) string { return set + "xen-pciback.hide=" + strings.Join(list, "") + end }
	if len(before) == 0 {
		return []string{option(with(before, of))}, []string{remove}
	}
	return []string{option(with(before, of))}, []string{option(before)}
}

// byGRUB sets it in a file of its own.
func (s system) byGRUB(of []pci.Address) (do, undo []string) {
	option := `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX xen-pciback.hide=` + strings.Join(with(hidden(s.grub), of), "") + `"`
	return []string{write(grubFile, option), "update-grub"}, []string{restore(grubFile, s.grub), "update-grub"}
}

// byModprobe gives the module its option, lets it come before the drivers, and
// puts it into the initramfs, from where those are loaded.
func (s system) byModprobe(of []pci.Address, modules []string) (do, undo []string) {
	const option = "options xen-pciback hide="
	lines := []string{option + strings.Join(with(hidden(s.modprobe), of), "")}
	for l := range strings.Lines(s.modprobe) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, option) {
			lines = append(lines, l)
		}
	}
	for _, m := range modules {
		if l := "softdep " + m + " pre: xen-pciback"; !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	do, undo = []string{write(modprobeFile, lines...)}, []string{restore(modprobeFile, s.modprobe)}
	add := func(what, back string) {
		if s.modprobe == "" { // else these lines added it earlier
			do, undo = append(do, what), append(undo, back)
		}
	}
	var rebuild string
	switch s.family {
	case "debian":
		const file = "/etc/initramfs-tools/modules"
		if !s.initramfs {
			add("grep -qx xen-pciback "+file+" || echo xen-pciback >> "+file, "sed -i '/^xen-pciback$/d' "+file)
		}
		rebuild = "update-initramfs -u -k all"
	case "dracut":
		const file = "/etc/dracut.conf.d/xtm-pciback.conf"
		add(write(file, `force_drivers+=" xen-pciback "`), "rm "+file)
		rebuild = "dracut -f --regenerate-all"
	case "arch":
		const file = "/etc/mkinitcpio.conf.d/xtm-pciback.conf"
		add(write(file, "MODULES+=(xen-pciback)"), "rm "+file)
		rebuild = "mkinitcpio -P"
	case "alpine":
		const file = "/etc/modules-load.d/xtm-pciback.conf"
		add(write(file, "xen-pciback"), "rm "+file)
		rebuild = "mkinitfs"
	default:
		return nil, nil
	}
	return append(do, rebuild), append(undo, rebuild)
}

// write is the command that makes a file of some lines.
func write(file string, lines ...string) string {
	if len(lines) == 1 && !strings.Contains(lines[0], `\`) { // which echo may take for more
		return "echo " + run.Quote(lines[0]) + " > " + file
	}
	quoted := make([]string, 0, len(lines))
	for _, l := range lines {
		quoted = append(quoted, run.Quote(l))
	}
	return `printf '%s\n' ` + strings.Join(quoted, " ") + " > " + file
}

// restore is the command that makes a file what it was; "" is that there was
// none.
func restore(file, text string) string {
	if text == "" {
		return "rm " + file
	}
	return write(file, strings.Split(text, "\n")...)
}

// hidden are the devices that an option of pciback names, as they stand there:
//
//	options xen-pciback hide=(0000:01:00.0)(03:00.*)
//	root=/dev/sda1 xen-pciback.hide=(0000:01:00.0) quiet
func hidden(text string) []string {
	var list []string
	for w := range strings.FieldsSeq(text) {
		_, rest, ok := strings.Cut(w, "hide=(")
		for ok {
			var one string
			one, rest, ok = strings.Cut(rest, ")")
			if ok {
				list = append(list, "("+one+")")
			}
			rest = strings.TrimPrefix(rest, "(")
		}
	}
	return list
}

// with adds devices to those that are hidden already.
func with(before []string, of []pci.Address) []string {
	list := slices.Clone(before)
	for _, a := range of {
		if one := "(" + a.String() + ")"; !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}
