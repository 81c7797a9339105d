package grub

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
)

// Spec is how GRUB_DEFAULT, saved_entry and next_entry name an entry of this
// menu so that it stays this one when kernels come and go: on each level its id
// or, where another entry has that too, its title, joined by ">". (20_linux_xen
// gives its submenu the id of 10_linux's.) An entry that can be named by neither
// is an error that wraps cause.ErrNotSupported.
func (m Menu) Spec(e Entry) (string, error) {
	var parts []string
	entries := m.Entries
	for step := range strings.SplitSeq(e.Path, ">") {
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(entries) {
			return "", fmt.Errorf("name entry %q: it is not in this menu: %w", e.Title, cause.ErrNoData)
		}
		name := ""
		for _, n := range []string{entries[i].ID, entries[i].Title} {
			if name == "" && n != "" && !digits(n[:1]) && bearers(entries, n) == 1 {
				name = n
			}
		}
		if name == "" {
			return "", fmt.Errorf("name entry %q: another one of its level has the same name: %w", entries[i].Title, cause.ErrNotSupported)
		}
		parts = append(parts, strings.ReplaceAll(name, ">", ">>"))
		entries = entries[i].Entries
	}
	return strings.Join(parts, ">"), nil
}

// bearers counts the entries that GRUB would take a name for.
func bearers(entries []Entry, name string) int {
	n := 0
	for _, e := range entries {
		if e.ID == name || e.Title == name {
			n++
		}
	}
	return n
}
