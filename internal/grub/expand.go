package grub

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// evaluator turns the parts of a word into what sh makes of them, from the
// bytes of the source: the parser's own texts leave some of them out.
type evaluator struct {
	state *state
	// argument is true for what a command gets: an unquoted expansion is split
	// there, and "*" may become file names.
	argument bool
	out      []char
}

func (e *evaluator) add(b byte, from, to int) {
	e.out = append(e.out, char{b: b, doc: e.state.doc, from: from, to: to})
}

func (e *evaluator) unknown(n syntax.Node, reason string) {
	d := e.state.doc
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	u := &unknown{string(d.src[min(from, len(d.src)):min(to, len(d.src))]), reason, d.at(from)}
	e.out = append(e.out, char{unknown: u, doc: d, from: from, to: to})
}

// part adds the i-th of n parts; bytes before from belong to the name.
func (e *evaluator) part(p syntax.WordPart, i, n, from int) {
	switch p := p.(type) {
	case *syntax.Lit:
		e.literal(p, max(from, int(p.Pos().Offset())), i == 0, i == n-1)
	case *syntax.SglQuoted:
		if p.Dollar {
			e.unknown(p, "a quotation of another shell")
			return
		}
		for at := int(p.Left.Offset()) + 1; at < int(p.Right.Offset()); at++ {
			e.add(e.state.doc.src[at], at, at+1)
		}
	case *syntax.DblQuoted:
		if p.Dollar {
			e.unknown(p, "a quotation of another shell")
			return
		}
		for j, q := range p.Parts {
			if l, ok := q.(*syntax.Lit); ok {
				e.quoted(l, j == len(p.Parts)-1)
			} else {
				e.expansion(q, true)
			}
		}
	default:
		e.expansion(p, false)
	}
}

// literal is text outside quotes: a backslash makes the next byte plain and
// removes a line end.
func (e *evaluator) literal(l *syntax.Lit, from int, first, last bool) {
	src := e.state.doc.src
	to := int(l.End().Offset())
	if first && from < to && src[from] == '~' || strings.Contains(string(src[from:to]), ":~") {
		e.unknown(l, "~ stands for a home folder")
		return
	}
	for at := from; at < to; at++ {
		switch b := src[at]; {
		case b == '\\' && at+1 < len(src) && src[at+1] == '\n':
			at++
		case b == '\\' && at+1 < len(src):
			e.add(src[at+1], at, at+2)
			at++
		case e.argument && strings.IndexByte("*?[", b) >= 0:
			e.unknown(l, "a pattern of file names")
			return
		case b == '$' && at+1 == to && !last:
			// $'…', $"…" and $[…] mean something to some shells.
			e.unknown(l, "a quotation of another shell")
			return
		default:
			e.add(b, at, at+1)
		}
	}
}

// quoted is text inside double quotes: a backslash means something only before
// these five.
func (e *evaluator) quoted(l *syntax.Lit, last bool) {
	src := e.state.doc.src
	to := int(l.End().Offset())
	for at := int(l.Pos().Offset()); at < to; at++ {
		switch b := src[at]; {
		case b == '\\' && at+1 < len(src) && src[at+1] == '\n':
			at++
		case b == '\\' && at+1 < len(src) && strings.IndexByte("$`\"\\", src[at+1]) >= 0:
			e.add(src[at+1], at, at+2)
			at++
		case b == '$' && at+1 == to && !last:
			e.unknown(l, "a quotation of another shell")
			return
		default:
			e.add(b, at, at+1)
		}
	}
}

// expansion copies the value of a variable that is known; the copies stay bytes
// of the assignment that made them.
func (e *evaluator) expansion(p syntax.WordPart, quoted bool) {
	pe, ok := p.(*syntax.ParamExp)
	if !ok {
		e.unknown(p, "a command or a sum gives the value")
		e.state.shown(p)
		return
	}
	if !simple(pe) || e.argument && !quoted {
		e.unknown(p, "the shell changes a value here")
		e.state.shown(p)
		return
	}
	v, ok := e.state.vars[pe.Param.Value]
	if !ok {
		e.unknown(p, "the environment gives the value of "+pe.Param.Value)
		return
	}
	e.out = append(e.out, v.value...)
	if len(e.out) > maxSource {
		e.out = e.out[:maxSource+1]
	}
}

// simple tells $NAME and ${NAME} from everything that does more.
func simple(p *syntax.ParamExp) bool {
	return p.Param != nil && syntax.ValidName(p.Param.Value) && p.Flags == nil && p.NestedParam == nil &&
		!p.Excl && !p.Length && !p.Width && !p.IsSet && p.Index == nil && len(p.Modifiers) == 0 &&
		p.Slice == nil && p.Repl == nil && p.Names == 0 && p.Exp == nil
}
