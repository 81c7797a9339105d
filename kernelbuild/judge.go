package kernelbuild

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/kernelbuild/kconfig"
)

// Judgement is what becomes of all wishes in one tree.
type Judgement struct {
	Findings []finding.Finding `json:"findings"`
	// Holds tells that every wish would come true.
	Holds bool `json:"holds"`
	// Impossible tells that some wish cannot come true in this tree, whatever is
	// configured.
	Impossible bool `json:"impossible"`
}

// Judge tells what would become of each request if a kernel of the tree were
// configured with them on top of config.
func Judge(tree *Tree, config *kconfig.Config, requests []kconfig.Request) (Judgement, error) {
	answers, err := tree.Kconfig.Explain(config, requests)
	if err != nil {
		return Judgement{}, fmt.Errorf("judge requests: %w", err)
	}
	j := Judgement{Holds: true}
	for _, a := range answers {
		f := finding.Finding{
			Check: "symbol-" + strings.ReplaceAll(string(a.Outcome), "_", "-"), Subject: a.Symbol,
			Verdict: finding.Bad, Seen: seen(tree.Version, a), Advice: advice(a), Evidence: evidence(a),
		}
		if a.Outcome == kconfig.Holds {
			f.Verdict = finding.Good
		} else {
			j.Holds = false
		}
		if f.Verdict == finding.Bad && a.Guess {
			f.Verdict = finding.CouldNotTell
		}
		if n := len(tree.Kconfig.Missing); a.Outcome == kconfig.Undefined && n > 0 {
			f.Evidence = append(f.Evidence, finding.Evidence{
				Name: "files that could not be read", Value: strconv.Itoa(n), Source: tree.Kconfig.Missing[0].Text,
			})
		}
		j.Impossible = j.Impossible || a.Impossible
		j.Findings = append(j.Findings, f)
	}
	return j, nil
}

// JudgeByRelease tells what a kernel's version alone says of requests, for a
// plan before a tree is there. Symbols that it knows nothing of are not known
// yet.
func JudgeByRelease(upstream string, requests []kconfig.Request) (Judgement, error) {
	series, err := SeriesOf(upstream)
	if err != nil {
		return Judgement{}, err
	}
	j := Judgement{Holds: true}
	for _, r := range requests {
		f := finding.Finding{
			Check: "symbol-not-known-yet", Subject: r.Symbol, Verdict: finding.CouldNotTell,
			Seen: "wanted " + r.Value + "; not known before the tree of Linux " + upstream + " is there",
		}
		if last, ok := LastSeries(r.Symbol); ok && series.After(last) && r.Value != "n" {
			f = finding.Finding{
				Check: "symbol-undefined", Subject: r.Symbol, Verdict: finding.Bad,
				Seen:   "wanted " + r.Value + "; Linux " + upstream + " has no " + r.Symbol + " to set" + lastWords(r.Symbol),
				Advice: advice(kconfig.Answer{Request: r, Outcome: kconfig.Undefined}),
			}
			j.Impossible = true
		}
		j.Holds = false
		j.Findings = append(j.Findings, f)
	}
	return j, nil
}

// lastWords names the last release with a symbol, where it is known.
func lastWords(symbol string) string {
	if last, ok := LastSeries(symbol); ok {
		return "; the last release with it is " + last.String()
	}
	return ""
}

// seen says what becomes of a request, and why.
func seen(release string, a kconfig.Answer) string {
	at := " (" + a.Pos.String() + ")"
	wanted := "wanted " + a.Value
	switch a.Outcome {
	case kconfig.Holds:
		switch {
		case a.Becomes == "":
			return wanted + ", and Linux " + release + " has no such symbol"
		case !a.Prompted:
			return wanted + ", computed to " + a.Becomes + at
		default:
			return wanted + ", will be " + a.Becomes + at
		}
	case kconfig.Undefined:
		return wanted + "; " + a.Symbol + " is not defined in Linux " + release + lastWords(a.Symbol)
	case kconfig.WrongType:
		return wanted + ", which is no " + string(a.Type) + at
	}
	s := wanted + ", would be " + a.Becomes + at
	if !a.Prompted {
		s += ": it has no prompt, so the tree computes it"
	}
	if len(a.Chain) > 0 {
		s += "; " + need(a.Chain[0])
	}
	return s
}

// need says what a step would have to be.
func need(s kconfig.Step) string {
	if s.Pos == (kconfig.Pos{}) {
		return "needs " + s.Symbol + ", which nothing defines"
	}
	return fmt.Sprintf("needs %s to be %s, and it is %s (%s)", s.Symbol, s.Needs, s.Value, s.Pos)
}

// advice says what to do, in one sentence.
func advice(a kconfig.Answer) string {
	switch a.Outcome {
	case kconfig.Holds:
		return ""
	case kconfig.Undefined:
		if _, ok := LastSeries(a.Symbol); ok {
			return "Build an older kernel, up to 5.2 for tmem; or --profile xen-guest, which does without tmem."
		}
		return "Take it out of the fragment: no configuration of this tree has it."
	case kconfig.WrongType:
		return "Ask for a value of its type."
	case kconfig.Computed:
		return "Set what it is computed from instead."
	case kconfig.Forced:
		return "Turn off what selects it, if that may go."
	case kconfig.Chosen:
		return "Set another member of the same choice."
	default:
		if a.Impossible {
			return "No configuration of this tree fulfils it."
		}
		return "Set what it needs too."
	}
}

// evidence is the chain of a refusal.
func evidence(a kconfig.Answer) []finding.Evidence {
	out := make([]finding.Evidence, 0, len(a.Chain))
	for _, s := range a.Chain {
		e := finding.Evidence{Name: s.Symbol, Value: s.Value + ", needs " + s.Needs, Source: "nothing defines it"}
		if s.Pos != (kconfig.Pos{}) {
			e.Source = s.Pos.String()
		}
		if s.Line > 0 {
			e.Source += ", .config:" + strconv.Itoa(s.Line)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
