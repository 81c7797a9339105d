package report

import (
	"fmt"
	"math"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Compute judges a snapshot. Where an earlier one is given too, the interval's
// figures are filled from the rise between the two; nothing ever falls below
// zero: what started again is named instead.
func Compute(prev *xen.Snapshot, cur xen.Snapshot, rules Thresholds) Report {
	r := Report{
		Schema: Schema, Source: cur.Source, Recorded: cur.Recorded, Begin: cur.Begin, End: cur.End,
		Tmem: cur.TmemState, Thresholds: rules, Gaps: slices.Clone(cur.Gaps),
	}
	before, note := newEarlier(prev, cur)
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	if r.Thresholds == nil {
		r.Thresholds = DefaultThresholds()
	}
	if before.span > 0 {
		r.Interval = opt.Of(before.span)
	}
	if list, ok := cur.Tmem.Get(); ok {
		r.Notes = append(r.Notes, list.Notes...)
		r.Notes = append(r.Notes, tmem.Check(list)...)
		if list.Truncated != "" {
			r.Gaps = append(r.Gaps, xen.Gap{What: "part of the tmem listing", Why: list.Truncated, Cause: cause.Failed})
		}
		for i := range list.Shared {
			r.SharedPools = append(r.SharedPools, poolOf(list.Shared[i], before.shared(list.Shared[i]), before.listSpan))
		}
	}
	r.Domains = domainsOf(cur, before)
	r.Host = hostOf(cur, r.Domains, before, &r.Notes)
	r.Findings = judge(&r)
	return r
}

// domainsOf joins the domains with their tmem clients, and adds a row for a
// client that no domain list has: a listing alone names domains by number.
func domainsOf(cur xen.Snapshot, before earlier) []Domain {
	list, listed := cur.Tmem.Get()
	clients := clientIndex(list)
	out := make([]Domain, 0, len(cur.Domains))
	for i := range cur.Domains {
		d := cur.Domains[i]
		was := before.domain(d, i)
		row := memoryOf(d)
		if was.comparable {
			row.Reset = was.reset
		}
		if c := clients.of(d, i); c != nil {
			row.fill(*c, list.TotalsOnly, was, before)
		}
		out = append(out, row)
	}
	if listed {
		for _, c := range clients.left() {
			d := xen.Domain{ID: opt.Of(c.ID)}
			was := before.domain(d, -1)
			row := memoryOf(d)
			if was.comparable {
				row.Reset = was.reset
			}
			row.fill(*c, list.TotalsOnly, was, before)
			out = append(out, row)
		}
	}
	byNumber := func(a, b Domain) int {
		ia, aok := a.ID.Get()
		ib, bok := b.ID.Get()
		if !aok || !bok {
			return 0
		}
		return int(ia) - int(ib)
	}
	if !slices.IsSortedFunc(out, byNumber) { // most sources have them in order
		slices.SortStableFunc(out, byNumber)
	}
	return out
}

// memoryOf fills what does not need tmem.
func memoryOf(d xen.Domain) Domain {
	row := Domain{
		ID: d.ID, UUID: d.UUID, Name: d.Name, Dom0: d.IsDom0(), State: d.State, Type: d.Type, PCI: d.PCI,
		Current: d.Current, Limit: d.Limit, Unlimited: d.Unlimited, StaticMax: d.StaticMax, Target: d.Target,
		Guest: d.Guest, Uptime: d.Uptime,
	}
	switch {
	case d.Unlimited, !d.Limit.Has():
		row.Maximum = d.StaticMax
	default:
		row.Maximum = opt.Of(max(d.Limit.Or(0), d.StaticMax.Or(0)))
	}
	row.Reclaimed = minus(row.Maximum, row.Current)
	row.RoomForPuts = minus(row.Limit, row.Current)
	return row
}

// minus is a difference of two sizes, at least 0: Xen may hold a page or two
// more than the limit for a domain while it changes.
func minus(a, b opt.Value[units.KiB]) opt.Value[units.KiB] {
	return opt.Both(a, b, func(a, b units.KiB) units.KiB { return max(0, a-b) })
}

// add sums counts; absent ones do not count, and all absent is absent.
func add(a, b xen.Count) xen.Count {
	if !a.Has() {
		return b
	}
	if !b.Has() {
		return a
	}
	return opt.Of(a.Or(0) + b.Or(0))
}

// addCounters sums counters over domains.
func addCounters(a, b Counter) Counter {
	s := Counter{Total: add(a.Total, b.Total), Interval: add(a.Interval, b.Interval)}
	if a.PerSecond.Has() || b.PerSecond.Has() {
		s.PerSecond = opt.Of(milli(a.PerSecond.Or(0) + b.PerSecond.Or(0)))
	}
	return s
}

// milli rounds to three decimals.
func milli(x float64) float64 { return math.Round(x*1000) / 1000 }

// pagesKiB converts a count of pages.
func pagesKiB(c xen.Count) opt.Value[units.KiB] {
	return opt.Map(c, func(n int64) units.KiB { return units.Pages(n).KiB() })
}

// Label is how a sentence speaks of the domain.
func (d *Domain) Label() string { return Label(d.Name, d.ID) }

// Label is how a sentence speaks of a domain: its name, else its number.
func Label(name string, id opt.Value[units.DomID]) string {
	n, ok := id.Get()
	switch {
	case name != "":
		return name
	case ok:
		return fmt.Sprintf("domain %d", n)
	default:
		return "(unnamed)"
	}
}
