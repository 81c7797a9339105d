// Package finding is the shape of everything xtm checks: what was looked at,
// what was seen, what that means, and what to do about it.
package finding

// Verdict is the meaning of what was seen, from good to bad.
type Verdict string

// The verdicts. CouldNotTell is the third answer of a probe; TooFew is a
// figure that rests on too small a sample to be judged.
const (
	Good         Verdict = "good"
	Note         Verdict = "note"
	TooFew       Verdict = "too_few"
	CouldNotTell Verdict = "could_not_tell"
	Warning      Verdict = "warning"
	Bad          Verdict = "bad"
	Dangerous    Verdict = "dangerous"
)

// Problem tells whether a check command should end with exit code 3.
func (v Verdict) Problem() bool { return v == Warning || v == Bad || v == Dangerous }

// Rank orders verdicts by how much they matter; the worst has the largest.
func (v Verdict) Rank() int {
	for i, w := range []Verdict{Good, Note, TooFew, CouldNotTell, Warning, Bad, Dangerous} {
		if v == w {
			return i
		}
	}
	return 0
}

// Finding is the outcome of one check.
type Finding struct {
	// Check names the rule, stable across releases: "puts-refused-at-limit".
	Check string `json:"check"`
	// Subject is what was looked at: a domain's name, a file, a device. It may
	// come from a guest: renderers escape it.
	Subject string  `json:"subject"`
	Verdict Verdict `json:"verdict"`
	// Seen is what was found, with its figures, in one sentence.
	Seen string `json:"seen"`
	// Advice is what to do and why; empty where nothing need be done.
	Advice string `json:"advice,omitempty"`
	// Commands are lines to run as they stand, in order.
	Commands []string `json:"commands,omitempty"`
	// Evidence are the figures that the verdict rests on.
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Evidence is one figure behind a verdict.
type Evidence struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Source is where the figure is from: a file, a command, a counter's key.
	Source string `json:"source,omitempty"`
}

// Worst is the most serious verdict among findings; Good where there is none.
func Worst(fs []Finding) Verdict {
	worst := Good
	for _, f := range fs {
		if f.Verdict.Rank() > worst.Rank() {
			worst = f.Verdict
		}
	}
	return worst
}
