// Package kconfig reads what a kernel can be built with: the Kconfig files of a
// source tree, 3.13 to 7.x, and the .config of a build. It explains why a wish
// cannot hold; the kernel's own "make olddefconfig" has the last word.
package kconfig

import "strconv"

// Tree is what the Kconfig files of one source tree define for one
// architecture.
type Tree struct {
	// Symbols holds every symbol that the tree defines, by its name without
	// CONFIG_.
	Symbols map[string]*Symbol
	// Files counts the files read, Bytes their sizes.
	Files int
	Bytes int
	// Missing are files that a "source" line names and that cannot be read: the
	// symbols in them are unknown. A whole tree has none.
	Missing []Line
	// Odd are lines that were not understood, the first 100 of OddCount.
	Odd      []Line
	OddCount int
	// modules is the symbol that allows m, MODULES in every kernel so far.
	modules string
}

// Line is a line of a Kconfig file.
type Line struct {
	Pos  Pos
	Text string
}

// Pos is a place in the tree: "drivers/xen/Kconfig", 13.
type Pos struct {
	File string
	Line int
}

// String is the place as compilers write it.
func (p Pos) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Symbol is an option; it may be defined in several places.
type Symbol struct {
	Name string
	Type Type
	Defs []*Definition
	// SelectedBy and ImpliedBy are the symbols that raise this one, unless its
	// dependencies forbid (imply) or even against them (select).
	SelectedBy []Link
	ImpliedBy  []Link
}

// Prompted tells whether a user may set the symbol at all, in some place and
// under some condition. What is not prompted is computed.
func (s *Symbol) Prompted() bool {
	for _, d := range s.Defs {
		if len(d.Prompts) > 0 {
			return true
		}
	}
	return false
}

// Pos is where the symbol is defined: with a prompt, else first.
func (s *Symbol) Pos() Pos {
	for _, d := range s.Defs {
		if len(d.Prompts) > 0 {
			return d.Pos
		}
	}
	if len(s.Defs) == 0 {
		return Pos{}
	}
	return s.Defs[0].Pos
}

// Definition is one "config" or "menuconfig" entry.
type Definition struct {
	Pos
	// Depends joins the entry's own dependencies with those of the menus and
	// ifs around it; nil is "always".
	Depends *Expr
	// Visible is the "visible if" of the menus around it.
	Visible  *Expr
	Prompts  []Prompt
	Defaults []Default
	// Choice is the group of which this is a member, or nil.
	Choice *Choice
	links  []pendingLink
}

// Prompt is the question that lets a user set a symbol.
type Prompt struct {
	Text string
	If   *Expr
}

// Default is the value that a symbol has if no user set it.
type Default struct {
	Value *Expr
	If    *Expr
	Pos   Pos
}

// Link is a "select" or "imply" seen from the symbol that it raises.
type Link struct {
	From *Symbol
	If   *Expr // with the dependencies of the entry that says so
	Pos  Pos
}

// pendingLink is a select or imply before all dependencies are read.
type pendingLink struct {
	target string
	imply  bool
	cond   *Expr
	pos    Pos
}

// Choice is a group of which one member is y.
type Choice struct {
	Pos
	// Tristate choices may be m: then any members may be m.
	Tristate bool
	Optional bool
	Depends  *Expr
	Visible  *Expr
	Prompts  []Prompt
	Defaults []Default
	Members  []*Symbol
}
