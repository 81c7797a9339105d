package kconfig

// attribute reads a line inside an entry, and tells whether it was understood.
func (p *parser) attribute(w []word) bool {
	if w[0].quoted {
		return false
	}
	key, rest := w[0].text, w[1:]
	switch key {
	case "bool", "boolean", "tristate", "string", "int", "hex":
		p.setType(key)
		return len(rest) == 0 || p.prompt(rest)
	case "def_bool", "def_tristate":
		p.setType(key[len("def_"):])
		return p.value(rest)
	case "default":
		return p.value(rest)
	case "prompt":
		return p.prompt(rest)
	case "depends":
		return len(rest) > 1 && rest[0].is("on") && p.depends(rest[1:])
	case "visible":
		return len(rest) > 1 && rest[0].is("if") && p.visible(rest[1:])
	case "select", "imply":
		return p.selects(key == "imply", rest)
	case "optional":
		if p.group != nil && p.group.kind == "choice" {
			p.group.choice.Optional = true
		}
		return true
	case "modules":
		p.isModules()
		return true
	case "option":
		return p.option(rest)
	case "range", "transitional":
		// A range bounds numbers that nobody asks for here; a transitional symbol
		// only hands an old value on.
		return true
	default:
		return false
	}
}

// setType gives the current symbol or choice its type; the first one stays.
func (p *parser) setType(key string) {
	t := Type(key)
	if key == "boolean" {
		t = Bool
	}
	switch {
	case p.symbol != nil && p.symbol.Type == Untyped:
		p.symbol.Type = t
	case p.group != nil && p.group.kind == "choice":
		p.group.choice.Tristate = t == TristateType
	}
}

// condition reads an optional "if EXPR" that ends a line.
func condition(w []word) (*Expr, bool) {
	if len(w) == 0 {
		return nil, true
	}
	if !w[0].is("if") {
		return nil, false
	}
	e, left, err := parseExpr(w[1:])
	return e, err == nil && len(left) == 0
}

func (p *parser) prompt(w []word) bool {
	if len(w) == 0 {
		return false
	}
	cond, ok := condition(w[1:])
	if !ok {
		return false
	}
	prompt := Prompt{Text: w[0].text, If: cond}
	switch {
	case p.def != nil:
		p.def.Prompts = append(p.def.Prompts, prompt)
	case p.group != nil && p.group.kind == "choice":
		p.group.choice.Prompts = append(p.group.choice.Prompts, prompt)
	}
	return true
}

func (p *parser) value(w []word) bool {
	v, left, err := parseExpr(w)
	if err != nil {
		return false
	}
	cond, ok := condition(left)
	if !ok {
		return false
	}
	d := Default{Value: v, If: cond, Pos: p.pos}
	switch {
	case p.def != nil:
		p.def.Defaults = append(p.def.Defaults, d)
	case p.group != nil && p.group.kind == "choice":
		p.group.choice.Defaults = append(p.group.choice.Defaults, d)
	}
	return true
}

// depends reads "depends on A", and "depends on A if B" of 7.x, which is "A or
// B is n".
func (p *parser) depends(w []word) bool {
	e, left, err := parseExpr(w)
	if err != nil {
		return false
	}
	cond, ok := condition(left)
	if !ok {
		return false
	}
	if cond != nil {
		e = &Expr{Op: Or, Left: e, Right: &Expr{Op: Equal, Left: cond, Right: &Expr{Name: "n"}}}
	}
	switch {
	case p.def != nil:
		p.def.Depends = and(p.def.Depends, e)
	case p.group != nil:
		p.group.depends = and(p.group.depends, e)
		if p.group.kind == "choice" {
			p.group.choice.Depends = p.group.depends
		}
	}
	return true
}

func (p *parser) visible(w []word) bool {
	e, left, err := parseExpr(w)
	if err != nil || len(left) > 0 {
		return false
	}
	if p.group != nil {
		p.group.visible = and(p.group.visible, e)
	}
	return true
}

func (p *parser) selects(imply bool, w []word) bool {
	if len(w) == 0 || !symbolName(w[0].text) {
		return false
	}
	cond, ok := condition(w[1:])
	if ok && p.def != nil {
		p.def.links = append(p.def.links, pendingLink{w[0].text, imply, cond, p.pos})
	}
	return ok
}

// option reads "option modules" and "option env="ARCH"" of kernels before 4.18
// and 5.18; the others matter only to the program that edits a .config.
func (p *parser) option(w []word) bool {
	if len(w) == 0 {
		return false
	}
	switch {
	case w[0].is("modules"):
		p.isModules()
	case w[0].is("env") && len(w) == 3 && w[1].is("=") && p.def != nil:
		if v, ok := p.vars[w[2].text]; ok {
			p.vars[p.symbol.Name] = v
			p.def.Defaults = append(p.def.Defaults, Default{Value: &Expr{Name: v, Quoted: true}, Pos: p.pos})
		}
	}
	return true
}

func (p *parser) isModules() {
	if p.symbol != nil {
		p.tree.modules = p.symbol.Name
	}
}
