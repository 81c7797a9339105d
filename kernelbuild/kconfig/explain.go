package kconfig

import (
	"strconv"
	"strings"
)

// Request is a wish for one symbol.
type Request struct {
	Symbol string `json:"symbol"`
	// Value is as a .config writes it: y, m, n, a number, a string in quotes.
	Value string `json:"value"`
	// AtLeast wishes are content with more: y where m was wished.
	AtLeast bool `json:"at_least,omitempty"`
	// Computed wishes are not written into the .config: the tree has to come to
	// them by itself, or to more.
	Computed bool `json:"computed,omitempty"`
	// Why is the reason in a few words.
	Why string `json:"why,omitempty"`
}

// Outcome is what becomes of a wish.
type Outcome string

// The outcomes. All but Holds mean that the wish will not come true.
const (
	Holds      Outcome = "holds"
	Undefined  Outcome = "undefined"  // no Kconfig file read for this architecture defines it
	WrongType  Outcome = "wrong_type" // a bool cannot be m, a number not y
	Computed   Outcome = "computed"   // it has no prompt, and the tree computes something else
	Dependency Outcome = "dependency" // its prompt needs what is not there
	Forced     Outcome = "forced"     // another symbol selects it
	Chosen     Outcome = "chosen"     // another member of its choice is chosen, or it is the one
)

// Answer says what becomes of a request, and why.
type Answer struct {
	Request
	Outcome Outcome
	// Becomes is the value under the wished configuration; "" if undefined.
	Becomes string
	// Type is the symbol's; Untyped if undefined.
	Type Type
	// Pos is where the symbol is defined; zero if undefined.
	Pos Pos
	// Prompted tells whether a user can set the symbol.
	Prompted bool
	// Impossible tells that no configuration of this tree fulfils the request.
	Impossible bool
	// Guess tells that a compiler's answer would be needed to be sure.
	Guess bool
	// Chain is what stands in the way, nearest first, each with its place.
	Chain []Step
}

// Step is one symbol that stands in the way.
type Step struct {
	Symbol string
	Value  string // what it is
	Needs  string // what it would have to be: "y", "m", "n", or a comparison
	Pos    Pos    // where it is defined, zero if nowhere
	Line   int    // of the .config, 0 if it does not mention the symbol
	Depth  int    // 0 stands in the way of the request itself, 1 of a step at 0
}

// Apply writes the requests into a .config, other members of a choice off, and
// returns what changed. Computed requests and symbols that the tree does not
// define are left out; a nil tree is taken to define all.
func (t *Tree) Apply(c *Config, requests []Request) ([]Change, error) {
	before := c.Clone()
	for _, r := range requests {
		if r.Computed {
			continue
		}
		if have, ok := tristateOf(c.Text(r.Symbol)); ok && r.content(have) {
			continue
		}
		if t != nil {
			s := t.Symbols[r.Symbol]
			if s == nil || !s.Type.takes(r.Value) {
				continue
			}
			if err := s.clearChoice(c, r.Value); err != nil {
				return nil, err
			}
		}
		if err := c.Set(r.Symbol, r.Value); err != nil {
			return nil, err
		}
	}
	return Diff(before, c), nil
}

// clearChoice turns the other members of a symbol's choice off if it shall be y.
func (s *Symbol) clearChoice(c *Config, value string) error {
	choice := choiceOf(s)
	if choice == nil || value != "y" {
		return nil
	}
	for _, m := range choice.Members {
		if m != s && c.Text(m.Name) == "y" {
			if err := c.Set(m.Name, "n"); err != nil {
				return err
			}
		}
	}
	return nil
}

// content tells whether a value above the wish fulfils it.
func (r Request) content(have Tristate) bool {
	want, ok := tristateOf(r.Value)
	return ok && (r.AtLeast || r.Computed) && have >= want
}

// Explain tells for each request what would become of it if all were written
// into the .config.
func (t *Tree) Explain(c *Config, requests []Request) ([]Answer, error) {
	wished := c.Clone()
	if _, err := t.Apply(wished, requests); err != nil {
		return nil, err
	}
	x := explainer{Evaluation: t.Evaluate(wished), can: map[*Symbol]bool{}}
	answers := make([]Answer, 0, len(requests))
	for _, r := range requests {
		answers = append(answers, x.answer(r))
	}
	return answers, nil
}

// takes tells whether a value is one of the type.
func (t Type) takes(value string) bool {
	switch t {
	case Bool:
		return value == "y" || value == "n"
	case TristateType:
		_, ok := tristateOf(value)
		return ok
	case Int:
		_, err := strconv.ParseInt(value, 10, 64)
		return err == nil
	case Hex:
		_, err := strconv.ParseUint(strings.TrimPrefix(value, "0x"), 16, 64)
		return err == nil
	case String:
		_, ok := unquote(value)
		return ok
	default:
		return false
	}
}

// explainer looks for what stands in the way.
type explainer struct {
	*Evaluation
	can   map[*Symbol]bool
	steps []Step
}

func (x *explainer) answer(r Request) Answer {
	s := x.tree.Symbols[r.Symbol]
	if s == nil {
		a := Answer{Request: r, Outcome: Undefined, Impossible: r.Value != "n"}
		if r.Value == "n" {
			a.Outcome = Holds
		}
		return a
	}
	got := x.of(s)
	a := Answer{Request: r, Becomes: got.text, Type: s.Type, Pos: s.Pos(), Prompted: s.Prompted(), Guess: got.guess}
	want, logical := tristateOf(r.Value)
	switch {
	case !s.Type.takes(r.Value) && (!r.Computed || !logical || !s.Type.logical()):
		a.Outcome, a.Impossible = WrongType, true
		return a
	case r.Value == got.text, s.Type.logical() && r.content(got.tri):
		a.Outcome = Holds
		return a
	}
	if text, ok := unquote(r.Value); ok && text == got.text && s.Type == String {
		a.Outcome = Holds
		return a
	}
	x.steps = nil
	if s.Type.logical() && want < got.tri {
		a.Outcome = x.tooHigh(s, want)
	} else {
		a.Outcome = x.tooLow(s, x.need(s, want))
		a.Impossible = !x.possible(s)
	}
	a.Chain = x.steps
	return a
}

// need is what the conditions of a symbol must be for it to reach a value: m is
// enough for a bool.
func (x *explainer) need(s *Symbol, want Tristate) Tristate {
	if want == Yes && x.kind(s) == TristateType {
		return Yes
	}
	return Module
}

// atLeast writes a need as the symbol itself would have it.
func (x *explainer) atLeast(s *Symbol, need Tristate) string {
	return promote(need, x.kind(s)).String()
}

// FulfilledBy tells whether a finished .config has what was wished. Absent and
// "n" are the same.
func (r Request) FulfilledBy(c *Config) bool {
	have, _ := c.Get(r.Symbol)
	if have == "" {
		have = "n"
	}
	if tri, ok := tristateOf(have); ok && r.content(tri) {
		return true
	}
	return have == r.Value
}
