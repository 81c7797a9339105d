package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text safe to print: what a terminal would act upon or hide is
// shown as \x1b, \u202e or \U000e0041. That is every control character,
// control of the writing direction, odd blank, invisible letter and byte that
// is not UTF-8. A backslash stays as it is, so commands can still be copied.
func Escape(s string) string {
	bad := strings.IndexFunc(s, hidden)
	if bad < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i, r := range s {
		switch {
		case r == utf8.RuneError && invalid(s[i:]):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hidden(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// invalid tells a byte that is not UTF-8 from a U+FFFD that was written.
func invalid(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	return n <= 1
}

// hidden tells whether a rune has no mark of its own on the screen.
func hidden(r rune) bool {
	if r >= ' ' && r <= '~' {
		return false
	}
	return !unicode.IsPrint(r) ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// markdownEscapes are the characters that begin something in Markdown, in the
// middle of a line or at its start.
var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `|`, `\|`, `~`, `\~`, `$`, `\$`, `#`, `\#`,
	`!`, `\!`, `<`, `&lt;`, `>`, `&gt;`, `&`, `&amp;`,
	`://`, `\://`, `www.`, `www\.`, // GitHub makes links of bare addresses
)

// escapeMarkdown makes text stand for itself within a line of Markdown, in a
// table's cell too. Addresses of pages do not become links.
func escapeMarkdown(s string) string { return markdownEscapes.Replace(Escape(s)) }

// escapeMarkdownLine does so where a line begins: there a list, a heading's
// underline or a rule could begin too.
func escapeMarkdownLine(s string) string {
	s = escapeMarkdown(s)
	if s == "" {
		return s
	}
	if strings.ContainsRune("+-=", rune(s[0])) {
		return `\` + s
	}
	rest := strings.TrimLeft(s, "0123456789")
	if digits := len(s) - len(rest); digits > 0 && rest != "" && (rest[0] == '.' || rest[0] == ')') {
		return s[:digits] + `\` + rest
	}
	return s
}

// escapeCSV makes text harmless in a spreadsheet, which takes a leading sign
// for the start of a formula. Numbers do not come here.
func escapeCSV(s string) string {
	if r, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) {
		return "'" + Escape(s)
	}
	return Escape(s)
}
