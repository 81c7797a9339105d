package setup

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"xtm/guest"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/internal/run"
	"xtm/internal/units"
)

// GuestOptions are what the user wants in a guest.
type GuestOptions struct {
	// Minimal writes no word that this kernel does not read.
	Minimal bool
	// Unguarded lets the guest shrink from boot on, pool or not.
	Unguarded bool
	// NoSwap goes on without a swap area.
	NoSwap bool
	// CreateSwap makes a swap file of SwapSize; 0 is the guest's maximum memory.
	CreateSwap bool
	SwapSize   units.MiB
	// Program is where the guard's own program is.
	Program string
}

// GuestMachine is what is known of a guest that is to be set up.
type GuestMachine struct {
	Boot
	State guest.State
	// Own are the present contents of the files that xtm would write; nil where
	// there is none.
	Own     map[string][]byte
	Offline bool
	starter starter
	disk    disk
}

// ProbeGuest reads all that a plan for a guest needs, and changes nothing.
func ProbeGuest(m Machine) (GuestMachine, error) {
	g := GuestMachine{Own: map[string][]byte{}, Offline: m.Offline}
	var err error
	if g.Boot, err = probeBoot(m.Root); err != nil {
		return g, err
	}
	if m.Offline {
		g.State = offlineState(m.Root, g.Boot)
	} else {
		g.State = guest.Read(m.Root, guest.Disk{Root: m.Root}.BlockSize)
	}
	for _, p := range []string{modulesLoad, etcModules, modprobeD, guardUnit, guardWants, initScript, fstab} {
		if g.Own[p], err = readOrNil(m.Root, p); err != nil {
			return g, err
		}
	}
	if g.disk, err = probeDisk(m.Root, g.State); err != nil {
		return g, err
	}
	g.starter, err = m.starter()
	return g, err
}

// offlineState is what is known of the kernel that boots next from a root.
func offlineState(files hostfs.Files, b Boot) guest.State {
	var s guest.State
	entry, err := b.next()
	if err != nil || len(entry.Linux) == 0 {
		return s
	}
	name, ok := strings.CutPrefix(path.Base(entry.Linux[0].Path), "vmlinuz-")
	if !ok {
		return s
	}
	r, err := guest.ParseRelease(name)
	if err != nil {
		return s
	}
	s.Release = opt.Of(r)
	if c, err := guest.ReadConfig(files, name, false); err == nil {
		s.Config = opt.Of(c)
	}
	if m, err := guest.FindModule(files, name); err == nil {
		s.Module = opt.Of(m)
	}
	return s
}

// PlanGuest decides what enabling tmem in a guest takes. A *RefusalError says why it
// cannot be done.
func PlanGuest(g GuestMachine, o GuestOptions) (Plan, error) {
	p := Plan{Role: role.Guest, boot: g.Boot, settings: g.Settings}
	if err := g.mayEnable(o); err != nil {
		return p, err
	}
	told := []string{guest.CheckKernel, guest.CheckZswap, guest.CheckFileSystems}
	if !o.CreateSwap {
		told = append(told, guest.CheckSwap)
	}
	for _, f := range guest.Chain(g.State) {
		if slices.Contains(told, f.Check) && f.Verdict != finding.Good {
			f.Commands = nil // they lead here
			p.Notes = append(p.Notes, f)
		}
	}
	if err := p.guestWords(g, o); err != nil {
		return p, err
	}
	for _, f := range g.wantedFiles(o) {
		old := g.Own[f.Path]
		if old != nil && !bytes.Contains(old, []byte(ownHead)) {
			return p, &RefusalError{
				Kind: Blocked, Seen: f.Path + " is there and is not xtm's", Why: "it would be overwritten",
				Ways: []string{"move it away, then run this again"},
			}
		}
		if !bytes.Equal(old, f.New) || old == nil {
			p.files = append(p.files, grub.Change{Path: f.Path, Old: old, New: f.New})
		}
	}
	if g.loadsByEtcModules() && !lists(g.Own[etcModules], "tmem") {
		p.addLine(g, fileLine{etcModules, "tmem"})
	}
	made := slices.ContainsFunc(g.State.Swaps.Or(nil), func(a guest.SwapArea) bool { return a.Name == swapPath }) ||
		bytes.Contains(g.Own[fstab], []byte(swapLine))
	if o.CreateSwap && !made {
		if err := p.planSwap(g, o); err != nil {
			return p, err
		}
		p.Notes = append(p.Notes, finding.Finding{
			Check: "swap-file", Subject: swapPath, Verdict: finding.Note, Seen: fmt.Sprintf("a swap file of %d MiB will be made there", p.swap),
		})
	}
	return p, nil
}

