package setup

import (
	"fmt"
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
	releases map[string]xen.Version
	// files are xtm's own, apart from GRUB's settings.
	files         []grub.Change
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
	var b strings.Builder
	if p.settings != nil {
		b.WriteString(p.settings.Diff())
	}
	for _, f := range p.files {
		b.WriteString(wholeDiff(f))
	}
	return b.String()
}

// wholeDiff is the diff of a file that is made or removed.
func wholeDiff(f grub.Change) string {
	if f.Old == nil && f.New == nil {
		return "" // somebody has removed it
	}
	text, sign, head := f.New, "+", "--- /dev/null\n+++ "+f.Path
	if f.New == nil {
		text, sign, head = f.Old, "-", "--- "+f.Path+"\n+++ /dev/null"
	}
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	span := fmt.Sprintf("@@ -0,0 +1,%d @@", len(lines))
	if f.New == nil {
		span = fmt.Sprintf("@@ -1,%d +0,0 @@", len(lines))
	}
	return fmt.Sprintf("diff %s %s\n%s\n%s\n%s%s", f.Path, f.Path, head, span, sign, strings.Join(lines, sign))
}

// Done tells that there is nothing to do.
func (p Plan) Done() bool {
	return p.Diff() == "" && len(p.files) == 0 && !p.Stale && len(p.dropped) == 0
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
