package kconfig

import (
	"strconv"
	"strings"
)

// Evaluation is what the symbols of a tree become under a .config, by the rules
// that the kernel's own program follows. Answers of a compiler are not asked
// for: a symbol that needs one keeps what the .config recorded.
type Evaluation struct {
	tree   *Tree
	config *Config
	memo   map[*Symbol]*result
	chosen map[*Choice]*Symbol
}

// result is the value of one symbol.
type result struct {
	text   string // "y", "m", "n", a number, or a string
	tri    Tristate
	busy   bool // being computed: the symbol depends on itself
	limit  Tristate
	forced Tristate
	// guess tells that a compiler's answer was missing and "no" was taken.
	guess bool
}

// Evaluate computes on demand.
func (t *Tree) Evaluate(c *Config) *Evaluation {
	return &Evaluation{tree: t, config: c, memo: map[*Symbol]*result{}, chosen: map[*Choice]*Symbol{}}
}

// Value is what a symbol becomes: "y", "m", "n", a number or a string; "n" for
// a symbol that the tree does not define.
func (e *Evaluation) Value(name string) string {
	if s := e.tree.Symbols[name]; s != nil {
		return e.of(s).text
	}
	return "n"
}

// of computes a symbol once.
func (e *Evaluation) of(s *Symbol) *result {
	if r := e.memo[s]; r != nil {
		if r.busy { // a circle, an error in the tree: what the .config says breaks it
			r.text = e.config.Text(s.Name)
			r.tri, _ = tristateOf(r.text)
		}
		return r
	}
	r := &result{busy: true, text: "n"}
	e.memo[s] = r
	v := e.compute(s)
	v.guess = v.guess || r.guess
	*r = v
	return r
}

func (e *Evaluation) compute(s *Symbol) result {
	if !s.Type.logical() {
		return e.computeText(s)
	}
	var r result
	kind := e.kind(s)
	r.limit = promote(e.visibility(s), kind)
	own, has := tristateOf(e.config.Text(s.Name))
	has = has && (own != Module || s.Type == TristateType) // the kernel ignores a bool's m
	if c := choiceOf(s); c != nil && r.limit == Yes && !e.modular(c) {
		if e.chosenOf(c) == s {
			r.tri = Yes
		}
	} else if has && r.limit != No {
		r.tri = min(own, r.limit)
	} else {
		r.tri, r.guess = e.byDefault(s)
		if has && r.guess {
			r.tri, r.guess = own, false
		}
		implied := e.raised(s.ImpliedBy)
		r.tri = max(r.tri, min(implied, promote(e.depends(s), kind)))
	}
	r.forced = promote(e.raised(s.SelectedBy), kind)
	r.tri = promote(max(r.tri, r.forced), kind)
	r.text = r.tri.String()
	return r
}

// computeText computes a string or a number.
func (e *Evaluation) computeText(s *Symbol) result {
	r := result{limit: e.visibility(s)}
	value, has := e.config.Get(s.Name)
	if has && r.limit != No && value != "n" {
		r.text = e.config.Text(s.Name)
		return r
	}
	for _, d := range s.Defs {
		for _, v := range d.Defaults {
			if e.cond(and(d.Depends, v.If)) == No {
				continue
			}
			if v.Value.asksShell() {
				r.text, r.guess = e.config.Text(s.Name), !has
				return r
			}
			r.text, _ = e.text(v.Value)
			return r
		}
	}
	return r
}

// kind is the type in effect: where modules are off, nothing is a tristate.
func (e *Evaluation) kind(s *Symbol) Type {
	if s.Type == TristateType && (s.Name == e.tree.modules || e.modules() == No) {
		return Bool
	}
	if c := choiceOf(s); c != nil && !c.Tristate {
		return Bool
	}
	return s.Type
}

// promote makes a bool's m a y.
func promote(t Tristate, kind Type) Tristate {
	if t == Module && kind == Bool {
		return Yes
	}
	return t
}