// mayEnable refuses a guest that cannot have tmem, or that it would harm.
func (g GuestMachine) mayEnable(o GuestOptions) error {
	s := g.State
	if answer, why := s.Possible(); answer == guest.No {
		return &RefusalError{Kind: Impossible, Seen: why, Why: "this guest cannot have tmem", Ways: GuestWays(s)}
	}
	if !s.Release.Has() {
		return &RefusalError{
			Kind: Impossible, Seen: "the release of the kernel that will boot is not to be told", Why: "what it needs depends on that",
			Ways: []string{"run it in the running guest"},
		}
	}
	sup := s.Support()
	if len(sup.Missing) > 0 && sup.Answers[guest.Cleancache] == guest.No && sup.Answers[guest.Frontswap] == guest.No {
		return &RefusalError{
			Kind: Impossible, Seen: sup.Source + " lacks CONFIG_" + strings.Join(sup.Missing, ", CONFIG_"), Why: "without them this kernel has no use for a pool",
			Ways: append([]string{buildKernel(s)}, GuestWays(s)...),
		}
	}
	if s.Module.Or(guest.Module{}).Presence == guest.Absent {
		return &RefusalError{
			Kind: Impossible, Seen: "this kernel has no module tmem", Why: "nothing here can ask Xen for a pool",
			Ways: []string{"its whole package may have it (Ubuntu: linux-modules-extra)", buildKernel(s)},
		}
	}
	if areas, known := s.Swaps.Get(); !g.Offline && len(areas) == 0 && !o.NoSwap && !o.CreateSwap {
		seen := "no swap area is active"
		if !known {
			seen = "the swap areas cannot be read"
		}
		return &RefusalError{
			Kind: Unsaid, Seen: seen,
			Why: "without one nothing goes to a persistent pool, and a guest that shrinks itself fails to start programs",
			Ways: []string{
				"make a swap file of the guest's maximum memory, which is written to only when a put is refused: --create-swap",
				"to use file pages alone: --no-swap",
			},
		}
	}
	if g.guarded(o) && g.starter == nothingStarts {
		return &RefusalError{
			Kind: Unsaid, Seen: "neither systemd starts services here, nor does update-rc.d, chkconfig or insserv enter init scripts",
			Why: "the guard has to run at each boot, before the guest may shrink itself",
			Ways: []string{
				"let the guest shrink from boot on, whether or not its host has tmem: --unguarded",
				"or run at each boot, from what starts services here: xtm guard",
			},
		}
	}
	return nil
}

// guarded tells whether the guest gets a guard: where its kernel can shrink it.
func (g GuestMachine) guarded(o GuestOptions) bool {
	return !o.Unguarded && g.State.Support().Answers[guest.Selfballooning] != guest.No
}

// guestWords are the words that this kernel reads, or that a plain recipe has.
func (g GuestMachine) guestWords(o GuestOptions) []Word {
	era, m := g.State.Support().Era, g.State.Module.Or(guest.Module{})
	var texts []string
	switch {
	case era.Driver == guest.BuiltIn:
		texts = append(texts, "tmem")
		for _, w := range era.Words {
			if g.guarded(o) && (w.Name == "noselfballooning" || w.Name == "noselfshrink") {
				texts = append(texts, w.Name)
			}
		}
	case m.Presence == guest.InKernel:
		texts = append(texts, "tmem")
		if g.guarded(o) {
			texts = append(texts, "tmem.selfballooning=0", "tmem.selfshrinking=0")
		}
	case !o.Minimal:
		texts = append(texts, "tmem")
	}
	if on, known := g.State.Zswap.Get(); known && on {
		texts = append(texts, "zswap.enabled=0")
	}
	words := make([]Word, len(texts))
	for i, t := range texts {
		words[i] = Word{linuxEvery, t}
	}
	return words
}

