// Package xlconfig walks the strings of `xl list -l` and puts others in their
// place, without a change to anything else. A listing that was cut short is
// walked as far as it goes.
package xlconfig

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Replace says what becomes of a string. Keys are the names it stands under,
// the nearest last; values of a list have the list's own keys.
type Replace func(keys []string, value string) string

// Rewrite calls f for each string value and reports whether the text was in one
// of the two forms: JSON (xl 4.2 and later) or SXP (before, and by
// configuration).
func Rewrite(b []byte, f Replace) ([]byte, bool) {
	switch start := bytes.TrimLeft(b, " \t\r\n"); {
	case len(start) == 0:
		return b, true
	case start[0] == '[' || start[0] == '{':
		return rewriteJSON(b, f), true
	case start[0] == '(':
		return rewriteSXP(b, f), true
	default:
		return b, false
	}
}

// rewriteJSON keeps every byte outside the strings that f changes. From Xen
// 4.12 (xl list -l):
//
//	[
//	    {
//	        "domid": 1,
//	        "config": {
//	            "c_info": {
//	                "type": "pv",
//	                "name": "web1",
func rewriteJSON(b []byte, f Replace) []byte {
	var out bytes.Buffer
	out.Grow(len(b))
	// One level for each open bracket: the key it stands under, and the key
	// that was read last in it.
	levels := []level{{}}
	for len(b) > 0 {
		top := &levels[len(levels)-1]
		c := b[0]
		if c != '"' {
			switch c {
			case '{', '[':
				levels = append(levels, level{list: c == '['})
			case '}', ']':
				if len(levels) > 1 {
					levels = levels[:len(levels)-1]
				}
			}
			out.WriteByte(c)
			b = b[1:]
			continue
		}
		literal, closed := firstString(b)
		b = b[len(literal):]
		if rest := bytes.TrimLeft(b, " \t\r\n"); !top.list && len(rest) > 0 && rest[0] == ':' {
			top.key, _ = decode(literal, closed)
			out.Write(literal)
			continue
		}
		value, valid := decode(literal, closed)
		changed := f(keysOf(levels), value)
		switch {
		case changed == value:
			out.Write(literal)
		case valid:
			out.Write(encode(changed))
		case closed:
			out.WriteString(`"` + changed + `"`)
		default:
			out.WriteString(`"` + changed)
		}
	}
	return out.Bytes()
}

type level struct {
	key  string
	list bool
}

func keysOf(levels []level) []string {
	keys := make([]string, 0, len(levels))
	for _, l := range levels {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// firstString is the literal that b starts with, which the end of b may cut.
func firstString(b []byte) (literal []byte, closed bool) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i+1], true
		}
	}
	return b, false
}

// decode reads a literal, and gives its raw inside where it is not JSON.
func decode(literal []byte, closed bool) (s string, valid bool) {
	switch {
	case json.Unmarshal(literal, &s) == nil:
		return s, true
	case closed:
		return string(literal[1 : len(literal)-1]), false
	default:
		return string(literal[1:]), false
	}
}

func encode(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// rewriteSXP takes the lines that hold a key and its value. From Xen 4.1
// (tools/libxl/xl_cmdimpl.c, printf_info; values stand unquoted):
//
//	(domain
//		(domid 1)
//		(name web1)
//		(image
//			(linux 0)
//				(cmdline console=hvc0 root=/dev/xvda1)
func rewriteSXP(b []byte, f Replace) []byte {
	var out bytes.Buffer
	out.Grow(len(b))
	for line := range strings.Lines(string(b)) {
		text := strings.TrimRight(line, "\r\n")
		start := strings.IndexByte(text, '(')
		if start < 0 {
			out.WriteString(line)
			continue
		}
		key, value, ok := strings.Cut(text[start+1:], " ")
		if !ok || strings.ContainsAny(key, "()") {
			out.WriteString(line)
			continue
		}
		value, closed := strings.CutSuffix(value, ")")
		out.WriteString(text[:start+1] + key + " " + f([]string{key}, value))
		if closed {
			out.WriteByte(')')
		}
		out.WriteString(line[len(text):])
	}
	return out.Bytes()
}
