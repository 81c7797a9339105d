package setup

import (
	"bytes"
	"slices"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/role"
)

// PlanDisable takes away what xtm has put there, and nothing else: a word that
// somebody else wrote is named and stays.
func PlanDisable(m Machine, r role.Role) (Plan, error) {
	p := Plan{Role: r}
	rec, err := readRecord(m.Root)
	if err != nil {
		return p, err
	}
	if p.boot, err = probeBoot(m.Root); err != nil {
		return p, err
	}
	p.disables, p.unswap = true, rec.Swap
	if rec.Swap && !m.Offline {
		if err := holds(guest.Read(m.Root, nil)); err != nil {
			return p, err
		}
	}
	for _, l := range rec.Lines {
		old, err := edit.Read(m.Root, l.Path)
		if err != nil {
			return p, err
		}
		if now := withoutLine(old, l.Text); old != nil && !bytes.Equal(now, old) {
			p.files = append(p.files, edit.Change{Path: l.Path, Old: old, New: now})
		}
	}
	for _, path := range rec.Files {
		old, err := edit.Read(m.Root, path)
		if err != nil {
			return p, err
		}
		p.files = append(p.files, edit.Change{Path: path, Old: old})
	}
	if p.boot.Loader.Kind != grub.GRUB2 {
		if len(rec.Words) > 0 {
			return p, &cause.RefusalError{
				Kind: cause.Blocked, Seen: "xtm has put words into GRUB's settings, and GRUB 2 does not boot this machine any more",
				Why: "no menu could be made of them", Ways: []string{"words to take out by hand: " + recordFile},
			}
		}
		return p, nil
	}
	p.dropped = rec.Words
	if p.settings, err = without(p.boot.Settings, rec.Words); err != nil {
		return p, err
	}
	p.others(r)
	gone := slices.DeleteFunc(slices.Clone(rec.Words), func(w Word) bool { return p.elsewhere(w) })
	p.Stale = len(remaining(p.boot.Menu, gone)) > 0
	p.proveSettings = func(now *grub.Config) error { return absent(now, rec.Words) }
	p.proveMenu = func(menu grub.Menu) error { return notProven(p.boot.Loader.Menu, remaining(menu, gone)) }
	return p, nil
}

// variables are those that may hold tmem on each side.
func variables(r role.Role) []string {
	if r == role.Host {
		return []string{xenNormal, xenEvery}
	}
	return []string{linuxEvery, linuxNormal}
}

// others names the lines in which somebody else switched tmem on.
func (p *Plan) others(r role.Role) {
	for _, name := range variables(r) {
		for _, w := range p.settings.Value(name).Words {
			if w.Text == "tmem" {
				p.Notes = append(p.Notes, finding.Finding{
					Check: "not-by-xtm", Subject: w.Where.String(), Verdict: finding.Warning,
					Seen:     name + " has tmem, which xtm did not write",
					Advice:   "take it out by hand if it is to go",
					Commands: []string{p.Command()},
				})
			}
		}
	}
}

// elsewhere tells whether a word stays in the settings by somebody else.
func (p *Plan) elsewhere(w Word) bool {
	for _, name := range []string{xenNormal, xenEvery, linuxEvery, linuxNormal} {
		if has(p.settings, Word{name, w.Text}) {
			return true
		}
	}
	return false
}

// The variables that hold Linux's command line: of every entry, and of all but
// the recovery ones (10_linux).
const (
	linuxEvery  = "GRUB_CMDLINE_LINUX"
	linuxNormal = "GRUB_CMDLINE_LINUX_DEFAULT"
)
