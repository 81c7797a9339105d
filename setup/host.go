package setup

import (
	"errors"
	"fmt"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// The variables of GRUB's settings that hold Xen's command line. The first
// reaches every entry, the second all but the recovery ones (20_linux_xen).
const (
	xenEvery  = "GRUB_CMDLINE_XEN"
	xenNormal = "GRUB_CMDLINE_XEN_DEFAULT"
)

// HostOptions are what the user wants of Xen's command line.
type HostOptions struct {
	Compress, Dedup bool
	// Dom0Mem fixes Dom0's memory, Dom0MemSure even where it looks too little.
	Dom0Mem     opt.Value[units.MiB]
	Dom0MemSure bool
	// XenVersion is for images that do not tell theirs.
	XenVersion xen.Version
	// AcceptRisk goes on where guests can attack the host through tmem.
	AcceptRisk bool
}

// PlanHost decides what enabling tmem on a host takes. A
// *cause.RefusalError says why it cannot be done.
func PlanHost(h Host, o HostOptions) (Plan, error) {
	p := Plan{Role: role.Host, boot: h.Boot, settings: h.Settings, releases: map[string]xen.Version{}}
	if err := h.mayRun(o); err != nil {
		return p, err
	}
	if h.Loader.Kind != grub.GRUB2 {
		return p, h.byHand(o)
	}
	next, err := h.judgeImages(&p, o)
	if err != nil {
		return p, err
	}
	if err := p.words(h, o, next); err != nil {
		return p, err
	}
	p.Stale = len(unproven(h.Menu, p.wanted, p.releases)) > 0
	p.proveSettings = func(now *grub.Config) error { return present(now, p.wanted) }
	p.proveMenu = func(m grub.Menu) error { return notProven(h.Loader.Menu, unproven(m, p.wanted, p.releases)) }
	p.Notes = append(p.Notes, h.advice(o, next)...)
	p.Trust = "Every guest of this host is trusted: tmem has had no security support " +
		"since XSA-15, and a hostile guest kernel reaches the hypervisor through it"
	return p, nil
}

// mayRun judges the hypervisor that runs now.
func (h Host) mayRun(o HostOptions) error {
	running, ok := h.Running.Get()
	if !ok {
		return nil
	}
	if err := judge(running, o, h.XSA15, h.Ways()); err != nil {
		return err
	}
	for _, line := range h.Snapshot.Host.BootMessages {
		if tmem.BootLine(line) == tmem.BootRAMLimit {
			return h.tooMuchRAM("said at boot that it has")
		}
	}
	if total, ok := h.Snapshot.Host.Total.Get(); ok && total > ramLimit && running.Version.AtLeast(4, 3) {
		return h.tooMuchRAM(fmt.Sprintf("has %s GiB,", units.Group(int64(total>>20))))
	}
	return nil
}

// ramLimit is what Xen maps at once on x86; with more it switches tmem off
// (xen/arch/x86/setup.c, 4.3–4.12).
const ramLimit units.KiB = 5 << 30

func (h Host) tooMuchRAM(seen string) error {
	return &cause.RefusalError{
		Kind: cause.Impossible, Seen: "this host " + seen + " more memory than Xen maps at once",
		Why: "Xen switches tmem off then", Ways: h.Ways(),
	}
}

// judge refuses a hypervisor that cannot have tmem or should not.
func judge(h Hypervisor, o HostOptions, xsa15 string, ways []string) error {
	f := tmem.For(h.Version)
	has, told := h.HasTmem.Get()
	switch {
	case !h.Version.Known():
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: h.String() + " does not tell its release (" + h.Evidence + ")",
			Why:  "whether it has tmem depends on that, and a file's name proves nothing",
			Ways: []string{"say it, if you know: --xen-version 4.4.1; what runs says it itself: cat /sys/hypervisor/version/{major,minor,extra}"},
		}
	case f.Removed:
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: h.String(), Why: "Transcendent Memory was removed in Xen 4.13 and cannot be had there",
			Ways: ways,
		}
	case !f.Exists:
		return &cause.RefusalError{Kind: cause.Impossible, Seen: h.String(), Why: "it is older than tmem, which came with 4.0", Ways: ways}
	case told && !has:
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: fmt.Sprintf("%s was built without tmem (%s)", h, h.Evidence),
			Why:  "a word on its command line would do nothing",
			Ways: append([]string{"a hypervisor built with CONFIG_TMEM=y, which 4.12 does not have by default and 4.7 to 4.11 have"}, ways...),
		}
	case !told && !f.BuiltByDefault:
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s may have been built without tmem (%s)", h, h.Evidence),
			Why: "4.12 is, unless somebody chose CONFIG_TMEM=y, and then its guests would shrink with nothing behind them",
			Ways: []string{
				"its configuration beside the image tells, with a line CONFIG_TMEM=y: make install of Xen's sources puts it there",
			},
		}
	case !f.XSA15Fixed && xsa15 == "" && !o.AcceptRisk:
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: h.String() + " has the holes of XSA-15 (CVE-2012-3497)",
			Why: "with tmem on, any guest can crash or take over the host; without it nobody can use them",
			Ways: []string{
				"Xen 4.1.4, 4.2.1, 4.3.0 or later, or a package whose changelog names CVE-2012-3497",
				"to go on all the same: --accept-risk",
			},
		}
	}
	return nil
}

