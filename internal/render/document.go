// Package render writes documents and tables for people (text, Markdown) and
// values for programs (CSV, JSON). It computes nothing: it converts units,
// formats numbers and escapes every text, whoever it came from.
package render

import (
	"slices"

	"xtm/internal/finding"
)

// Document is what a command has to say, in order.
type Document []Block

// Block is a part of a Document: Heading, Paragraph, Fields, Table, Bullets,
// Findings or Hints. No text in a block holds a line break of its own; one
// that got in is shown as \x0a.
type Block interface{ block() }

// Heading begins a part. Level 1 is the title of the whole.
type Heading struct {
	Level int
	Text  string
}

// Paragraph is running text.
type Paragraph string

// Fields are short facts, one below the other.
type Fields []Field

// Field is one fact. Advice, where there is any, is what to do about it.
type Field struct {
	Label, Text, Advice string
}

// Bullets are sentences that belong together.
type Bullets []string

// Findings are shown worst first; equally bad ones stay in their order.
type Findings struct {
	List []finding.Finding
	// Evidence shows the figures behind each verdict.
	Evidence bool
	// Chain keeps their order: each needs those before it.
	Chain bool
}

// Hints are what the reader could do next.
type Hints []string

func (Heading) block()   {}
func (Paragraph) block() {}
func (Fields) block()    {}
func (Table) block()     {}
func (Bullets) block()   {}
func (Findings) block()  {}
func (Hints) block()     {}

// worstFirst returns the findings in the order to be shown in.
func (f Findings) worstFirst() []finding.Finding {
	if f.Chain {
		return f.List
	}
	list := slices.Clone(f.List)
	slices.SortStableFunc(list, func(a, b finding.Finding) int { return b.Verdict.Rank() - a.Verdict.Rank() })
	return list
}

// Word is a verdict as people read it; problems are in capitals.
func Word(v finding.Verdict) string {
	switch v {
	case finding.TooFew:
		return "too few"
	case finding.CouldNotTell:
		return "could not tell"
	case finding.Warning:
		return "WARNING"
	case finding.Bad:
		return "BAD"
	case finding.Dangerous:
		return "DANGEROUS"
	case finding.Good, finding.Note:
	}
	return string(v)
}