// visibility is how far a user may set the symbol.
func (e *Evaluation) visibility(s *Symbol) Tristate {
	best := No
	for _, d := range s.Defs {
		for _, p := range d.Prompts {
			v := e.cond(and(and(d.Depends, d.Visible), p.If))
			if c := d.Choice; c != nil && v != No {
				v = min(v, e.choiceVisibility(c))
			}
			best = max(best, v)
		}
	}
	return best
}

// depends is the value of the dependencies of a symbol in all its places.
func (e *Evaluation) depends(s *Symbol) Tristate {
	best := No
	for _, d := range s.Defs {
		best = max(best, e.cond(d.Depends))
	}
	return best
}

// byDefault is the first default that applies, and whether it is a guess.
func (e *Evaluation) byDefault(s *Symbol) (Tristate, bool) {
	for _, d := range s.Defs {
		for _, v := range d.Defaults {
			c := e.cond(and(d.Depends, v.If))
			if c == No {
				continue
			}
			return min(c, e.value(v.Value)), v.Value.asksShell() || v.If.asksShell()
		}
	}
	return No, false
}

// raised is the highest value that other symbols lend.
func (e *Evaluation) raised(links []Link) Tristate {
	best := No
	for _, l := range links {
		if best == Yes {
			break
		}
		best = max(best, min(e.of(l.From).tri, e.cond(l.If)))
	}
	return best
}

// cond evaluates a condition: a bare m in it means "if modules are possible",
// and what only a compiler can answer is taken for granted.
func (e *Evaluation) cond(x *Expr) Tristate {
	if x != nil && x.Op == Leaf && !x.Quoted {
		switch {
		case x.Name == "m":
			return min(Module, e.modules())
		case macro(x.Name):
			return Yes
		}
	}
	return e.logic(x, e.cond)
}

// value evaluates the right side of a default.
func (e *Evaluation) value(x *Expr) Tristate { return e.logic(x, e.value) }

// logic evaluates with the given rule for operands.
func (e *Evaluation) logic(x *Expr, operand func(*Expr) Tristate) Tristate {
	if x == nil {
		return Yes
	}
	switch x.Op {
	case Leaf:
		if t, ok := tristateOf(x.Name); ok {
			return t
		}
		if s := e.tree.Symbols[x.Name]; s != nil && !x.Quoted && s.Type.logical() {
			return e.of(s).tri
		}
		return No
	case Not:
		return operand(x.Left).not()
	case And:
		if l := operand(x.Left); l != No {
			return min(l, operand(x.Right))
		}
		return No
	case Or:
		if l := operand(x.Left); l != Yes {
			return max(l, operand(x.Right))
		}
		return Yes
	default:
		if e.compare(x) {
			return Yes
		}
		return No
	}
}

// compare evaluates =, != and their like: as numbers where both sides are, else
// as text.
func (e *Evaluation) compare(x *Expr) bool {
	l, lnum := e.text(x.Left)
	r, rnum := e.text(x.Right)
	order := strings.Compare(l, r)
	if lnum || rnum {
		a, errA := strconv.ParseInt(l, 0, 64)
		b, errB := strconv.ParseInt(r, 0, 64)
		if errA == nil && errB == nil {
			order = 0
			if a < b {
				order = -1
			} else if a > b {
				order = 1
			}
		}
	}
	switch x.Op {
	case Equal:
		return order == 0
	case Unequal:
		return order != 0
	case Less:
		return order < 0
	case LessEqual:
		return order <= 0
	case Greater:
		return order > 0
	default:
		return order >= 0
	}
}

// text is the text of an operand, and whether it is no plain string. A name
// that nothing defines stands for itself, as in "GCC_VERSION >= 80000".
func (e *Evaluation) text(x *Expr) (string, bool) {
	if x.Op != Leaf {
		return e.value(x).String(), false
	}
	if s := e.tree.Symbols[x.Name]; s != nil && !x.Quoted {
		return e.of(s).text, s.Type == Int || s.Type == Hex
	}
	return x.Name, false
}

// modules is the value of the symbol that allows m; No where the tree has none.
func (e *Evaluation) modules() Tristate {
	if s := e.tree.Symbols[e.tree.modules]; s != nil {
		return e.of(s).tri
	}
	return No
}
