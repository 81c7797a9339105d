package setup

import (
	"slices"
	"strings"

	"xtm/internal/edit"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/role"
	"xtm/internal/units"
	"xtm/xen"
)

// Plan is what is to be changed and what must be said before.
type Plan struct {
	Role role.Role
	boot Boot
	// settings are GRUB's with the changes in them.
	settings *grub.Config
	// wanted are all words that the menu must have, added those that are not
	// there yet, dropped those that are to go.
	wanted, added, dropped []Word
	// releases are those of the menu's images.
	releases map[string]xen.Version
	// files are xtm's own, apart from GRUB's settings.
	files []edit.Change
	// lines are xtm's in files of somebody else's, swap the size of a swap file
	// that is to be made, unswap tells that it is to go.
	lines         []fileLine
	swap          units.MiB
	unswap        bool
	disables      bool
	proveSettings func(*grub.Config) error
	proveMenu     func(grub.Menu) error
	// Stale tells that the settings are right and the menu is not made of them.
	Stale bool
	// Notes are findings that do not stand in the way.
	Notes []finding.Finding
	// Trust is what the user must affirm; "" is nothing.
	Trust string
	// ByHand are lines for what xtm cannot reach; with them a plan is carried out
	// in part.
	ByHand []string
}

// Diff is what would be changed, in the unified format; empty where no file is.
func (p Plan) Diff() string {
	if p.settings == nil {
		return edit.Diff(p.files)
	}
	return p.settings.Diff() + edit.Diff(p.files)
}

// Done tells that there is nothing to do.
func (p Plan) Done() bool {
	return p.Diff() == "" && len(p.files) == 0 && !p.Stale && len(p.dropped) == 0 && !p.unswap
}

// remakesMenu tells whether the boot menu is made anew.
func (p Plan) remakesMenu() bool {
	return p.Stale || p.settings != nil && (len(p.dropped) > 0 || len(p.settings.Changes()) > 0)
}

// Command makes the boot menu anew; "" where that is not needed.
func (p Plan) Command() string {
	if !p.remakesMenu() {
		return ""
	}
	return strings.Join(p.boot.Loader.Command, " ")
}

// CleanUp removes what killed runs left beside the files of the plan.
func (p Plan) CleanUp(m Machine) error { return cleanUp(m.Root, p.boot.Loader.Menu) }

// own are the changes of files that are xtm's own.
func (p Plan) own() []edit.Change {
	return slices.DeleteFunc(slices.Clone(p.files), func(f edit.Change) bool { return f.Path == fstab || f.Path == etcModules })
}
