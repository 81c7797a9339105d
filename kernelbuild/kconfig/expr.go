package kconfig

import (
	"errors"
	"fmt"
	"strings"
)

// Op is what an expression does with its operands.
type Op uint8

// The operators. Leaf is a symbol or a literal.
const (
	Leaf Op = iota
	Not
	And
	Or
	Equal
	Unequal
	Less
	LessEqual
	Greater
	GreaterEqual
)

var opText = [...]string{And: " && ", Or: " || ", Equal: "=", Unequal: "!=", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">="}

// Expr is a condition or a value in a Kconfig file. A nil *Expr is "always".
// Expressions are shared between symbols of one menu: they are never changed.
type Expr struct {
	Op Op
	// Name is the text of a leaf: a symbol's name, or a literal. Macros of the
	// form $(…) that could not be expanded stay in it.
	Name string
	// Quoted leaves are literals, never symbols.
	Quoted bool
	// Left and Right are the operands; Not has only Left.
	Left, Right *Expr
}

// and joins two conditions; nil is "always".
func and(a, b *Expr) *Expr {
	switch {
	case a == nil:
		return b
	case b == nil || a == b:
		return a
	default:
		return &Expr{Op: And, Left: a, Right: b}
	}
}

// String writes the expression as a Kconfig file would, without needless
// parentheses. It is cut at 2,000 bytes.
func (e *Expr) String() string {
	if e == nil {
		return "y"
	}
	var b strings.Builder
	e.write(&b, 0)
	return b.String()
}

// write adds the expression to b; outer is the operator that it stands under.
func (e *Expr) write(b *strings.Builder, outer Op) {
	if b.Len() > 2000 {
		return
	}
	parens := outer >= Equal && e.Op != Leaf || outer == Not && e.Op > Not || outer == And && e.Op == Or
	if parens {
		b.WriteByte('(')
	}
	switch {
	case e.Op == Leaf && e.Quoted:
		b.WriteString(quote(e.Name))
	case e.Op == Leaf:
		b.WriteString(e.Name)
	case e.Op == Not:
		b.WriteByte('!')
		e.Left.write(b, Not)
	default:
		e.Left.write(b, e.Op)
		b.WriteString(opText[e.Op])
		e.Right.write(b, e.Op)
	}
	if parens {
		b.WriteByte(')')
	}
}

// macro tells whether a text calls a macro of Kconfig that was not expanded.
func macro(s string) bool { return strings.Contains(s, "$(") }

// asksShell tells whether a value depends on a compiler or another program.
func (e *Expr) asksShell() bool {
	return e != nil && (e.Op == Leaf && macro(e.Name) || e.Left.asksShell() || e.Right.asksShell())
}

// requires tells whether an expression can only hold if the symbol is not n.
func (e *Expr) requires(name string) bool {
	if e == nil {
		return false
	}
	switch e.Op {
	case Leaf:
		return e.Name == name && !e.Quoted
	case And:
		return e.Right.requires(name) || e.Left.requires(name)
	case Equal:
		return e.Left.requires(name) && e.Right.Name != "n"
	case Unequal:
		return e.Left.requires(name) && e.Right.Name == "n"
	default:
		return false
	}
}

// maxDepth bounds parentheses and negations: the parser calls itself.
const maxDepth = 100

// errExpr means that a text is no expression.
var errExpr = errors.New("not an expression")

// exprParser reads words into an expression. Precedence, from loose to tight:
// ||, &&, !, comparisons.
type exprParser struct {
	words []word
	depth int
}

// parseExpr reads the longest expression at the start of words, and returns the
// words after it.
func parseExpr(words []word) (*Expr, []word, error) {
	p := exprParser{words: words}
	e, err := p.or()
	return e, p.words, err
}

func (p *exprParser) accept(op string) bool {
	if len(p.words) > 0 && !p.words[0].quoted && p.words[0].text == op {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *exprParser) or() (*Expr, error) { return p.chain("||", Or, p.and) }

func (p *exprParser) and() (*Expr, error) { return p.chain("&&", And, p.not) }

// chain reads operands joined by one operator.
func (p *exprParser) chain(text string, op Op, operand func() (*Expr, error)) (*Expr, error) {
	e, err := operand()
	for err == nil && p.accept(text) {
		var right *Expr
		right, err = operand()
		e = &Expr{Op: op, Left: e, Right: right}
	}
	return e, err
}

func (p *exprParser) not() (*Expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("%w: nested more than %d deep", errExpr, maxDepth)
	}
	defer func() { p.depth-- }()
	if p.accept("!") {
		e, err := p.not()
		return &Expr{Op: Not, Left: e}, err
	}
	if !p.accept("(") {
		return p.comparison(p.leaf())
	}
	e, err := p.or()
	if err == nil && !p.accept(")") {
		err = fmt.Errorf("%w: no closing parenthesis", errExpr)
	}
	return p.comparison(e, err)
}

var comparisons = map[string]Op{"=": Equal, "!=": Unequal, "<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual}

// comparison reads what may follow its left side. Kconfig compares symbols only;
// "(A || B)=n" is how "depends on … if A || B" is kept.
func (p *exprParser) comparison(left *Expr, err error) (*Expr, error) {
	if err != nil || len(p.words) == 0 || p.words[0].quoted {
		return left, err
	}
	op, ok := comparisons[p.words[0].text]
	if !ok {
		return left, nil
	}
	p.words = p.words[1:]
	right, err := p.leaf()
	return &Expr{Op: op, Left: left, Right: right}, err
}

func (p *exprParser) leaf() (*Expr, error) {
	if len(p.words) == 0 {
		return nil, fmt.Errorf("%w: an operand is missing", errExpr)
	}
	w := p.words[0]
	if w.operator() {
		return nil, fmt.Errorf("%w: %q where an operand must stand", errExpr, w.text)
	}
	p.words = p.words[1:]
	return &Expr{Name: w.text, Quoted: w.quoted}, nil
}
