// Package summary says in five lines what changed on a host since the report
// before, and what to do.
package summary

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// Summary is what a person reads first.
type Summary struct {
	// Subject is for the head of a mail.
	Subject string
	// Lines are the host, what changed, what tmem did, the findings, what to do.
	// Names in them are guests' own: they are to be escaped.
	Lines [5]string
}

// Of compares a report with the one before, which is nil the first time. The
// figures of what tmem did are those of cur's interval, or where it has none,
// since the host's boot.
func Of(prev *report.Report, cur report.Report) Summary {
	was, now := problems(prev), problems(&cur)
	fresh, gone := minus(now, was), minus(was, now)
	s := Summary{Lines: [5]string{
		"Host: " + host(&cur), "Changed: " + changed(prev, &cur), "tmem: " + saved(&cur), "Problems: " + found(prev, now, fresh, gone), "To do: " + advice(now, fresh),
	}}
	s.Subject = subject(&cur, prev, len(now), len(fresh), len(gone))
	return s
}

func subject(r, prev *report.Report, problems, fresh, gone int) string {
	text := "no problem"
	if problems > 0 {
		text = many(problems, "problem")
	}
	var what []string
	if fresh > 0 && prev != nil {
		what = append(what, fmt.Sprintf("%d new", fresh))
	}
	if gone > 0 {
		what = append(what, fmt.Sprintf("%d gone", gone))
	}
	if len(what) > 0 {
		text += " (" + strings.Join(what, ", ") + ")"
	}
	return "xtm: " + name(r) + ": " + text
}

func name(r *report.Report) string {
	if r.Host.Name == "" {
		return "this host"
	}
	return r.Host.Name
}

// host is how it stands now.
func host(r *report.Report) string {
	h := &r.Host
	guests := 0
	for i := range r.Domains {
		if !r.Domains[i].Dom0 {
			guests++
		}
	}
	parts := []string{many(guests, "guest")}
	if x, ok := h.Overcommit.Get(); ok {
		parts = append(parts, fmt.Sprintf("overcommit ratio %.2f", x))
	}
	if total, ok := h.Total.Get(); ok && h.Free.Has() {
		free := mib(h.Free.Or(0)) + " free"
		if f, ok := h.Freeable.Get(); ok {
			free += " and " + mib(f) + " freeable"
		}
		parts = append(parts, free+" of "+mib(total))
	}
	return fmt.Sprintf("%s (Xen %s): %s.", name(r), h.Version, strings.Join(parts, ", "))
}

// changed is what is different from the report before.
func changed(prev, cur *report.Report) string {
	if prev == nil {
		return "this is the first report; the next one compares with it."
	}
	since := ""
	if !prev.End.IsZero() {
		since = fmt.Sprintf("since %s (%s) ", prev.End.UTC().Format("2006-01-02 15:04 UTC"), span(cur.End.Sub(prev.End)))
	}
	var parts []string
	for _, x := range []struct {
		what     string
		was, now opt.Value[units.KiB]
	}{
		{"guests' memory", prev.Host.Guests, cur.Host.Guests},
		{"promised", prev.Host.GuestsMaximum, cur.Host.GuestsMaximum},
		{"free", prev.Host.Free, cur.Host.Free},
		{"ephemeral pages", prev.Host.Ephemeral, cur.Host.Ephemeral},
	} {
		rise := opt.Both(x.was, x.now, func(a, b units.KiB) units.KiB { return b - a })
		if by := rise.Or(0) / 1024; by != 0 {
			parts = append(parts, fmt.Sprintf("%s %s%s MiB", x.what, sign(by), units.Group(max(by, -by))))
		}
	}
	for _, x := range []struct {
		what  string
		names []string
	}{
		{"new", domains(cur, prev, report.ResetNew)},
		{"started anew", domains(cur, prev, report.ResetRenumbered, report.ResetReborn)},
		{"gone", lost(cur, prev)},
	} {
		if len(x.names) > 0 {
			parts = append(parts, x.what+": "+list(x.names))
		}
	}
	if prev.Tmem.Answer != cur.Tmem.Answer {
		parts = append(parts, fmt.Sprintf("tmem was %s and is %s", word(prev.Tmem.Answer), word(cur.Tmem.Answer)))
	}
	if len(parts) == 0 {
		return since + "nothing."
	}
	return since + strings.Join(parts, "; ") + "."
}

// domains are those whose counters were reset for one of these reasons.
func domains(cur, prev *report.Report, why ...report.Reset) []string {
	var out []string
	for i := range cur.Domains {
		d := &cur.Domains[i]
		is := slices.Contains(why, d.Reset)
		if !cur.Interval.Has() { // then no domain says so
			is = slices.Contains(why, report.ResetNew) && !in(prev, d)
		}
		if is {
			out = append(out, d.Label())
		}
	}
	return out
}

