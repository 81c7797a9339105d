package grub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"xtm/internal/hostfs"
)

// Kind is what boots a machine.
type Kind string

// The kinds. Only GRUB2 has settings that xtm edits; None means that no boot
// loader was found, as in a guest whose kernel comes from Dom0.
const (
	GRUB2       Kind = "grub2"
	GRUBLegacy  Kind = "grub-legacy"
	Extlinux    Kind = "extlinux"
	XenEFI      Kind = "xen-efi"
	SystemdBoot Kind = "systemd-boot"
	XenServer   Kind = "xenserver"
	None        Kind = "none"
)

// Loader is how this machine boots, and what to run or edit for it.
type Loader struct {
	Kind Kind
	// Command makes grub.cfg anew; empty where Kind is not GRUB2.
	Command []string
	// Menu is the file that Command writes, EnvBlock GRUB's environment beside
	// it; empty where Kind is not GRUB2.
	Menu, EnvBlock string
	// DropIns tells whether grub-mkconfig sources /etc/default/grub.d.
	DropIns bool
	// Edit is the file to edit by hand, HostWords and GuestWords say where in it
	// words for Xen and for Linux go; empty where Kind is GRUB2 or None.
	Edit, HostWords, GuestWords string
	// Reasons is what was seen, a sentence each.
	Reasons []string
}

// FindLoader tells how the machine boots from the files that are there. The
// programs of GRUB 2 alone prove nothing: many a guest has them and is booted by
// Dom0; there must be a grub.cfg, too.
func FindLoader(files hostfs.Files) (Loader, error) {
	found, err := exists(files, xenCmdline)
	if err != nil {
		return Loader{}, err
	}
	if found {
		return Loader{
			Kind: XenServer, Edit: "/boot/grub/grub.cfg",
			HostWords: "run: " + xenCmdline + " --set-xen WORD",
			Reasons:   []string{xenCmdline + " is there: XenServer and XCP-ng write grub.cfg themselves"},
		}, nil
	}
	l, err := findGRUB2(files)
	if err != nil || l.Kind == GRUB2 {
		return l, err
	}
	other, err := findOther(files)
	if err != nil {
		return Loader{}, err
	}
	other.Reasons = append(l.Reasons, other.Reasons...)
	return other, nil
}

const xenCmdline = "/opt/xensource/libexec/xen-cmdline"

// findGRUB2 returns a Loader of kind None, with reasons, where GRUB 2 does not
// boot this machine.
func findGRUB2(files hostfs.Files) (Loader, error) {
	l := Loader{Kind: None}
	program, script, err := findProgram(files, "grub-mkconfig", "grub2-mkconfig")
	if err != nil {
		return Loader{}, err
	}
	if program == "" {
		l.Reasons = []string{"there is no grub-mkconfig and no grub2-mkconfig"}
		return l, nil
	}
	menu, reasons, err := findMenu(files)
	if err != nil {
		return Loader{}, err
	}
	l.Reasons = append([]string{program + " is there"}, reasons...)
	if menu == "" {
		l.Reasons = append(l.Reasons, "it has not made a grub.cfg, so that GRUB 2 does not boot this machine")
		return l, nil
	}
	l.Kind, l.Menu, l.EnvBlock = GRUB2, menu, path.Join(path.Dir(menu), "grubenv")
	l.Command = []string{path.Base(program), "-o", menu}
	l.DropIns = bytes.Contains(script, []byte("default/grub.d"))
	update, text, err := findProgram(files, "update-grub")
	if err != nil {
		return Loader{}, err
	}
	// GRUB legacy has a program of this name too.
	if update != "" && bytes.Contains(text, []byte("grub-mkconfig")) && bytes.Contains(text, []byte(menu)) {
		l.Command = []string{path.Base(update)}
		l.Reasons = append(l.Reasons, update+" is there, and runs it for "+menu)
	}
	return l, nil
}

