package grub

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
)

// Boots is the entry that boots next, with this environment block; its Path
// says where it is. It follows default as GRUB does, into submenus too, and
// falls back to the first entry as GRUB does. A menu without entries is
// cause.ErrNoData; where a condition at boot decides, the error says so.
// (grub-core/normal/menu.c, GRUB 2.02 to 2.12.)
func (m Menu) Boots(env map[string]string) (Entry, error) {
	spec := m.Default
	if next := env["next_entry"]; m.NextEntry && next != "" {
		spec = next
	}
	if spec == "${saved_entry}" || spec == "$saved_entry" {
		spec = env["saved_entry"]
	}
	if strings.Contains(spec, "$") {
		return Entry{}, fmt.Errorf("find the default entry: %q is known only to GRUB", spec)
	}
	entries := m.Entries
	for {
		if len(entries) == 0 {
			return Entry{}, fmt.Errorf("find the default entry: a menu without entries: %w", cause.ErrNoData)
		}
		first, rest, more := cutSpec(spec)
		i, named := find(entries, first)
		counted := entries[:i+1]
		if named {
			counted = entries[i : i+1]
		}
		for _, e := range counted {
			if e.Conditional {
				return Entry{}, fmt.Errorf("find the default entry: whether %q is in the menu is decided at boot", e.Title)
			}
		}
		if !entries[i].Submenu {
			return entries[i], nil
		}
		// In a submenu the rest decides and, where there is none, the same again.
		if more && rest != "" {
			spec = rest
		}
		entries = entries[i].Entries
	}
}

// cutSpec splits "first>rest"; ">>" stands for one ">" in a title.
func cutSpec(spec string) (first, rest string, more bool) {
	var out []byte
	for i := 0; i < len(spec); i++ {
		if spec[i] == '>' {
			if i+1 >= len(spec) || spec[i+1] != '>' {
				return string(out), spec[i+1:], true
			}
			i++
		}
		out = append(out, spec[i])
	}
	return string(out), "", false
}

// find returns the number of an entry by title or id, which is named, or by
// number, and 0 where there is no such entry. What begins with digits is a number
// to GRUB, unless an entry has it as its id: Fedora's GRUB looks at ids first.
func find(entries []Entry, spec string) (i int, named bool) {
	for i, e := range entries {
		if spec != "" && !digits(spec) && (e.ID == spec || e.Title == spec) {
			return i, true
		}
	}
	number := spec
	for i := range len(spec) {
		if !digits(spec[i : i+1]) {
			number = spec[:i]
			break
		}
	}
	if n, err := strconv.Atoi(number); err == nil && n < len(entries) {
		return n, false
	}
	return 0, false
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// envSignature begins each environment block.
const envSignature = "# GRUB Environment Block\n"

// maxEnv bounds an environment block; grub-editenv makes 1024 bytes.
const maxEnv = 64 << 10

// ParseEnv reads an environment block, grubenv: lines NAME=value after a
// comment, filled up with "#" to 1024 bytes. A backslash makes the next byte
// part of the value, a line end too. (grub-core/lib/envblk.c, GRUB 2.02 to 2.12.)
func ParseEnv(b []byte) (map[string]string, error) {
	if len(b) > maxEnv {
		return nil, fmt.Errorf("read grubenv: larger than %d bytes", maxEnv)
	}
	rest, ok := bytes.CutPrefix(b, []byte(envSignature))
	if !ok {
		return nil, fmt.Errorf("read grubenv: line 1: not %q", strings.TrimSpace(envSignature))
	}
	env := map[string]string{}
	for line := 2; len(rest) > 0; line++ {
		var text []byte
		begun := line
		i := 0
		for ; i < len(rest) && rest[i] != '\n'; i++ {
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
				if rest[i] == '\n' {
					line++
				}
			}
			text = append(text, rest[i])
		}
		comment := rest[0] == '#'
		rest = rest[min(i+1, len(rest)):]
		if comment || len(text) == 0 {
			continue
		}
		name, value, ok := strings.Cut(string(text), "=")
		if !ok {
			return nil, fmt.Errorf("read grubenv: line %d: no = in %.40q", begun, text)
		}
		env[name] = value
	}
	return env, nil
}