// judgeImages judges what will boot and returns it. Where another system will,
// it is the first Xen of the menu.
func (h Host) judgeImages(p *Plan, o HostOptions) (Hypervisor, error) {
	for i, image := range h.Images {
		h.Images[i] = h.known(image, o)
		p.releases[image.Image] = h.Images[i].Version
	}
	next, why, err := h.nextImage()
	if err != nil {
		return next, err
	}
	if err := judge(next, o, h.XSA15, h.Ways()); err != nil {
		return next, err
	}
	if why != "" {
		p.Notes = append(p.Notes, finding.Finding{
			Check: "next-boot", Subject: h.Loader.Menu, Verdict: finding.Warning, Seen: why,
			Advice: "judged is the first Xen of the menu, " + next.Image,
		})
	}
	for _, other := range h.Images {
		if other.Image == next.Image {
			continue
		}
		if err := judge(other, o, h.XSA15, nil); err != nil {
			p.Notes = append(p.Notes, finding.Finding{
				Check: "other-image", Subject: other.Image, Verdict: finding.Note, Seen: err.Error(),
				Advice: "it does not boot next; do not choose it",
			})
		}
	}
	return next, nil
}

// known completes an image that does not tell its release.
func (h Host) known(i Hypervisor, o HostOptions) Hypervisor {
	running, live := h.Running.Get()
	switch {
	case i.Version.Known():
	case o.XenVersion.Known():
		i.Version, i.Evidence = o.XenVersion, i.Evidence+", and its release is what --xen-version says"
	case live && same(i.Image, running.Version):
		i.Version, i.HasTmem, i.Evidence = running.Version, running.HasTmem, "the running Xen is of the release that its name has"
	}
	return i
}

// nextImage is the hypervisor of the entry that boots next. Where that is none,
// it is the menu's first, and why says so.
func (h Host) nextImage() (image Hypervisor, why string, err error) {
	entry, err := h.next()
	switch {
	case err != nil:
		why = err.Error()
	case len(entry.Xen) == 0:
		why = fmt.Sprintf("%q boots next, which is not Xen", entry.Title)
	}
	if why != "" {
		var ok bool
		if entry, ok = firstXen(h.Menu); !ok {
			return Hypervisor{}, "", &cause.RefusalError{
				Kind: cause.Blocked, Seen: "no entry of " + h.Loader.Menu + " loads Xen", Why: "there is no command line to put tmem in",
				Ways: []string{
					"entries of Xen come of an image in /boot (xen-4.11-amd64.gz) and a kernel whose /boot/config-RELEASE has CONFIG_XEN_DOM0=y; then: " +
						strings.Join(h.Loader.Command, " "),
				},
			}
		}
	}
	for _, i := range h.Images {
		if i.Image == entry.Xen[0].Path {
			return i, why, nil
		}
	}
	return Hypervisor{}, "", errors.New("judge the menu: an entry changed while it was read")
}

// firstXen is the first entry of a menu that starts Xen, not for recovery.
func firstXen(m grub.Menu) (grub.Entry, bool) {
	for e := range m.All() {
		if len(e.Xen) > 0 && !e.Recovery {
			return e, true
		}
	}
	return grub.Entry{}, false
}

// byHand refuses a machine that GRUB 2 does not boot.
func (h Host) byHand(o HostOptions) error {
	words := strings.Join(wordTexts(hostWords(o)), " ")
	r := &cause.RefusalError{
		Kind: cause.Impossible, Seen: strings.Join(h.Loader.Reasons, "; "),
		Why: "xtm edits the settings of GRUB 2 only",
	}
	switch {
	case h.Loader.Edit == "" || h.Loader.HostWords == "": // systemd-boot starts no Xen of itself
		r.Ways = []string{"add to Xen's command line, wherever it is kept: " + words}
	case strings.HasPrefix(h.Loader.HostWords, "run: "):
		r.Ways = []string{strings.Replace(h.Loader.HostWords, "WORD", words, 1)}
	default:
		r.Ways = []string{fmt.Sprintf("edit %s: %s, add: %s", h.Loader.Edit, h.Loader.HostWords, words)}
	}
	return r
}
