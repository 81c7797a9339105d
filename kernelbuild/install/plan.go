package install

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/finding"
	"xtm/internal/run"
	"xtm/kernelbuild"
)

// Options are what the user asks for.
type Options struct {
	// BootedBy is what the user says of the machine; "" is to be found out.
	BootedBy Starter
	// BootOnce starts the new kernel at the next boot, and only then.
	BootOnce bool
}

// Plan is what an installation takes. It is carried out by Install.
type Plan struct {
	Release string
	// By is what starts this machine, Why how that was told.
	By  Starter
	Why string
	// LeftOut are packages that are never installed, or not needed.
	LeftOut []Deb
	Notes   []finding.Finding

	boot boot
	// debs are what dpkg is given; none where they are installed.
	debs     []Deb
	packages []string
	version  string
	pin      pinning
	known    string
	mark     string
	once     bool
	// wantsOnce tells that the lines for Dom0 are asked for.
	wantsOnce bool
	fresh     bool // the state does not name this kernel yet
}

// Done tells that there is nothing to do.
func (p Plan) Done() bool {
	return len(p.debs) == 0 && p.pin.nothing() && p.mark == "" && !p.once && !p.fresh
}

// Diff is what would be changed of files, in the unified format.
func (p Plan) Diff() string { return edit.Diff(p.pin.files) }

// Commands are what would be run, in order.
func (p Plan) Commands() []string {
	var out []string
	add := func(argv ...string) { out = append(out, run.Cmd{Name: argv[0], Args: argv[1:]}.String()) }
	if p.mark != "" {
		add("apt-mark", "manual", p.mark)
	}
	out = append(out, p.pin.commands(&p.boot)...)
	if len(p.debs) > 0 {
		argv := append(make([]string, 0, 2+len(p.debs)), "dpkg", "--install")
		for _, d := range p.debs {
			argv = append(argv, d.Path)
		}
		add(argv...)
	}
	if p.once {
		out = append(out, "grub-editenv "+p.boot.Loader.EnvBlock+" set next_entry=... (the entry of "+p.Release+")")
	}
	return out
}

// commands are what carries out a pinning, beside its files.
func (p pinning) commands(b *boot) []string {
	var out []string
	if p.saved != "" {
		out = append(out, run.Cmd{Name: "grub-editenv", Args: []string{b.Loader.EnvBlock, "set", "saved_entry=" + p.saved}}.String())
	}
	if len(p.files) > 0 {
		out = append(out, run.Cmd{Name: b.Loader.Command[0], Args: b.Loader.Command[1:]}.String())
	}
	return out
}

// PlanInstall decides what installing packages takes. A
// *cause.RefusalError says why it is not to be done.
func PlanInstall(ctx context.Context, m Machine, debs []Deb, o Options) (Plan, error) {
	b, err := m.probeBoot(o.BootedBy)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{boot: b, By: b.By, Why: b.Why}
	s, err := readState(m.Root)
	if err != nil {
		return p, err
	}
	if err := p.choose(debs); err != nil {
		return p, err
	}
	if err := p.compare(ctx, m); err != nil {
		return p, err
	}
	_, ours := s.find(p.Release)
	p.fresh = !ours
	if len(p.debs) > 0 {
		if err := p.judge(ctx, m); err != nil {
			return p, err
		}
	}
	if b.By != ByDom0 {
		if err := p.keep(ctx, m); err != nil {
			return p, err
		}
	}
	return p, p.planOnce(ctx, m, o)
}

// choose sorts the packages out.
func (p *Plan) choose(debs []Deb) error {
	var images, headers []Deb
	for _, d := range debs {
		switch d.Kind {
		case kernelbuild.Image:
			images = append(images, d)
		case kernelbuild.Headers:
			headers = append(headers, d)
		case kernelbuild.LibcDev, kernelbuild.Debug:
			p.LeftOut = append(p.LeftOut, d)
		default:
			return &cause.RefusalError{
				Kind: cause.Unsaid, Seen: fmt.Sprintf("%s is %s", d.Path, d.Name), Why: "that is no package of a kernel build",
				Ways: []string{"leave it out"},
			}
		}
	}
	if len(images) != 1 {
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: fmt.Sprintf("of these packages %d have a kernel", len(images)), Why: "one is installed at a time",
			Ways: []string{"name linux-image-RELEASE_VERSION_ARCHITECTURE.deb and linux-headers-RELEASE_..."},
		}
	}
	image := images[0]
	p.Release, p.version = strings.TrimPrefix(image.Name, imagePrefix), image.Version
	if _, ok := image.InBoot["vmlinuz-"+p.Release]; !ok || !releaseName.MatchString(p.Release) {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: image.Path + " has no /boot/vmlinuz-" + p.Release, Why: "it is no kernel that GRUB or Dom0 could start",
			Ways: []string{"name the package that xtm kernel build or make bindeb-pkg made"},
		}
	}
	for _, h := range headers {
		if h.Name != headersPrefix+p.Release {
			return &cause.RefusalError{
				Kind: cause.Unsaid, Seen: fmt.Sprintf("%s and %s", image.Name, h.Name), Why: "these are of two kernels", Ways: []string{"install one after the other"},
			}
		}
	}
	p.debs = append(headers, image)
	for _, d := range p.debs {
		p.packages = append(p.packages, d.Name)
	}
	for _, d := range p.LeftOut {
		why := "debugging information is not needed to run it"
		if d.Kind == kernelbuild.LibcDev {
			why = "it would replace this distribution's own package"
		}
		p.Notes = append(p.Notes, finding.Finding{
			Check: "left-out", Subject: filepath.Base(d.Path), Verdict: finding.Note, Seen: "it is not installed: " + why,
		})
	}
	return nil
}

