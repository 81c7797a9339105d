package grub

import (
	"bytes"
	"fmt"
	"strings"
)

// token is a word of GRUB's script language, or one of ";", "{" and "}", which
// are no words when they stand alone. A line end is ";".
type token struct {
	text string
	word bool
	// bare is false where a part of the word was quoted: keywords are bare.
	bare bool
	line int
}

// tokens splits a script (grub-core/script/yylex.l, GRUB 2.02 to 2.12).
// Variables are left as they stand: "${xen_rm_opts}".
func tokens(src []byte) ([]token, error) {
	if before, _, found := bytes.Cut(src, []byte{0}); found {
		return nil, fmt.Errorf("read grub.cfg: line %d: a NUL byte", 1+bytes.Count(before, []byte("\n")))
	}
	l := lexer{src: src, line: 1}
	for l.at < len(src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.end()
	return l.out, nil
}

type lexer struct {
	src  []byte
	at   int
	line int
	out  []token
	word []byte
	in   bool // a word has begun
	bare bool
	from int // its line
}

func (l *lexer) begin() {
	if !l.in {
		l.in, l.bare, l.from = true, true, l.line
	}
}

func (l *lexer) end() {
	if l.in {
		l.out = append(l.out, token{string(l.word), true, l.bare, l.from})
	}
	l.word, l.in = nil, false
}

// next reads one byte, or one quotation.
func (l *lexer) next() error {
	b := l.src[l.at]
	switch b {
	case ' ', '\t', '\r':
		l.end()
	case '\n', ';', '{', '}', '|', '&', '<', '>':
		l.end()
		text := string(rune(b))
		if text != "{" && text != "}" {
			text = ";"
		}
		l.out = append(l.out, token{text, false, false, l.line})
		if b == '\n' {
			l.line++
		}
	case '#':
		if l.in {
			l.word = append(l.word, b)
			break
		}
		if i := bytes.IndexByte(l.src[l.at:], '\n'); i >= 0 {
			l.at += i - 1
		} else {
			l.at = len(l.src)
		}
	case '\\':
		if l.at++; l.at < len(l.src) && l.src[l.at] == '\n' {
			l.line++
		} else if l.at < len(l.src) {
			l.begin()
			l.word = append(l.word, l.src[l.at])
		}
	case '\'', '"':
		l.begin()
		l.bare = false
		return l.quotation(b)
	case '$':
		l.begin()
		if end := bytes.IndexByte(l.src[l.at:], '}'); end > 0 && bytes.HasPrefix(l.src[l.at:], []byte("${")) &&
			bytes.IndexByte(l.src[l.at:l.at+end], '\n') < 0 {
			l.word = append(l.word, l.src[l.at:l.at+end+1]...)
			l.at += end
			break
		}
		l.word = append(l.word, b)
	default:
		l.begin()
		l.word = append(l.word, b)
	}
	l.at++
	return nil
}

// quotation reads up to the closing quote. In double quotes a backslash means
// something before "$", itself, the quote and a line end.
func (l *lexer) quotation(quote byte) error {
	begun := l.line
	for l.at++; l.at < len(l.src); l.at++ {
		b := l.src[l.at]
		if b == '\n' {
			l.line++
		}
		switch {
		case b == quote:
			l.at++
			return nil
		case b == '\\' && quote == '"' && l.at+1 < len(l.src) && strings.IndexByte("$\\\"\n", l.src[l.at+1]) >= 0:
			l.at++
			if l.src[l.at] == '\n' {
				l.line++
				continue
			}
			l.word = append(l.word, l.src[l.at])
		default:
			l.word = append(l.word, b)
		}
	}
	return fmt.Errorf("read grub.cfg: line %d: the quotation is not closed", begun)
}
