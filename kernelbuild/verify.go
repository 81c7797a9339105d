package kernelbuild

import (
	"fmt"

	"xtm/internal/finding"
	"xtm/kernelbuild/kconfig"
)

// Verified is what "make olddefconfig" made of the wishes.
type Verified struct {
	Symbols []SymbolOutcome
	// Findings explain each wish that did not come true, and why it would not boot.
	Findings []finding.Finding
	// Collateral are symbols that nobody asked for and that changed.
	Collateral []kconfig.Change
}

// Holds tells whether every wish came true, and the target can boot.
func (v Verified) Holds() bool { return len(v.Findings) == 0 }

// Verify compares the configuration that the kernel made, final, with the
// requests: "make olddefconfig" succeeds however many it drops. requested is
// what it was given. The target has to boot with it, whatever was asked for.
func Verify(tree *Tree, target Target, requested, final *kconfig.Config, requests []kconfig.Request) (Verified, error) {
	var v Verified
	answers, err := tree.Kconfig.Explain(requested, requests)
	if err != nil {
		return v, fmt.Errorf("verify configuration: %w", err)
	}
	for i, r := range requests {
		o := SymbolOutcome{Symbol: r.Symbol, Wanted: r.Value, Became: final.Text(r.Symbol)}
		o.Holds = r.FulfilledBy(final)
		v.Symbols = append(v.Symbols, o)
		if o.Holds {
			continue
		}
		a := answers[i]
		f := finding.Finding{
			Check: "symbol-differs", Subject: r.Symbol, Verdict: finding.Bad,
			Seen: seen(tree.Version, a), Advice: advice(a), Evidence: evidence(a),
		}
		if a.Outcome == kconfig.Holds { // we thought so, and the kernel knows better
			became := o.Became
			if became == "" {
				became = "absent"
			}
			f.Seen = fmt.Sprintf("wanted %s, became %s (%s); the tree's own rules have a reason that its text does not show, such as the compiler's answer", r.Value, became, a.Pos)
		}
		v.Findings = append(v.Findings, f)
	}
	if f, ok := target.InitrdReadable(final); !ok {
		v.Findings = append(v.Findings, f)
	}
	for _, c := range kconfig.Diff(requested, final) {
		if c.Old == "" && c.New != "y" && c.New != "m" {
			continue // a new symbol that got its default
		}
		v.Collateral = append(v.Collateral, c)
	}
	return v, nil
}