// compare leaves out what is installed already.
func (p *Plan) compare(ctx context.Context, m Machine) error {
	there, err := m.present(ctx, p.packages...)
	if err != nil {
		return err
	}
	var rest []Deb
	for _, d := range p.debs {
		i, ok := there[d.Name]
		switch {
		case !ok || !i.unpacked():
			rest = append(rest, d)
		case i.Status != "ii":
			return &cause.RefusalError{
				Kind: cause.Blocked, Seen: fmt.Sprintf("dpkg has %s %s in the state %q", i.Name, i.Version, i.Status), Why: "it did not come to its end",
				Ways: []string{"dpkg --configure " + i.Name, "or: dpkg --force-remove-reinstreq --purge " + i.Name},
			}
		case i.Version != d.Version:
			return &cause.RefusalError{
				Kind: cause.Blocked, Seen: fmt.Sprintf("%s %s is installed", i.Name, i.Version), Why: "version " + d.Version + " would replace it, and could not be taken back",
				Ways: []string{"xtm kernel remove " + p.Release, "or build with another --localversion"},
			}
		}
	}
	if p.debs = rest; len(rest) == 0 {
		return nil
	}
	if p.Release == p.boot.Running {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: "Linux " + p.Release + " is running", Why: "its modules would be replaced under it",
			Ways: []string{"boot another kernel first, or build with another --localversion"},
		}
	}
	if !slices.ContainsFunc(rest, func(d Deb) bool { return d.Kind == kernelbuild.Image }) {
		return nil
	}
	found, err := m.Root.Exists("/boot/vmlinuz-" + p.Release)
	if err == nil && found {
		err = &cause.RefusalError{
			Kind: cause.Blocked, Seen: "/boot/vmlinuz-" + p.Release + " is there and not " + imagePrefix + p.Release + "'s", Why: "it would be overwritten",
			Ways: []string{"build with another --localversion"},
		}
	}
	return err
}

// judge looks for what would make the new kernel useless or leave it half
// installed.
func (p *Plan) judge(ctx context.Context, m Machine) error {
	modules, err := m.dkms(ctx)
	if err != nil {
		return err
	}
	if len(modules) > 0 && !slices.Contains(p.packages, headersPrefix+p.Release) {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: "dkms has " + modules[0].Module, Why: "it compiles that for each new kernel, and the headers are not among the packages",
			Ways: []string{"name " + headersPrefix + p.Release + "_..., too"},
		}
	}
	if p.boot.Xen {
		i := slices.IndexFunc(p.debs, func(d Deb) bool { return d.Kind == kernelbuild.Image })
		if i >= 0 {
			config, err := readConfig(ctx, m.Run, p.debs[i], p.Release)
			if err != nil {
				return err
			}
			if !mayBeDom0(config) {
				return &cause.RefusalError{
					Kind: cause.Blocked, Seen: "/boot/config-" + p.Release + " of the package has no CONFIG_XEN_DOM0=y", Why: "it cannot be Dom0's kernel, and grub-mkconfig makes no entry of Xen with it",
					Ways: []string{"build it with CONFIG_XEN_DOM0=y"},
				}
			}
		}
	}
	return m.space(p.debs)
}

// mayBeDom0 asks what 20_linux_xen asks, whole lines (GRUB 2.06 to 2.14).
func mayBeDom0(config []byte) bool {
	for line := range bytes.Lines(config) {
		switch string(bytes.TrimSpace(line)) {
		case "CONFIG_XEN_DOM0=y", "CONFIG_XEN_PRIVILEGED_GUEST=y":
			return true
		}
	}
	return false
}

// keep plans that what boots by default now stays the default.
func (p *Plan) keep(ctx context.Context, m Machine) error {
	e, err := p.boot.usual()
	if err != nil {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: err.Error(), Why: "xtm could not keep it the default",
			Ways: []string{"set GRUB_DEFAULT in /etc/default/grub to an entry that is always there"},
		}
	}
	if e, err = p.boot.fixed(e); err != nil {
		return err
	}
	own, err := edit.Read(m.Root, ownScript)
	if err != nil {
		return err
	}
	if p.pin, err = p.boot.pin(e, p.fresh || own != nil, own); err != nil {
		return err
	}
	p.known = linux(e)
	if p.boot.Running != "" && p.known != "" && p.known != p.boot.Running {
		p.Notes = append(p.Notes, finding.Finding{
			Check: "default-kernel", Subject: p.known, Verdict: finding.Note,
			Seen: "boots by default and stays the default; what runs now is " + p.boot.Running,
		})
	}
	if p.known == "" || p.known == p.Release {
		return nil
	}
	auto, err := m.isAuto(ctx, imagePrefix+p.known)
	if auto {
		p.mark = imagePrefix + p.known
	}
	return err
}
