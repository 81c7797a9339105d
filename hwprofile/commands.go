package hwprofile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/role"
)

// Commands are the lines that give devices to a guest. Nothing of them has been
// done.
type Commands struct {
	Devices []pci.Address `json:"devices"`
	// Forced are the guards that the user named to get these lines.
	Forced []Guard `json:"forced,omitempty"`
	// Guest is the line of the guest's configuration.
	Guest string `json:"guest_config"`
	// Hide keeps the devices from Dom0's drivers from the next boot on; it is
	// nil where the distribution is not known.
	Hide     []string `json:"hide"`
	HideUndo []string `json:"hide_undo"`
	// Now does it until the next boot, NowUndo gives the devices back; both
	// only in Dom0.
	Now     []string `json:"now,omitempty"`
	NowUndo []string `json:"now_undo,omitempty"`
}

// RefusedError says why there are no commands for a device.
type RefusedError struct {
	why   string
	cause error
}

func (r *RefusedError) Error() string { return r.why }

// Unwrap is cause.ErrNotSupported, cause.ErrNeedsRoot or cause.ErrNoData; nil
// where a user may insist.
func (r *RefusedError) Unwrap() error { return r.cause }

func refuse(cause error, format string, args ...any) error {
	return &RefusedError{fmt.Sprintf(format, args...), cause}
}

// Commands returns the lines for some devices and those that must go along.
// The error is a *RefusedError: which device is in the way, why, and under which
// names a user may insist.
func (p *Profile) Commands(of []pci.Address, force []Guard) (Commands, error) {
	var c Commands
	todo := slices.Clone(of)
	for len(todo) > 0 {
		a := todo[0]
		todo = todo[1:]
		r := p.readiness(a)
		switch {
		case r == nil:
			return Commands{}, refuse(cause.ErrNoData, "no device has the address %s", a)
		case slices.Contains(c.Devices, a):
			continue
		case r.Impossible:
			return Commands{}, refuse(cause.ErrNotSupported, "%s cannot go to a guest: %s", a, r.first())
		case r.Answer == Unknown:
			return Commands{}, refuse(cause.ErrNeedsRoot, "whether %s can go to a guest could not be told: %s", a, r.first())
		}
		if names := missing(r.Blocks, force); len(names) > 0 {
			return Commands{}, refuse(nil, "%s is not given away: %s (%s insists)", a, r.first(), strings.Join(names, " "))
		}
		for _, g := range r.Blocks {
			if !slices.Contains(c.Forced, g) {
				c.Forced = append(c.Forced, g)
			}
		}
		c.Devices = append(c.Devices, a)
		if !slices.Contains(r.Blocks, GuardGroup) { // else its group is torn apart knowingly
			todo = append(todo, r.With...)
		}
	}
	slices.SortFunc(c.Devices, pci.Address.Compare)
	p.fill(&c)
	return c, nil
}

// missing are the options that a user would have to add.
func missing(blocks, force []Guard) []string {
	var names []string
	for _, g := range blocks {
		if !slices.Contains(force, g) {
			names = append(names, "--force "+string(g))
		}
	}
	return names
}

// first is the first of the worst reasons, in words.
func (r *Readiness) first() string {
	worst := finding.Worst(r.Reasons)
	if r.Answer == Unknown {
		worst = finding.CouldNotTell
	}
	for _, f := range r.Reasons {
		if f.Verdict == worst {
			return f.Seen
		}
	}
	return "its readiness is " + string(r.Answer)
}

func (p *Profile) fill(c *Commands) {
	options := ""
	// Before 4.6 there was no such key, and no such refusal.
	if slices.Contains(c.Forced, GuardRMRR) && (p.Xen == nil || !p.Xen.Version.Before(4, 6)) {
		options = ",rdm_policy=relaxed"
	}
	var hide strings.Builder
	quoted := make([]string, 0, len(c.Devices))
	for _, a := range c.Devices {
		quoted = append(quoted, "'"+a.String()+options+"'")
		fmt.Fprintf(&hide, "(%s)", a)
		if p.Role == role.Host {
			c.Now = append(c.Now, "xl pci-assignable-add "+a.String())
			c.NowUndo = append(c.NowUndo, "xl pci-assignable-remove -r "+a.String())
		}
	}
	if len(c.Now) > 0 && !p.system.builtIn {
		c.Now = append([]string{"modprobe xen-pciback"}, c.Now...)
	}
	c.Guest = "pci = [ " + strings.Join(quoted, ", ") + " ]"
	c.Hide, c.HideUndo = p.system.hide(hide.String(), p.drivers(c.Devices))
}

