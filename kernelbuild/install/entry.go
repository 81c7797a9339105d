package install

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/grub"
)

// pygrubs is the entry that pygrub boots: it counts all entries in a row, those
// of submenus too, and understands a number in default alone.
//
//	set default="${next_entry}"     taken for 0
//	set default="${saved_entry}"    taken for 0
//	set default="Debian"            taken for 0, and a failure before Xen 4.4
//
// (tools/pygrub/src/GrubConf.py, Xen 4.17.)
func (b *boot) pygrubs() (grub.Entry, error) {
	all := slices.Collect(b.Menu.All())
	n, err := strconv.Atoi(b.Menu.Default)
	if err != nil || n < 0 || n >= len(all) {
		n = 0
	}
	if len(all) == 0 {
		return grub.Entry{}, fmt.Errorf("find the default entry: a menu without entries: %w", cause.ErrNoData)
	}
	return all[n], nil
}

// number is the place of an entry as pygrub counts.
func (b *boot) number(e grub.Entry) int {
	return slices.IndexFunc(slices.Collect(b.Menu.All()), func(o grub.Entry) bool { return o.Line == e.Line })
}

// linux is the release that an entry starts, "" where that is none; xen the path
// of its hypervisor.
func linux(e grub.Entry) string {
	if len(e.Linux) == 0 {
		return ""
	}
	return releaseOf(e.Linux[0].Path)
}

func xen(e grub.Entry) string {
	if len(e.Xen) == 0 {
		return ""
	}
	return e.Xen[0].Path
}

// fixed is the entry that starts the same as e and names its release, so that it
// stays when a newer kernel comes: the first entry of a menu always has the
// newest.
func (b *boot) fixed(e grub.Entry) (grub.Entry, error) {
	release := linux(e)
	if release == "" || b.By == ByPygrub || names(e, release) {
		return e, nil
	}
	found, ok := b.entryOf(release, xen(e))
	if !ok || !names(found, release) {
		return e, &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%q boots by default, and no other entry has its kernel %s", e.Title, release),
			Why:  "it has the newest kernel there is, and nothing would hold it at this one",
			Ways: []string{"make the menu again: " + strings.Join(b.Loader.Command, " ")},
		}
	}
	return found, nil
}

// entryOf finds the normal entry of a release under a hypervisor, "" for
// none: one that names the release before one that does not.
func (b *boot) entryOf(release, hypervisor string) (grub.Entry, bool) {
	var any grub.Entry
	found := false
	for e := range b.Menu.All() {
		if e.Recovery || e.ID == ownEntry || linux(e) != release || xen(e) != hypervisor {
			continue
		}
		if names(e, release) {
			return e, true
		}
		if !found {
			any, found = e, true
		}
	}
	return any, found
}

func names(e grub.Entry, release string) bool {
	return strings.Contains(e.ID, release) || strings.Contains(e.Title, release)
}

// hypervisor is the one that starts by default, "" where the machine is none
// of Xen's hosts; the menu's first where something else starts.
func (b *boot) hypervisor() string {
	if !b.Xen {
		return ""
	}
	if e, err := b.usual(); err == nil && xen(e) != "" {
		return xen(e)
	}
	for e := range b.Menu.All() {
		if xen(e) != "" && !e.Recovery {
			return xen(e)
		}
	}
	return ""
}

// releases lists the kernels that the menu can start, in its order.
func (b *boot) releases() []string {
	var out []string
	for e := range b.Menu.All() {
		if r := linux(e); r != "" && !e.Recovery && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
