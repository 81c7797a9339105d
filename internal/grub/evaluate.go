package grub

import (
	"bytes"
	"fmt"
	"hash"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// char is one byte of a variable's value, with the bytes of the source that
// make it. Where nobody can know the value without running the file, one char
// stands for all that sh would put there.
type char struct {
	b        byte
	unknown  *unknown
	doc      *document
	from, to int
}

// unknown is a part of a value that is known only to sh.
type unknown struct {
	source string // as it is written
	reason string
	where  Where
}

// variable is what the files have said of a variable so far.
type variable struct {
	value []char
	// assigns are all assignments, the deciding one last.
	assigns []assignment
}

// assignment is NAME=value, or an argument NAME=value of export.
type assignment struct {
	doc   *document
	name  *syntax.Lit
	parts []syntax.WordPart // of the value; for export the first begins within a Lit
	from  int               // the first byte after "="
	to    int
	// sure is false where a condition decides whether it is made.
	sure bool
	// value is what it assigns, where it is made.
	value []char
}

func (a assignment) where() Where { return a.doc.at(int(a.name.Pos().Offset())) }

// function is a function's body, in the file that defines it.
type function struct {
	doc  *document
	body *syntax.Stmt
}

// state is the outcome of sourcing files one after the other.
type state struct {
	vars map[string]*variable
	// funcs are all definitions of a function: a condition may decide which holds.
	funcs map[string][]function
	// tainted is why any variable may have any value.
	tainted *unknown
	// fixed are readonly variables: sh ends where one is assigned again.
	fixed map[string]bool
	// ended is why nothing more is read.
	ended *unknown
	// reads is what commands and conditions have been shown of variables: where
	// it is the same for two sets of files, they do the same.
	reads     hash.Hash64
	readBytes int
	calls     int // of functions
	// Of the document that is being read:
	doc        *document
	returned   bool // nothing more of it is read
	mayReturn  bool // perhaps nothing more of it is read
	inFunction int
}

func newState() *state {
	return &state{vars: map[string]*variable{}, funcs: map[string][]function{}, fixed: map[string]bool{}, reads: fnv.New64a()}
}

// source runs one file, so far as it can be told what sh would do.
func (s *state) source(d *document) {
	s.doc, s.returned, s.mayReturn = d, false, false
	s.stmts(d.file.Stmts, true)
}

// stmts runs statements; sure is false where a condition decides.
func (s *state) stmts(list []*syntax.Stmt, sure bool) {
	for _, st := range list {
		if s.returned || s.ended != nil {
			return
		}
		s.run(st, sure)
	}
}

func (s *state) run(st *syntax.Stmt, sure bool) {
	if st == nil {
		return
	}
	sure = sure && !st.Background && len(st.Redirs) == 0 && !s.mayReturn
	for _, r := range st.Redirs {
		s.sideEffects(r)
		s.shown(r)
	}
	switch c := st.Cmd.(type) {
	case nil:
	case *syntax.CallExpr:
		s.simple(c, sure)
	case *syntax.Block:
		s.stmts(c.Stmts, sure)
	case *syntax.Subshell:
		s.shown(c) // nothing comes out of it but its status
	case *syntax.IfClause:
		for ; c != nil; c = c.Else {
			s.stmts(c.Cond, false)
			s.stmts(c.Then, false)
		}
	case *syntax.WhileClause:
		s.stmts(c.Cond, false)
		s.stmts(c.Do, false)
	case *syntax.ForClause:
		if w, ok := c.Loop.(*syntax.WordIter); ok {
			s.sideEffects(w)
			s.shown(w)
			s.perhaps(w.Name.Value, w, "a loop variable")
		} else {
			s.taint(c, "a loop of another shell")
		}
		s.stmts(c.Do, false)
	case *syntax.CaseClause:
		s.sideEffects(c.Word)
		s.shown(c.Word)
		for _, item := range c.Items {
			for _, p := range item.Patterns {
				s.sideEffects(p)
				s.shown(p)
			}
			s.stmts(item.Stmts, false)
		}
	case *syntax.BinaryCmd:
		s.run(c.X, sure && c.Op != syntax.Pipe && c.Op != syntax.PipeAll)
		s.run(c.Y, false)
	case *syntax.FuncDecl:
		s.funcs[c.Name.Value] = append(s.funcs[c.Name.Value], function{s.doc, c.Body})
	default:
		s.taint(c, "a command of another shell")
	}
}

// simple runs assignments, a command, or both.
func (s *state) simple(c *syntax.CallExpr, sure bool) {
	for _, w := range c.Args {
		s.sideEffects(w)
	}
	for _, a := range c.Assigns {
		if a.Value != nil {
			s.sideEffects(a.Value)
			if !sure || len(c.Args) > 0 {
				s.shown(a.Value)
			}
		}
		as := assignment{
			doc: s.doc, name: a.Name, from: int(a.Name.End().Offset()) + 1,
			// Before a command it lasts only where the command is a special built-in.
			sure: sure && len(c.Args) == 0,
		}
		as.to = as.from
		if a.Value != nil {
			as.parts, as.to = a.Value.Parts, int(a.Value.End().Offset())
		}
		s.assign(as, false)
	}
	if len(c.Args) > 0 {
		s.command(c.Args, sure)
	}
}

// assign makes an assignment; as an argument it is open to splitting and
// file-name expansion.
func (s *state) assign(a assignment, argument bool) {
	name := a.name.Value
	if argument {
		name, _, _ = strings.Cut(name, "=")
	}
	if s.fixed[name] {
		s.end(a.name, name+" is readonly, and sh ends where it is assigned again")
		return
	}
	v := s.at(name)
	a.value = s.evaluate(a, argument)
	value := a.value
	if !a.sure {
		value = v.unsure(name, "it is assigned only under a condition", a.where())
	}
	s.vars[name] = &variable{value, append(v.assigns, a)}
}

// at is a variable; where no file has said anything of it, the environment
// decides.
func (s *state) at(name string) *variable {
	if v, ok := s.vars[name]; ok {
		return v
	}
	if s.tainted != nil {
		return &variable{value: []char{{unknown: s.tainted}}}
	}
	return &variable{}
}

// perhaps notes that a variable may have been given another value.
func (s *state) perhaps(name string, n syntax.Node, reason string) {
	v := s.at(name)
	s.vars[name] = &variable{v.unsure(name, reason, s.doc.at(int(n.Pos().Offset()))), v.assigns}
}

// taint notes that any variable may have been given another value.
func (s *state) taint(n syntax.Node, reason string) {
	u := &unknown{"…", reason, s.doc.at(int(n.Pos().Offset()))}
	s.tainted = u
	for name, v := range s.vars {
		s.vars[name] = &variable{v.unsure(name, reason, u.where), v.assigns}
	}
}

// unsure is a value that may be another one now, but may be the old one too.
func (v *variable) unsure(name, reason string, where Where) []char {
	h := fnv.New64a()
	_, _ = h.Write(identity(v.value)) // a hash never fails
	return []char{{unknown: &unknown{fmt.Sprintf("%s=…%x", name, h.Sum64()), reason, where}}}
}

// identity is equal for equal values.
func identity(value []char) []byte {
	b := make([]byte, 0, len(value))
	for _, c := range value {
		if c.unknown != nil {
			b = append(append(append(b, 0), c.unknown.source...), 0)
		} else {
			b = append(b, c.b)
		}
	}
	return b
}

// evaluate works out an assignment's value.
func (s *state) evaluate(a assignment, argument bool) []char {
	e := evaluator{state: s, argument: argument}
	for i, p := range a.parts {
		e.part(p, i, len(a.parts), a.from)
	}
	if len(e.out) > maxSource {
		return []char{{unknown: &unknown{a.name.Value + "=…", "the value is longer than 256 KiB", a.where()}}}
	}
	return e.out
}

// othersSame tells whether all variables but one are the same in two outcomes,
// and names the first that is not.
func othersSame(a, b *state, but string) (string, bool) {
	names := slices.Sorted(maps.Keys(a.vars))
	for name := range b.vars {
		if _, ok := a.vars[name]; !ok && name != but {
			return name, false
		}
	}
	for _, name := range names {
		v, ok := b.vars[name]
		if name != but && (!ok || !bytes.Equal(identity(a.vars[name].value), identity(v.value))) {
			return name, false
		}
	}
	if a.reads.Sum64() != b.reads.Sum64() {
		return "what a command or a condition is shown of " + but, false
	}
	return "", (a.tainted == nil) == (b.tainted == nil) && (a.ended == nil) == (b.ended == nil)
}