// findMenu chooses the grub.cfg that is read at boot. Fedora's and its kin's in
// the EFI system partition was the whole one up to Fedora 33; since then it only
// leads to /boot/grub2/grub.cfg and must not be written.
func findMenu(files hostfs.Files) (menu string, reasons []string, err error) {
	for _, p := range []string{"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"} {
		found, err := exists(files, p)
		if err != nil {
			return "", nil, err
		}
		if found {
			menu = p
			reasons = append(reasons, p+" is there")
			break
		}
	}
	efi, err := exists(files, "/sys/firmware/efi")
	if err != nil {
		return "", nil, err
	}
	for _, p := range efiFiles(files, func(n string) bool { return n == "grub.cfg" }) {
		b, err := files.ReadFile(p)
		if err != nil {
			return "", nil, fmt.Errorf("find GRUB's menu: %w", err)
		}
		switch {
		case !bytes.Contains(b, []byte("### BEGIN /etc/grub.d/")):
			reasons = append(reasons, p+" only leads to another file")
		case menu != "" && !efi:
			reasons = append(reasons, p+" is a whole menu too, but there is no /sys/firmware/efi")
		default:
			menu = p
			reasons = append(reasons, p+" is a whole menu, which EFI firmware reads")
		}
	}
	return menu, reasons, nil
}

// findOther names what boots a machine that GRUB 2 does not.
func findOther(files hostfs.Files) (Loader, error) {
	for _, l := range []Loader{
		{
			Kind: GRUBLegacy, Edit: "/boot/grub/menu.lst",
			HostWords: "at the end of each kernel line that loads xen.gz", GuestWords: "at the end of each kernel line",
		},
		{
			Kind: GRUBLegacy, Edit: "/boot/grub/grub.conf",
			HostWords: "at the end of each kernel line that loads xen.gz", GuestWords: "at the end of each kernel line",
		},
		{
			Kind: Extlinux, Edit: "/boot/extlinux/extlinux.conf",
			HostWords: "in each APPEND line of mboot.c32, before the first ---", GuestWords: "at the end of each APPEND line",
		},
		{
			Kind: Extlinux, Edit: "/extlinux.conf",
			HostWords: "in each APPEND line of mboot.c32, before the first ---", GuestWords: "at the end of each APPEND line",
		},
		{
			Kind: Extlinux, Edit: "/boot/syslinux/syslinux.cfg",
			HostWords: "in each APPEND line of mboot.c32, before the first ---", GuestWords: "at the end of each APPEND line",
		},
	} {
		found, err := exists(files, l.Edit)
		if err != nil {
			return Loader{}, err
		}
		if found {
			l.Reasons = []string{l.Edit + " is there"}
			return l, nil
		}
	}
	for _, image := range efiFiles(files, func(n string) bool { return strings.HasPrefix(n, "xen") && strings.HasSuffix(n, ".efi") }) {
		return Loader{
			Kind: XenEFI, Edit: strings.TrimSuffix(image, ".efi") + ".cfg",
			HostWords: "at the end of the options= line of each section",
			Reasons:   []string{image + " is started by the firmware"},
		}, nil
	}
	for _, p := range []string{"/boot/efi/loader/loader.conf", "/boot/loader/loader.conf", "/efi/loader/loader.conf"} {
		found, err := exists(files, p)
		if err != nil {
			return Loader{}, err
		}
		if found {
			return Loader{
				Kind: SystemdBoot, Edit: path.Join(path.Dir(p), "entries"),
				GuestWords: "at the end of the options line of each file there",
				Reasons:    []string{p + " is there"},
			}, nil
		}
	}
	return Loader{Kind: None, Reasons: []string{"no file of another boot loader is there"}}, nil
}

// efiFiles lists the files of the EFI system partition whose name fits.
func efiFiles(files hostfs.Files, fits func(name string) bool) []string {
	var out []string
	for _, top := range []string{"/boot/efi/EFI", "/efi/EFI"} {
		vendors, err := files.ReadDir(top)
		if err != nil {
			continue // not mounted, or no EFI
		}
		for _, v := range vendors {
			names, err := files.ReadDir(path.Join(top, v))
			if err != nil {
				continue // a file
			}
			for _, n := range names {
				if fits(n) {
					out = append(out, path.Join(top, v, n))
				}
			}
		}
	}
	return out
}

// findProgram looks for the first of these programs and reads it; "" where
// none is there.
func findProgram(files hostfs.Files, names ...string) (string, []byte, error) {
	for _, name := range names {
		for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"} {
			p := path.Join(dir, name)
			b, err := files.ReadFile(p)
			if err == nil {
				return p, b, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return "", nil, fmt.Errorf("look for %s: %w", name, err)
			}
		}
	}
	return "", nil, nil
}

func exists(files hostfs.Files, p string) (bool, error) {
	found, err := files.Exists(p)
	if err != nil {
		return false, fmt.Errorf("look for a boot loader: %w", err)
	}
	return found, nil
}
