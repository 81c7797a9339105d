package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// rule is what a check finds in a domain, if anything. Check and Subject are
// filled in by judge.
type rule struct {
	check string
	find  func(*Report, *Domain, Threshold) opt.Value[finding.Finding]
}

func rules() []rule {
	return []rule{
		{CheckShrinks, shrinks},
		{CheckNoSwap, noSwap},
		{CheckPutsRefused, putsRefused},
		{CheckFalling, acceptanceFalling},
		{CheckHitRate, hitRateLow},
		{CheckPinned, pinned},
		{CheckFrozen, frozen},
		{CheckTakesNoPart, takesNoPart},
	}
}

// judge runs every rule over the report and returns findings, worst first and
// a domain's own together.
func judge(r *Report) []finding.Finding {
	out := []finding.Finding{}
	all := rules()
	thresholds := make([]Threshold, len(all))
	for i, rule := range all {
		thresholds[i] = r.Thresholds.Of(rule.check)
	}
	for i := range r.Domains {
		d := &r.Domains[i]
		if d.State.Dying {
			continue
		}
		for j, rule := range all {
			if f, ok := rule.find(r, d, thresholds[j]).Get(); ok {
				f.Check, f.Subject = rule.check, d.Label()
				out = append(out, f)
			}
		}
	}
	if f, ok := overcommitted(r).Get(); ok {
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b finding.Finding) int { return cmp.Compare(b.Verdict.Rank(), a.Verdict.Rank()) })
	return out
}

// none is a rule with nothing to say.
func none() opt.Value[finding.Finding] { return opt.Value[finding.Finding]{} }

// tooFew is a rule whose sample is too small to speak.
func tooFew(what string, sample int64, th Threshold) opt.Value[finding.Finding] {
	return opt.Of(finding.Finding{
		Verdict: finding.TooFew,
		Seen:    fmt.Sprintf("%s %s, too few to judge: the rule wants %s", units.Group(sample), what, units.Group(th.MinSample)),
	})
}

// held tells whether the counters ran long enough. A time that is not known
// does not stop a rule.
func held(ran opt.Value[time.Duration], th Threshold) bool { return ran.Or(th.Hold) >= th.Hold }

// window is the figure to judge by: the interval's where there is one, else
// the one since the start, with the time that it covers and how to call it.
func window(r *Report, d *Domain, e Efficiency) (Ratio, opt.Value[time.Duration], string) {
	if e.Interval != nil && r.Interval.Has() {
		return *e.Interval, r.Interval, "in the last " + r.Interval.Or(0).Round(time.Second).String()
	}
	return e.Total, d.Uptime, "since its first tmem call"
}

// share writes "18.1 % (30,720 of 169,568)".
func share(r Ratio) string {
	return fmt.Sprintf("%s (%s of %s)", units.Percent(r.Value.Or(0)), units.Group(r.Part.Or(0)), units.Group(r.Whole.Or(0)))
}

func kib(k units.KiB) string { return units.Group(int64(k)) + " KiB" }

func count(name string, c xen.Count, source string) finding.Evidence {
	return finding.Evidence{Name: name, Value: strconv.FormatInt(c.Or(0), 10), Source: source}
}

func size(name string, k opt.Value[units.KiB], source string) finding.Evidence {
	return finding.Evidence{Name: name, Value: strconv.FormatInt(int64(k.Or(0)), 10) + " KiB", Source: source}
}

// hasPool tells whether a tmem pool stands behind the domain, with the
// sentence that says so.
func hasPool(r *Report, d *Domain) (finding.Verdict, string) {
	switch {
	case d.Client != nil:
		return finding.Good, ""
	case r.Tmem.Answer == xen.TmemOn:
		return finding.Dangerous, "the domain is no client of tmem, though the host has it"
	case r.Tmem.Answer == xen.TmemUnknown, r.Tmem.Answer == "":
		return finding.CouldNotTell, "whether the host has tmem could not be told"
	default:
		return finding.Dangerous, "the host has no tmem: " + r.Tmem.Evidence
	}
}
