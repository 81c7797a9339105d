package grub

import "strings"

// word is one word of a command line in a variable: value[from:to].
type word struct {
	text string // as GRUB passes it on, without GRUB's quotes
	// sure is false where a part of it is known only to sh.
	sure     bool
	from, to int
}

// words splits the value of a variable such as GRUB_CMDLINE_XEN_DEFAULT. The
// scripts in /etc/grub.d paste it into grub.cfg as it is, so that it is split by
// GRUB's script language (grub-core/script/yylex.l, GRUB 2.02 to 2.12): both
// quotes and the backslash keep blanks together. A value that would end the
// command there is an error, which says why.
func words(value []char) ([]word, *unusable) {
	var out []word
	var text []byte
	in, opened, start, sure := byte(0), 0, -1, true
	end := func(at int) {
		if start >= 0 {
			out = append(out, word{string(text), sure, start, at})
		}
		text, start, sure = nil, -1, true
	}
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c.unknown != nil {
			if start < 0 {
				start = i
			}
			sure = false
			continue
		}
		if in == 0 && (c.b == ' ' || c.b == '\t') {
			end(i)
			continue
		}
		if c.b == '\n' || in == 0 && (strings.IndexByte("{}|&;<>", c.b) >= 0 || c.b == '#' && start < 0) {
			return nil, &unusable{i, "GRUB ends a command at " + quoteByte(c.b) + ", which the value has in it"}
		}
		if start < 0 {
			start = i
		}
		switch {
		case in == 0 && (c.b == '"' || c.b == '\''):
			in, opened = c.b, i
		case in != 0 && c.b == in:
			in = 0
		case c.b == '\\' && in != '\'' && i+1 < len(value) && value[i+1].unknown == nil &&
			(in == 0 || strings.IndexByte("$\"\\", value[i+1].b) >= 0) && value[i+1].b != '\n':
			i++
			text = append(text, value[i].b)
		case c.b == '\\' && in == 0:
			return nil, &unusable{i, "the value ends with a backslash, which GRUB takes as a continued line"}
		default:
			text = append(text, c.b)
		}
	}
	if in != 0 {
		return nil, &unusable{opened, "a quotation of GRUB's is not closed"}
	}
	end(len(value))
	return out, nil
}

// unusable is why a value is no part of a command line.
type unusable struct {
	at  int
	why string
}

func quoteByte(b byte) string {
	if b == '\n' {
		return "the end of a line"
	}
	return `"` + string(rune(b)) + `"`
}
