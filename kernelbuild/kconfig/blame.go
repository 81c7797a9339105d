package kconfig

import (
	"slices"
)

// tooHigh finds what raises a symbol above a wish.
func (x *explainer) tooHigh(s *Symbol, want Tristate) Outcome {
	if x.of(s).forced > want {
		for _, l := range s.SelectedBy {
			if min(x.of(l.From).tri, x.cond(l.If)) > want {
				x.step(l.From, want.String(), 0)
			}
		}
		if s.Prompted() {
			return Forced
		}
		return Computed
	}
	if c := choiceOf(s); c != nil && x.chosenOf(c) == s {
		return Chosen
	}
	if s.Prompted() {
		x.unmet(s, Module, 0)
		return Dependency
	}
	return Computed
}

// tooLow finds what keeps a symbol below a wish.
func (x *explainer) tooLow(s *Symbol, need Tristate) Outcome {
	if !s.Prompted() {
		x.unmet(s, need, 0)
		return Computed
	}
	if c := choiceOf(s); c != nil && x.visibility(s) >= need {
		if other := x.chosenOf(c); other != nil && other != s {
			x.step(other, "n", 0)
		}
		return Chosen
	}
	x.unmet(s, need, 0)
	return Dependency
}

// unmet follows the conditions of a symbol that are below the need: those of
// its prompts, or of its defaults where it has no prompt.
func (x *explainer) unmet(s *Symbol, need Tristate, depth int) {
	for _, d := range s.Defs {
		x.blame(and(d.Depends, d.Visible), need, depth)
		for _, p := range d.Prompts {
			x.blame(p.If, need, depth)
		}
		if c := d.Choice; c != nil {
			x.blame(and(c.Depends, c.Visible), need, depth)
		}
		if s.Prompted() {
			continue
		}
		for _, v := range d.Defaults {
			x.blame(v.If, Module, depth)
			x.blame(v.Value, Module, depth)
		}
	}
	if !s.Prompted() {
		for _, l := range s.SelectedBy {
			x.step(l.From, x.atLeast(l.From, need), depth)
		}
	}
}

// Bounds of an explanation: nobody reads further.
const (
	maxChain = 3
	maxSteps = 12
)

// blame walks a condition that is below the need to the symbols that make it so.
func (x *explainer) blame(c *Expr, need Tristate, depth int) {
	if c == nil || x.cond(c) >= need {
		return
	}
	switch c.Op {
	case Leaf:
		if s := x.tree.Symbols[c.Name]; s != nil && !c.Quoted {
			x.step(s, x.atLeast(s, need), depth)
		} else if _, literal := tristateOf(c.Name); !literal && !macro(c.Name) {
			x.add(Step{Symbol: c.Name, Value: "n", Needs: need.String(), Depth: depth})
		}
	case Not:
		if s := x.tree.Symbols[c.Left.Name]; s != nil && c.Left.Op == Leaf {
			x.step(s, "n", depth)
		} else {
			x.add(Step{Symbol: c.Left.String(), Value: x.cond(c.Left).String(), Needs: "n", Depth: depth})
		}
	case And, Or:
		x.blame(c.Left, need, depth)
		x.blame(c.Right, need, depth)
	default:
		if s := x.tree.Symbols[c.Left.Name]; s != nil && !c.Left.Quoted && c.Left.Op == Leaf {
			needs := c.Right.Name
			if c.Op != Equal {
				needs = opText[c.Op] + " " + c.Right.String()
			}
			x.step(s, needs, depth)
		}
	}
}

// step adds a symbol that stands in the way, and what stands in its own.
func (x *explainer) step(s *Symbol, needs string, depth int) {
	r := x.of(s)
	known := slices.ContainsFunc(x.steps, func(have Step) bool { return have.Symbol == s.Name })
	if known || !x.add(Step{s.Name, r.text, needs, s.Pos(), x.config.Line(s.Name), depth}) {
		return
	}
	if want, ok := tristateOf(needs); ok && depth < maxChain && r.tri < want && r.limit < want {
		x.unmet(s, x.need(s, want), depth+1)
	}
}

func (x *explainer) add(s Step) bool {
	if len(x.steps) >= maxSteps {
		return false
	}
	x.steps = append(x.steps, s)
	return true
}

// possible tells whether some configuration of the tree makes a symbol more
// than n. It errs towards yes: it takes every negation for possible.
func (x *explainer) possible(s *Symbol) bool {
	if can, seen := x.can[s]; seen {
		return can
	}
	x.can[s] = true // circles are for the kernel to complain about
	can := slices.ContainsFunc(s.Defs, func(d *Definition) bool {
		return x.hopeful(d.Depends) && (slices.ContainsFunc(d.Prompts, func(p Prompt) bool { return x.hopeful(p.If) }) ||
			slices.ContainsFunc(d.Defaults, func(v Default) bool { return x.hopeful(v.If) && x.hopeful(v.Value) }))
	}) || slices.ContainsFunc(s.SelectedBy, func(l Link) bool { return x.possible(l.From) && x.hopeful(l.If) })
	x.can[s] = can
	return can
}

// hopeful tells whether a condition could hold.
func (x *explainer) hopeful(c *Expr) bool {
	switch {
	case c == nil:
		return true
	case c.Op == And:
		return x.hopeful(c.Left) && x.hopeful(c.Right)
	case c.Op == Or:
		return x.hopeful(c.Left) || x.hopeful(c.Right)
	case c.Op != Leaf:
		return true
	}
	if s := x.tree.Symbols[c.Name]; s != nil && !c.Quoted {
		return !s.Type.logical() || x.possible(s)
	}
	return c.Name == "y" || c.Name == "m" || macro(c.Name)
}
