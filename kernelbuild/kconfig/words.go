package kconfig

import "strings"

// word is a part of a Kconfig line: a name, a literal, or an operator.
type word struct {
	text   string
	quoted bool
}

// operator tells whether the word joins operands.
func (w word) operator() bool {
	if w.quoted || w.text == "" {
		return false
	}
	switch w.text[0] {
	case '!', '&', '|', '=', '<', '>', '(', ')':
		return true
	default:
		return false
	}
}

// is tells whether the word is this keyword.
func (w word) is(keyword string) bool { return !w.quoted && w.text == keyword }

// words splits a line as Kconfig does: quotes with backslashes, "#" starts a
// comment, $(…) may hold anything and is one word or part of one.
//
//	default m if (CLEANCACHE || FRONTSWAP)
//	bool "64-bit kernel" if "$(ARCH)" = "x86"
//	def_bool $(success,test "$(CC)" = 'x')   # asks the shell
func words(line string) []word {
	var out []word
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case ' ', '\t', '\r', '\f', '\v':
			i++
		case '#':
			return out
		case '"', '\'':
			text, n := quoted(line[i:])
			out = append(out, word{text, true})
			i += n
		case '(', ')':
			out = append(out, word{text: line[i : i+1]})
			i++
		case '!', '&', '|', '=', '<', '>':
			n := 1
			if i+1 < len(line) && (line[i+1] == '=' && c != '=' && c != '&' && c != '|' || line[i+1] == c && (c == '&' || c == '|')) {
				n = 2
			}
			out = append(out, word{text: line[i : i+n]})
			i += n
		default:
			n := bare(line[i:])
			out = append(out, word{text: line[i : i+n]})
			i += n
		}
	}
	return out
}

// quoted reads a literal that s begins with; where the closing quote is missing it ends with the
// line. It returns the bytes that it took.
func quoted(s string) (text string, n int) {
	if end := strings.IndexByte(s[1:], s[0]); end >= 0 && !strings.ContainsAny(s[:end+1], "\\$") {
		return s[1 : end+1], end + 2
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == s[0]:
			return b.String(), i + 1
		case strings.HasPrefix(s[i:], "$("): // quotes inside belong to the call
			n := call(s[i:])
			b.WriteString(s[i : i+n])
			i += n - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), len(s)
}

// bare counts the bytes of a name, a number, or a call of a macro.
func bare(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '$' && i+1 < len(s) && s[i+1] == '(' {
			i += call(s[i:]) - 1
			continue
		}
		if strings.IndexByte(" \t\r\f\v#\"'()!&|=<>", s[i]) >= 0 {
			return max(i, 1)
		}
	}
	return len(s)
}

// call counts the bytes of $(…), with the parentheses inside it.
func call(s string) int {
	depth := 0
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// quote writes a string as Kconfig and .config do.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// expand replaces $(NAME) and $NAME by the given values. What is not given
// stays as it is: a call of a function, a name of another build.
func expand(s string, vars map[string]string) string {
	at := strings.IndexByte(s, '$')
	if at < 0 {
		return s
	}
	var b strings.Builder
	for ; at >= 0; at = strings.IndexByte(s, '$') {
		b.WriteString(s[:at])
		s = s[at:]
		name, n := variable(s)
		if v, ok := vars[name]; ok {
			b.WriteString(v)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	b.WriteString(s)
	return b.String()
}

// variable reads $(NAME) or $NAME at the start of s, and the bytes it takes.
func variable(s string) (name string, n int) {
	if strings.HasPrefix(s, "$(") {
		n = call(s)
		return strings.TrimSuffix(s[2:n], ")"), n
	}
	n = 1
	for n < len(s) && nameByte(s[n]) {
		n++
	}
	return s[1:n], n
}

// nameByte tells whether a symbol's name may hold c.
func nameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
