package setup

import (
	"fmt"
	"slices"
	"strings"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/grub"
	"xtm/internal/run"
)

// guestWords are the words that this kernel reads, or that a plain recipe has.
func (g GuestMachine) guestWords(o GuestOptions) []Word {
	era, m := g.State.Support().Era, g.State.Module.Or(guest.Module{})
	var texts []string
	switch {
	case era.Driver == guest.BuiltIn:
		texts = append(texts, "tmem")
		for _, w := range g.State.BootWords() {
			if g.guarded(o) && (w.Name == "noselfballooning" || w.Name == "noselfshrink") {
				texts = append(texts, w.Name)
			}
		}
	case m.Presence == guest.InKernel:
		texts = append(texts, "tmem")
		if g.guarded(o) {
			for _, p := range quietParams(g.State) {
				texts = append(texts, "tmem."+p)
			}
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
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: g.Loader.Menu + " takes its entries from /boot/loader/entries", Why: "xtm could not prove the words there",
			Ways: []string{"grubby --update-kernel=ALL --args=" + run.Quote(texts)},
		}
	}
	if err := p.contradicted(); err != nil {
		return err
	}
	if err := p.addWanted(); err != nil {
		return err
	}
	lacks := func(m grub.Menu) []string { return unprovenLinux(m, p.wanted) }
	p.Stale = len(lacks(g.Menu)) > 0
	p.proveSettings = func(now *grub.Config) error { return present(now, p.wanted) }
	p.proveMenu = func(m grub.Menu) error { return notProven(g.Loader.Menu, lacks(m)) }
	return nil
}

// contradicted finds a wanted value that a word of GRUB_CMDLINE_LINUX_DEFAULT
// overrides, which comes later on the kernel's line.
func (p *Plan) contradicted() error {
	for _, w := range p.wanted {
		key, _, _ := strings.Cut(w.Text, "=")
		for _, later := range p.settings.Value(linuxNormal).Words {
			if k, _, given := strings.Cut(later.Text, "="); given && k == key && later.Text != w.Text {
				return &cause.RefusalError{
					Kind: cause.Blocked, Seen: fmt.Sprintf("%s: %s has %s", later.Where, linuxNormal, later.Text),
					Why: "that contradicts " + w.Text + " and comes after it", Ways: []string{"take it out by hand, then run this again"},
				}
			}
		}
	}
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
