package redact

import (
	"maps"
	"slices"
	"strings"
)

// minFound is the length from which a name is looked for in free text.
const minFound = 3

// finder replaces known names in free text, the longest first.
type finder struct {
	// names by their first bytes, in lower case; the longest first.
	names map[string][]string
	given map[string]string
}

// newFinder takes names with their pseudonyms; of a name that is in two of the
// sets the first pseudonym counts.
func newFinder(sets ...map[string]string) *finder {
	f := &finder{map[string][]string{}, map[string]string{}}
	for _, set := range sets {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			f.add(name, set[name])
			// Of xen1.example.com the first part is the name too.
			if first, rest, ok := strings.Cut(name, "."); ok && strings.Contains(rest, ".") {
				f.add(first, set[name])
			}
		}
	}
	for _, list := range f.names {
		slices.SortFunc(list, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
	}
	return f
}

// add takes a name, and the form that LVM makes of its hyphens in
// /dev/mapper/my--host--vg-root.
func (f *finder) add(name, pseudonym string) {
	for _, n := range []string{name, strings.ReplaceAll(name, "-", "--")} {
		n = lower(n)
		if _, ok := f.given[n]; ok || len(n) < minFound || vocabulary[n] ||
			!strings.ContainsFunc(n, func(c rune) bool { return c < '0' || c > '9' }) {
			continue
		}
		f.given[n] = pseudonym
		f.names[n[:minFound]] = append(f.names[n[:minFound]], n)
	}
}

func (f *finder) replace(b []byte) []byte {
	if len(f.names) == 0 {
		return b
	}
	text := lower(string(b))
	var out []byte
	done := 0
	for i := 0; i+minFound <= len(text); {
		at := slices.IndexFunc(f.names[text[i:i+minFound]], func(n string) bool {
			return strings.HasPrefix(text[i:], n) && !vocabulary[wordAround(text, i, i+len(n))]
		})
		if at < 0 {
			i++
			continue
		}
		n := f.names[text[i:i+minFound]][at]
		end := i + len(n)
		out = append(out, b[done:i]...)
		// In brackets: web1 is not dom-21 where web is dom-2.
		if i > 0 && inWord(text[i-1]) || end < len(text) && inWord(text[end]) {
			out = append(append(append(out, '['), f.given[n]...), ']')
		} else {
			out = append(out, f.given[n]...)
		}
		i, done = end, end
	}
	if out == nil {
		return b
	}
	return append(out, b[done:]...)
}

// wordAround is the word that text[from:to] lies in.
func wordAround(text string, from, to int) string {
	for from > 0 && inWord(text[from-1]) {
		from--
	}
	for to < len(text) && inWord(text[to]) {
		to++
	}
	return text[from:to]
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// lower folds the letters of ASCII: no byte moves.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
