package grub

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// lineMark ends a line that AddWord put into /etc/default/grub, so that
// RemoveWord can take it away again.
const lineMark = " # added by xtm"

// dropInHead begins a new DropIn.
const dropInHead = "# Written by xtm, which removes this file with: xtm disable-tmem\n"

// insert puts a word at the end of the deciding assignment: inside the quotes
// where the value ends with a quotation, and behind an escaped blank where it
// does not, so that the same bytes can be taken away again.
func (c *Config) insert(v *variable, text string) (*Config, error) {
	a := last(v.assigns)
	at, blank := a.to, `\ `
	if n := len(a.parts); n > 0 {
		switch p := a.parts[n-1].(type) {
		case *syntax.DblQuoted:
			if n == 1 || len(p.Parts) > 0 {
				at, blank = int(p.Right.Offset()), " "
			}
		case *syntax.SglQuoted:
			if n == 1 || p.Value != "" {
				at, blank = int(p.Right.Offset()), " "
			}
		}
	}
	if len(v.value) == 0 {
		blank = ""
	}
	return c.replace(cuts{a.doc: {{at, at, blank + text}}})
}

// appendLine adds a line to a file and leaves its last line end, or the lack of
// one, as it was.
func (c *Config) appendLine(d *document, line string) (*Config, error) {
	text := line + "\n"
	if len(d.src) > 0 && !bytes.HasSuffix(d.src, []byte("\n")) {
		text = "\n" + line
	}
	edited := *c
	if !slices.Contains(c.docs, d) {
		edited.docs = append(slices.Clone(c.docs), d)
		slices.SortFunc(edited.docs[1:], func(a, b *document) int { return strings.Compare(path.Base(a.path), path.Base(b.path)) })
		edited.gone = slices.DeleteFunc(slices.Clone(c.gone), func(g *document) bool { return g.path == d.path })
	}
	return edited.replace(cuts{d: {{len(d.src), len(d.src), text}}})
}

// ownDropIn is the DropIn as it is, or a new one.
func (c *Config) ownDropIn() *document {
	for _, d := range c.docs {
		if d.path == DropIn {
			return d
		}
	}
	d := &document{path: DropIn, src: []byte(dropInHead)}
	for _, g := range c.gone {
		d.was = g.was
	}
	return d
}

// replace returns the settings with bytes of their files replaced.
func (c *Config) replace(splices cuts) (*Config, error) {
	edited := *c
	edited.docs = slices.Clone(c.docs)
	for i, d := range edited.docs {
		s, ok := splices[d]
		if !ok {
			continue
		}
		edited.docs[i] = d.spliced(s)
		if err := edited.docs[i].parse(); err != nil {
			return nil, err
		}
	}
	edited.follow()
	return &edited, nil
}

// cuts are the replacements in each file.
type cuts map[*document][]splice

// words cuts words out of a value, each with the blank before it or, for the
// first, behind it.
func (c cuts) words(value []char, ws []word, cut func(word) bool) {
	for _, w := range ws {
		if !cut(w) {
			continue
		}
		from, to := w.from, w.to
		switch {
		case from > 0:
			from--
		case to < len(value):
			to++
		}
		for _, ch := range value[from:to] {
			c[ch.doc] = append(c[ch.doc], splice{ch.from, ch.to, ""})
		}
	}
}

// ours tells whether AddWord made the line of an assignment.
func (a assignment) ours() bool {
	return a.doc.path == DropIn || a.tail() == lineMark
}

// tail is what follows an assignment on its line.
func (a assignment) tail() string {
	tail, _, _ := bytes.Cut(a.doc.src[a.to:], []byte("\n"))
	return string(tail)
}

// empty tells whether nothing is left of what AddWord put into the line.
func (a assignment) empty() bool {
	rest := string(a.doc.src[a.from:a.to])
	return rest == `""` || a.doc.path == DropIn && rest == `"${`+a.name.Value+`}"`
}

// withoutEmptyLines takes away the lines that AddWord made for a variable when
// the last word in them has gone, and DropIn itself when nothing is left in it.
func (c *Config) withoutEmptyLines(name string) (*Config, error) {
	gone := cuts{}
	for _, a := range c.state.at(name).assigns {
		if !a.ours() || !a.empty() || a.doc.path == DropIn && a.tail() != "" {
			continue
		}
		src := a.doc.src
		from, to := int(a.name.Pos().Offset()), a.to+len(a.tail())
		switch {
		case to < len(src):
			to++
		case from > 0:
			from-- // the last line has no end: what is before it had none either
		}
		gone[a.doc] = append(gone[a.doc], splice{from, to, ""})
	}
	edited, err := c.replace(gone)
	if err != nil {
		return nil, err
	}
	for i, d := range edited.docs {
		if d.path == DropIn && len(d.file.Stmts) == 0 && len(gone) > 0 {
			edited.docs = slices.Delete(edited.docs, i, i+1)
			edited.gone = append(slices.Clone(edited.gone), &document{path: DropIn, was: d.was})
			edited.follow()
			break
		}
	}
	return edited, nil
}