// lost are the domains that are there no more.
func lost(cur, prev *report.Report) []string {
	var out []string
	for i := range prev.Domains {
		if d := &prev.Domains[i]; !in(cur, d) {
			out = append(out, d.Label())
		}
	}
	return out
}

// in tells whether a report has a domain, by uuid where both know it. A domain
// that keeps its name and changes its uuid was made anew, and is not gone.
func in(r *report.Report, d *report.Domain) bool {
	return slices.ContainsFunc(r.Domains, func(x report.Domain) bool {
		return x.UUID != "" && x.UUID == d.UUID || x.Label() == d.Label()
	})
}

// saved is what tmem did.
func saved(r *report.Report) string {
	if r.Tmem.Answer != xen.TmemOn {
		return word(r.Tmem.Answer) + ": " + strings.TrimSuffix(r.Tmem.Evidence, ".") + "."
	}
	h := &r.Host
	when, of := "since the host's boot", func(c report.Counter) xen.Count { return c.Total }
	if d, ok := r.Interval.Get(); ok && (h.Evicted.Interval.Has() || h.DiskReadsAvoided.Interval.Has()) {
		when, of = "in "+span(d), func(c report.Counter) xen.Count { return c.Interval }
	}
	var refused xen.Count
	for i := range r.Domains {
		if p := r.Domains[i].Persistent(); p != nil {
			if n, ok := of(p.Refused).Get(); ok {
				refused = opt.Of(refused.Or(0) + n)
			}
		}
	}
	var parts []string
	for _, x := range []struct {
		n    xen.Count
		what string
	}{
		{of(h.DiskReadsAvoided), "disk reads avoided"},
		{of(h.SwapWritesAvoided), "swap writes avoided"},
		{of(h.SwapReadsAvoided), "swap reads avoided"},
		{refused, "puts refused"},
		{of(h.Evicted), "pages thrown out"},
	} {
		if n, ok := x.n.Get(); ok {
			parts = append(parts, units.Group(n)+" "+x.what)
		}
	}
	if len(parts) == 0 {
		return "on; what it did could not be told."
	}
	return when + ": " + strings.Join(parts, ", ") + "."
}

// problems are the findings that want something done, worst first.
func problems(r *report.Report) []finding.Finding {
	if r == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f finding.Finding) bool { return !f.Verdict.Problem() })
}

// minus are the findings of a that b has not.
func minus(a, b []finding.Finding) []finding.Finding {
	return slices.DeleteFunc(slices.Clone(a), func(f finding.Finding) bool {
		return slices.ContainsFunc(b, func(g finding.Finding) bool { return g.Check == f.Check && g.Subject == f.Subject })
	})
}

func found(prev *report.Report, now, fresh, gone []finding.Finding) string {
	if len(now) == 0 && len(gone) == 0 {
		return "none."
	}
	var parts []string
	switch {
	case len(now) == 0:
		parts = append(parts, "none")
	case prev == nil:
		parts = append(parts, list(titles(now)))
	case len(fresh) == 0:
		parts = append(parts, "as before: "+list(titles(now)))
	default:
		parts = append(parts, "new: "+list(titles(fresh)))
		if stay := len(now) - len(fresh); stay > 0 {
			parts = append(parts, fmt.Sprintf("%d as before", stay))
		}
	}
	if len(gone) > 0 {
		parts = append(parts, "gone: "+list(titles(gone)))
	}
	return strings.Join(parts, "; ") + "."
}

func titles(fs []finding.Finding) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.Subject + " " + f.Check
	}
	return out
}

// advice is that of the worst problem, a new one before an old one of the same
// rank.
func advice(now, fresh []finding.Finding) string {
	if len(now) == 0 {
		return "nothing."
	}
	f := now[0]
	if len(fresh) > 0 && fresh[0].Verdict.Rank() >= f.Verdict.Rank() {
		f = fresh[0]
	}
	text := f.Subject + ": " + f.Seen + ". " + f.Advice
	if len(f.Commands) > 0 {
		text += " " + strings.Join(f.Commands, "; ")
	}
	if more := len(now) - 1; more > 0 {
		text += " (and " + many(more, "other problem") + ": xtm report)"
	}
	return text
}

// named is how many names a line has at most.
const named = 3

func list(names []string) string {
	if more := len(names) - named; more > 0 {
		return strings.Join(names[:named], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

func many(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return units.Group(n) + " " + what
}

func mib(k units.KiB) string { return units.Group(k/1024) + " MiB" }

func sign(k units.KiB) string {
	if k < 0 {
		return "−"
	}
	return "+"
}

func span(d time.Duration) string { return d.Round(time.Second).String() }

func word(a xen.TmemAnswer) string {
	switch a {
	case xen.TmemOn:
		return "on"
	case xen.TmemOff:
		return "off"
	case xen.TmemCompiledOut:
		return "compiled out"
	case xen.TmemRemoved:
		return "removed"
	default:
		return "not to be told"
	}
}
