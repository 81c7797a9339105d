package grub

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// command notes what a command may do to variables. Programs and the built-ins
// that are not named here do nothing to them.
func (s *state) command(args []*syntax.Word, sure bool) {
	if lit := args[0].Lit(); lit == "[" || lit == "[[" {
		for _, w := range args { // a test; anywhere else "[" begins a pattern
			s.shown(w)
		}
		return
	}
	name, ok := s.plain(args[0])
	if !ok {
		s.taint(args[0], "a command whose name is not known")
		s.shown(args[0])
		return
	}
	for _, f := range s.funcs[name] {
		s.call(args[0], f)
	}
	rest := args[1:]
	if !sure || name != "echo" && name != "printf" {
		for _, w := range rest {
			s.shown(w)
		}
	}
	switch name {
	case "export":
		s.export(rest, sure)
	case "readonly":
		s.export(rest, sure)
		for _, w := range rest {
			name, _, _ := strings.Cut(s.text(w), "=")
			s.fixed[name] = true
		}
	case "unset", "read", "getopts", "local", "declare", "typeset":
		s.names(rest, "the value comes from "+name)
	case "eval", ".", "source", "let", "mapfile", "readarray", "trap":
		s.taint(args[0], name+" may set any variable")
	case "printf":
		if len(rest) > 0 && strings.HasPrefix(s.text(rest[0]), "-v") {
			s.taint(args[0], "printf -v sets a variable in some shells")
		}
	case "command", "builtin":
		if len(rest) > 0 && !strings.HasPrefix(s.text(rest[0]), "-") {
			s.command(rest, false)
		}
	case "set":
		for _, w := range rest {
			if !harmlessOption(s.text(w)) {
				s.end(args[0], "set changes how sh reads the file")
			}
		}
	case "alias":
		s.end(args[0], "alias changes how sh reads the file")
	case "return":
		switch {
		case s.inFunction > 0:
		case sure:
			s.returned = true
		default:
			s.mayReturn = true
		}
	case "exit", "exec":
		// Where a condition decides, grub-mkconfig comes to its end only if it does
		// not hold; exec with a redirection alone goes on.
		if sure && (name == "exit" || len(rest) > 0) {
			s.end(args[0], name+" ends grub-mkconfig")
		}
	default:
		// bash adds to a variable with NAME+=, sh looks for such a command.
		if v, _, ok := strings.Cut(name, "+="); ok && syntax.ValidName(v) {
			s.perhaps(v, args[0], "+= means something only to some shells")
		}
	}
}

// end notes that nothing is known of what comes next.
func (s *state) end(n syntax.Node, reason string) {
	if s.ended == nil {
		s.ended = &unknown{"…", reason, s.doc.at(int(n.Pos().Offset()))}
	}
}

// harmlessOption tells whether an argument of set leaves open how the rest of
// the file is read: -e, -u, -x and their kin do.
func harmlessOption(arg string) bool {
	if arg == "" || arg[0] != '-' && arg[0] != '+' {
		return arg != ""
	}
	return strings.Trim(arg[1:], "aefuvxhmb-") == ""
}

// export is export NAME=value …; what is no plain name makes it open.
func (s *state) export(args []*syntax.Word, sure bool) {
	for _, w := range args {
		lit, ok := w.Parts[0].(*syntax.Lit)
		if !ok {
			s.taint(w, "a name that is not known")
			continue
		}
		name, _, has := strings.Cut(lit.Value, "=")
		if strings.HasPrefix(lit.Value, "-") || !has && len(w.Parts) == 1 && syntax.ValidName(name) {
			continue
		}
		from := int(lit.Pos().Offset()) + len(name) + 1
		if !has || !syntax.ValidName(name) || from > len(s.doc.src) || s.doc.src[from-1] != '=' {
			s.taint(w, "a name that is not known")
			continue
		}
		s.assign(assignment{
			doc: s.doc, name: lit, parts: w.Parts, from: from, to: int(w.End().Offset()), sure: sure,
		}, true)
	}
}

// names notes that each variable that is named among arguments may change.
func (s *state) names(args []*syntax.Word, reason string) {
	for _, w := range args {
		text, ok := s.plain(w)
		name, _, _ := strings.Cut(text, "=")
		switch {
		case !ok:
			s.taint(w, "a name that is not known")
		case syntax.ValidName(name):
			s.perhaps(name, w, reason)
		}
	}
}

// call runs a function's body, of which nothing is sure. Functions that call
// each other for ever are run so many times.
func (s *state) call(at *syntax.Word, f function) {
	if s.calls++; s.calls > 200 {
		s.taint(at, "a function that calls itself")
		return
	}
	caller := s.doc
	s.doc = f.doc
	s.inFunction++
	s.run(f.body, false)
	s.inFunction--
	s.doc = caller
}

// plain is a word without expansions, as the command gets it.
func (s *state) plain(w *syntax.Word) (string, bool) {
	e := evaluator{state: s, argument: true}
	for i, p := range w.Parts {
		e.part(p, i, len(w.Parts), 0)
	}
	b := make([]byte, len(e.out))
	for i, c := range e.out {
		if c.unknown != nil {
			return "", false
		}
		b[i] = c.b
	}
	return string(b), true
}

// text is a word, or "" where it is not plain.
func (s *state) text(w *syntax.Word) string {
	t, _ := s.plain(w)
	return t
}

// sideEffects notes assignments within words: ${NAME:=value} and $((NAME=1)).
// What is in $(…) stays there.
func (s *state) sideEffects(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.Subshell:
			return false
		case *syntax.ParamExp:
			if n.Exp != nil && n.Param != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
				s.perhaps(n.Param.Value, n, "it is assigned only where it has no value")
			}
		case *syntax.BinaryArithm:
			if n.Op >= syntax.Assgn && n.Op <= syntax.PowAssgn {
				s.arithmetic(n.X)
			}
		case *syntax.UnaryArithm:
			if n.Op == syntax.Inc || n.Op == syntax.Dec {
				s.arithmetic(n.X)
			}
		}
		return true
	})
}

func (s *state) arithmetic(x syntax.ArithmExpr) {
	if w, ok := x.(*syntax.Word); ok {
		s.names([]*syntax.Word{w}, "a sum sets it")
		return
	}
	s.taint(x, "a sum sets a variable")
}

// maxReads bounds what shown looks at.
const maxReads = 16 << 20

// shown notes the values of the variables that a part of the file is given and
// that it does not simply copy.
func (s *state) shown(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		pe, ok := n.(*syntax.ParamExp)
		if !ok || pe.Param == nil {
			return true
		}
		v := s.at(pe.Param.Value)
		if s.readBytes += len(v.value) + 1; s.readBytes > maxReads {
			s.end(pe, "the files read variables more often than can be followed")
			return false
		}
		_, _ = s.reads.Write(append([]byte(pe.Param.Value), 0)) // a hash never fails
		_, _ = s.reads.Write(append(identity(v.value), 0))
		return true
	})
}
