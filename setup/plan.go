package setup

import (
	"strings"

	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/role"
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
	releases      map[string]xen.Version
	proveSettings func(*grub.Config) error
	proveMenu     func(grub.Menu) error
	// Stale tells that the settings are right and the menu is not made of them.
	Stale bool
	// Notes are findings that do not stand in the way.
	Notes []finding.Finding
	// Trust is what the user must affirm; "" is nothing.
	Trust string
}

// Diff is what would be changed, in the unified format; empty where no file is.
func (p Plan) Diff() string {
	if p.settings == nil {
		return ""
	}
	return p.settings.Diff()
}

// Done tells that there is nothing to do.
func (p Plan) Done() bool { return p.Diff() == "" && !p.Stale && len(p.dropped) == 0 }

// Command makes the boot menu anew.
func (p Plan) Command() string { return strings.Join(p.boot.Loader.Command, " ") }

// CleanUp removes what killed runs left beside the files of the plan.
func (p Plan) CleanUp(m Machine) error { return cleanUp(m.Root, p.boot.Loader.Menu) }
