package kconfig

// choiceOf is the group of which a symbol is a member, or nil.
func choiceOf(s *Symbol) *Choice {
	for _, d := range s.Defs {
		if d.Choice != nil {
			return d.Choice
		}
	}
	return nil
}

// choiceVisibility is how far a user may choose.
func (e *Evaluation) choiceVisibility(c *Choice) Tristate {
	best := No
	for _, p := range c.Prompts {
		best = max(best, e.cond(and(and(c.Depends, c.Visible), p.If)))
	}
	if best == Module && !c.Tristate {
		return Yes
	}
	return best
}

// modular tells whether the members of a choice are chosen one by one, as
// modules: the .config says m of one and y of none.
func (e *Evaluation) modular(c *Choice) bool {
	some := false
	for _, m := range c.Members {
		switch e.config.Text(m.Name) {
		case "y":
			return false
		case "m":
			some = true
		}
	}
	return c.Tristate && some
}

// chosenOf is the member that is y: the last one that the .config sets, else
// the first default, else the first member, each only if it can be set. It is
// nil for an optional choice of which nothing is set.
func (e *Evaluation) chosenOf(c *Choice) *Symbol {
	if s, ok := e.chosen[c]; ok {
		return s
	}
	e.chosen[c] = nil // breaks circles
	s := e.choose(c)
	e.chosen[c] = s
	return s
}

func (e *Evaluation) choose(c *Choice) *Symbol {
	var own *Symbol
	for _, m := range c.Members {
		if e.config.Text(m.Name) == "y" && (own == nil || e.config.Line(m.Name) > e.config.Line(own.Name)) {
			own = m
		}
	}
	if own != nil && e.visibility(own) != No {
		return own
	}
	if c.Optional {
		return nil
	}
	for _, d := range c.Defaults {
		if e.cond(d.If) == No || d.Value.Op != Leaf {
			continue
		}
		if m := e.tree.Symbols[d.Value.Name]; m != nil && e.visibility(m) != No {
			return m
		}
	}
	for _, m := range c.Members {
		if e.visibility(m) != No {
			return m
		}
	}
	return nil
}