// guestWords puts them into GRUB's settings, where those boot this guest.
func (p *Plan) guestWords(g GuestMachine, o GuestOptions) error {
	p.wanted = g.guestWords(o)
	if len(p.wanted) == 0 {
		p.settings = nil
		return nil
	}
	texts := strings.Join(wordTexts(p.wanted), " ")
	switch {
	case g.Loader.Kind == grub.GRUB2 && (g.Offline || g.bootsItself(p.wanted)):
	case g.onLine(p.wanted):
		p.settings = nil
		return nil
	case g.Loader.Kind == grub.GRUB2, g.Loader.Kind == grub.None:
		p.settings = nil
		p.ByHand = []string{"the kernel comes from Dom0: add to extra= in this guest's configuration there: " + texts}
		return nil
	default:
		p.settings = nil
		p.ByHand = []string{fmt.Sprintf("edit %s: %s, add: %s", g.Loader.Edit, g.Loader.GuestWords, texts)}
		return nil
	}
	if g.Menu.BLS {
		return &RefusalError{
			Kind: Impossible, Seen: g.Loader.Menu + " takes its entries from /boot/loader/entries", Why: "xtm could not prove the words there",
			Ways: []string{"grubby --update-kernel=ALL --args=" + run.Quote(texts)},
		}
	}
	for _, w := range p.wanted {
		edited, err := p.settings.AddWord(w.Variable, w.Text)
		if err != nil {
			return blocked(err)
		}
		if edited != p.settings {
			p.added = append(p.added, w)
		}
		p.settings = edited
	}
	lacks := func(m grub.Menu) []string { return unprovenLinux(m, p.wanted) }
	p.Stale = len(lacks(g.Menu)) > 0
	p.proveSettings = func(now *grub.Config) error { return present(now, p.wanted) }
	p.proveMenu = func(m grub.Menu) error { return notProven(g.Loader.Menu, lacks(m)) }
	return nil
}

// unprovenLinux lists the Linux entries, those for recovery too, that lack words.
func unprovenLinux(m grub.Menu, words []Word) []string {
	var out []string
	entries := 0
	for e := range m.All() {
		for _, image := range e.Linux {
			entries++
			for _, w := range words {
				if !image.Has(w.Text) {
					out = append(out, fmt.Sprintf("line %d: %q has no %s", image.Line, e.Title, w.Text))
				}
			}
		}
	}
	if entries == 0 {
		out = append(out, "no entry loads Linux")
	}
	return out
}

// bootsItself tells whether an entry of the menu started this kernel: its image
// is of this release, and the kernel got its words. Those that are wanted may
// have been added since.
func (g GuestMachine) bootsItself(wanted []Word) bool {
	release := g.State.Release.Or(guest.Release{}).Text
	line := append(strings.Fields(g.State.BootLine.Or(guest.BootLine{}).Text), wordTexts(wanted)...)
	for e := range g.Menu.All() {
		for _, image := range e.Linux {
			if !strings.HasSuffix(image.Path, "-"+release) {
				continue
			}
			if !slices.ContainsFunc(image.Args, func(w string) bool { return !strings.Contains(w, "$") && !slices.Contains(line, w) }) {
				return true
			}
		}
	}
	return false
}

// onLine tells whether this kernel was started with words.
func (g GuestMachine) onLine(words []Word) bool {
	line := strings.Fields(g.State.BootLine.Or(guest.BootLine{}).Text)
	return !slices.ContainsFunc(words, func(w Word) bool { return !slices.Contains(line, w.Text) })
}
