package setup

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/grub"
	"xtm/xen"
	"xtm/xen/tmem"
)

// unproven lists what a menu lacks of what it should have: every Xen entry
// that is not for recovery has the words, no recovery entry has tmem on. It is
// empty where the menu is as it should be.
func unproven(m grub.Menu, words []Word, releases map[string]xen.Version) []string {
	var out []string
	normal := 0
	for e := range m.All() {
		for _, image := range e.Xen {
			on, _ := tmem.Enabled(strings.Join(image.Args, " "), releases[image.Path])
			if e.Recovery {
				if on {
					out = append(out, fmt.Sprintf("line %d: the recovery entry %q has tmem", image.Line, e.Title))
				}
				continue
			}
			normal++
			if !on {
				out = append(out, fmt.Sprintf("line %d: %q does not switch tmem on", image.Line, e.Title))
				continue
			}
			for _, w := range words {
				if !image.Has(w.Text) {
					out = append(out, fmt.Sprintf("line %d: %q has no %s", image.Line, e.Title, w.Text))
				}
			}
		}
	}
	if normal == 0 {
		out = append(out, "no entry loads Xen")
	}
	return out
}

// remaining lists the entries that still have words which should have gone.
func remaining(m grub.Menu, words []Word) []string {
	var out []string
	for e := range m.All() {
		for _, image := range slices.Concat(e.Xen, e.Linux) {
			for _, w := range words {
				if image.Has(w.Text) {
					out = append(out, fmt.Sprintf("line %d: %q still has %s", image.Line, e.Title, w.Text))
				}
			}
		}
	}
	return out
}

// notProven makes an error of what a menu lacks, with its first lines.
func notProven(menu string, lacks []string) error {
	if len(lacks) == 0 {
		return nil
	}
	const most = 3
	text := strings.Join(lacks[:min(most, len(lacks))], "; ")
	if len(lacks) > most {
		text += fmt.Sprintf("; and %d more", len(lacks)-most)
	}
	return fmt.Errorf("prove it in %s: %s", menu, text)
}

// present tells whether the settings have words.
func present(c *grub.Config, words []Word) error {
	for _, w := range words {
		if !has(c, w) {
			return fmt.Errorf("prove it in GRUB's settings: %s has no %s", w.Variable, w.Text)
		}
	}
	return nil
}

// absent tells whether the settings are free of words.
func absent(c *grub.Config, words []Word) error {
	for _, w := range words {
		if has(c, w) {
			return fmt.Errorf("prove it in GRUB's settings: %s still has %s", w.Variable, w.Text)
		}
	}
	return nil
}

func has(c *grub.Config, w Word) bool {
	return slices.ContainsFunc(c.Value(w.Variable).Words, func(have grub.Word) bool { return have.Text == w.Text })
}
