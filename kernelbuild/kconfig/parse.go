package kconfig

import "strings"

// parser reads one file.
//
// A sample, in the form that drivers/xen/Kconfig of Linux 4.19 has:
//
//	menu "Xen driver support"
//		depends on XEN
//
//	config XEN_TMEM
//		tristate
//		depends on !ARM && !ARM64
//		default m if (CLEANCACHE || FRONTSWAP)
//		help
//		  Text that ends where the indentation does.
//
//	endmenu
type parser struct {
	*scanner
	name  string
	pos   Pos
	stack []*context // what is open, outermost first
	// Of the attributes' lines: the entry that they belong to. At most one is
	// set; none after "comment", whose attributes matter to no symbol.
	def    *Definition
	symbol *Symbol
	group  *context // a menu or choice just opened
}

func (p *parser) top() *context { return p.stack[len(p.stack)-1] }

// parse reads the text line by line; help texts are passed over.
func (p *parser) parse(text string) error {
	number, help := 0, -1 // help is the indentation of a help text, 0 before its first line
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		number++
		if help >= 0 {
			switch in := indent(line); {
			case in < 0:
				text = rest
				continue
			case in > 0 && (help == 0 || in >= help):
				if help == 0 {
					help = in
				}
				text = rest
				continue
			}
			help = -1
		}
		p.pos = Pos{p.name, number}
		for strings.HasSuffix(line, "\\") && rest != "" && len(line) < maxLine {
			var more string
			more, rest, _ = strings.Cut(rest, "\n")
			line = line[:len(line)-1] + " " + more
			number++
		}
		text = rest
		if len(line) > maxLine {
			p.odd(p.pos, line)
			continue
		}
		isHelp, err := p.line(line)
		if err != nil {
			return err
		}
		if isHelp {
			help = 0
		}
	}
	return nil
}

// indent counts columns before the first letter; -1 where there is none.
func indent(line string) int {
	n := 0
	for i := range len(line) {
		switch line[i] {
		case ' ':
			n++
		case '\t':
			n = n&^7 + 8
		case '\r', '\f':
		default:
			return n
		}
	}
	return -1
}

// line reads one line outside help texts, and tells whether one starts after it.
func (p *parser) line(line string) (help bool, err error) {
	w := words(line)
	if len(w) == 0 {
		return false, nil
	}
	for i := range w {
		w[i].text = expand(w[i].text, p.vars)
	}
	if w[0].is("help") || w[0].is("---help---") {
		return true, nil
	}
	if handled, err := p.structure(w); handled || err != nil {
		return false, err
	}
	if !p.attribute(w) && !p.assignment(line) {
		p.odd(p.pos, strings.TrimSpace(line))
	}
	return false, nil
}

// structure reads the lines that open and close entries.
func (p *parser) structure(w []word) (bool, error) {
	if w[0].quoted {
		return false, nil
	}
	key, rest := w[0].text, w[1:]
	switch key {
	case "config", "menuconfig":
		if len(rest) == 0 || !symbolName(rest[0].text) {
			return false, nil
		}
		return true, p.config(rest[0].text)
	case "mainmenu", "comment", "endmenu", "endif", "endchoice":
		p.close(key)
	case "menu":
		p.push(&context{kind: "menu"})
		p.group = p.top()
	case "choice":
		p.push(&context{kind: "choice", choice: &Choice{Pos: p.pos}})
		p.group = p.top()
	case "if":
		e, ok := condition(w)
		if !ok {
			return false, nil
		}
		p.push(&context{kind: "if", depends: e})
	case "source", "rsource", "osource", "orsource":
		if len(rest) == 0 {
			return false, nil
		}
		p.close("")
		return true, p.include(key, rest[0].text)
	default:
		return false, nil
	}
	return true, nil
}

// config begins an entry.
func (p *parser) config(name string) error {
	sym, err := p.scanner.symbol(name)
	if err != nil {
		return err
	}
	in := p.top()
	p.def, p.symbol, p.group = &Definition{Pos: p.pos, Depends: in.depends, Visible: in.visible, Choice: in.choice}, sym, nil
	sym.Defs = append(sym.Defs, p.def)
	p.defs = append(p.defs, definition{sym, p.def})
	return nil
}

// push opens a block inside the one that is open, whose conditions it inherits.
func (p *parser) push(c *context) {
	out := p.top()
	c.depends, c.visible = and(out.depends, c.depends), and(out.visible, c.visible)
	if c.choice == nil {
		c.choice = out.choice
	} else {
		c.choice.Depends, c.choice.Visible = c.depends, c.visible
	}
	p.def, p.symbol, p.group = nil, nil, nil
	p.stack = append(p.stack, c)
}

// close ends the current entry, and with an "end" line the innermost block of
// that kind that this file opened.
func (p *parser) close(key string) {
	p.def, p.symbol, p.group = nil, nil, nil
	kind := strings.TrimPrefix(key, "end")
	for i := len(p.stack) - 1; i > 0 && kind != key; i-- {
		if p.stack[i].kind == kind {
			p.stack = p.stack[:i]
			return
		}
	}
}

// assignment reads a macro of the form "NAME := text". Only plain text is kept:
// functions are the kernel's own business.
func (p *parser) assignment(line string) bool {
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(name), ":+"))
	if !ok || name == "" || strings.ContainsAny(name, " \t\"'") {
		// A call that stands alone, such as $(error-if,…), sets nothing.
		return strings.HasPrefix(line, "$(")
	}
	if value = expand(strings.TrimSpace(value), p.vars); !macro(value) && len(p.vars) < maxNotes {
		if _, given := p.vars[name]; !given {
			p.vars[name] = value
		}
	}
	return true
}

// symbolName tells whether a word can name a symbol.
func symbolName(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return s != ""
}
