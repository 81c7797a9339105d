package setup

import (
	"fmt"
	"strings"

	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// nextBoot tells whether Xen boots next; where it does not, what was seen and
// the lines that mend it.
func nextBoot(files hostfs.Files) (seen string, fix []string, err error) {
	b, err := probeBoot(files)
	if err != nil {
		return "", nil, err
	}
	entry, err := b.next()
	switch {
	case err != nil:
		seen = err.Error()
	case len(entry.Xen) == 0:
		seen = fmt.Sprintf("%q boots next, which is not Xen", entry.Title)
	default:
		return "", nil, nil
	}
	first, ok := firstXen(b.Menu)
	if !ok {
		return seen, nil, nil
	}
	return seen, b.choose(first), nil
}

// choose are the lines that make an entry the one that boots.
func (b Boot) choose(e grub.Entry) []string {
	title := run.Quote(b.titlePath(e))
	if strings.Contains(b.Menu.Default, "saved_entry") {
		program := "grub-set-default"
		if strings.HasPrefix(b.Loader.Menu, "/boot/grub2/") {
			program = "grub2-set-default"
		}
		return []string{program + " " + title}
	}
	where := grub.SettingsFile
	if v := b.Settings.Value("GRUB_DEFAULT"); len(v.Assigned) > 0 {
		where = v.Assigned[len(v.Assigned)-1].String()
	}
	return []string{
		fmt.Sprintf("write in %s: GRUB_DEFAULT=%s", where, title),
		"then run: " + strings.Join(b.Loader.Command, " "),
	}
}

// titlePath is the way to an entry by titles, as GRUB_DEFAULT takes it.
func (b Boot) titlePath(e grub.Entry) string {
	var titles []string
	entries := b.Menu.Entries
	for step := range strings.SplitSeq(e.Path, ">") {
		var i int
		if _, err := fmt.Sscan(step, &i); err != nil || i < 0 || i >= len(entries) {
			break
		}
		titles = append(titles, strings.ReplaceAll(entries[i].Title, ">", ">>"))
		entries = entries[i].Entries
	}
	return strings.Join(titles, ">")
}