// drivers are the modules that must not come first.
func (p *Profile) drivers(of []pci.Address) []string {
	var names []string
	for _, a := range of {
		name := p.system.modules[p.Device(a).Driver.Or("")]
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// system is how this distribution boots.
type system struct {
	family  string            // debian, dracut, arch, alpine, xcp-ng; "" is none of these
	builtIn bool              // pciback is part of the kernel, not a module
	modules map[string]string // of drivers: xhci_hcd is in xhci_pci
}

func (p *Profile) readSystem(files hostfs.Files) {
	read := func(name string) string {
		b, err := files.ReadFile(name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	p.system.family = family(read("/etc/os-release"))
	p.system.modules = map[string]string{}
	for i := range p.Devices {
		name := p.Devices[i].Driver.Or("")
		if _, known := p.system.modules[name]; known || name == "" || name == driverPCIBack || name == driverVFIO {
			continue
		}
		p.system.modules[name] = "" // built in, where there is no link
		if to, err := files.Readlink("/sys/bus/pci/drivers/" + name + "/module"); err == nil {
			p.system.modules[name] = path.Base(to)
		}
	}
	if r := read("/proc/sys/kernel/osrelease"); r != "" && !strings.Contains(r, "/") {
		p.system.builtIn = strings.Contains("\n"+read("/boot/config-"+r)+"\n", "\nCONFIG_XEN_PCIDEV_BACKEND=y\n") ||
			strings.Contains(read("/lib/modules/"+r+"/modules.builtin"), "/xen-pciback.ko")
	}
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

const modprobeFile = "/etc/modprobe.d/xtm-pciback.conf"

// hide are the lines that bind the devices to pciback at boot, before their own
// drivers see them, and those that undo it. A file of one purpose is written
// whole, so that its removal is the undo.
func (s system) hide(devices string, drivers []string) (do, undo []string) {
	if s.family == "xcp-ng" {
		const xenCmdline = "/opt/xensource/libexec/xen-cmdline"
		return []string{xenCmdline + ` --set-dom0 "xen-pciback.hide=` + devices + `"`},
			[]string{xenCmdline + " --delete-dom0 xen-pciback.hide"}
	}
	if s.builtIn {
		const grub = "/etc/default/grub.d/xtm-pciback.cfg"
		if s.family == "debian" {
			return []string{
				`echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX xen-pciback.hide=` + devices + `"' > ` + grub,
				"update-grub",
			}, []string{"rm " + grub, "update-grub"}
		}
		const args = `grubby --update-kernel=ALL `
		if s.family == "dracut" {
			return []string{args + `--args "xen-pciback.hide=` + devices + `"`}, []string{args + `--remove-args xen-pciback.hide`}
		}
		return nil, nil
	}
	do = []string{"echo 'options xen-pciback hide=" + devices + "' > " + modprobeFile}
	for _, d := range drivers {
		do = append(do, "echo 'softdep "+d+" pre: xen-pciback' >> "+modprobeFile)
	}
	undo = []string{"rm " + modprobeFile}
	add := func(what, back string, rebuild string) {
		do = append(do, what, rebuild)
		undo = append(undo, back, rebuild)
	}
	switch s.family {
	case "debian":
		add("grep -qx xen-pciback /etc/initramfs-tools/modules || echo xen-pciback >> /etc/initramfs-tools/modules", "sed -i '/^xen-pciback$/d' /etc/initramfs-tools/modules", "update-initramfs -u")
	case "dracut":
		const file = "/etc/dracut.conf.d/xtm-pciback.conf"
		add(`echo 'force_drivers+=" xen-pciback "' > `+file, "rm "+file, "dracut -f")
	case "arch":
		const file = "/etc/mkinitcpio.conf.d/xtm-pciback.conf"
		add("echo 'MODULES+=(xen-pciback)' > "+file, "rm "+file, "mkinitcpio -P")
	case "alpine":
		const file = "/etc/modules-load.d/xtm-pciback.conf"
		add("echo xen-pciback > "+file, "rm "+file, "mkinitfs")
	default:
		return nil, nil
	}
	return do, undo
}
