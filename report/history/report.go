package history

import (
	"context"
	"fmt"
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// wholeHours is the length of a range from which on its report is made of
// whole hours.
const wholeHours = 48 * time.Hour

// Report is the report of the range: the host as of its last snapshot, and in
// the interval figures what happened since its first one, over resets too. The
// notes say what is missing. A range of more than two days, or one whose
// snapshots are no longer kept, is made of whole hours. Pools are not told
// apart. Without a snapshot in the range the error is cause.ErrNoData.
func (db *DB) Report(ctx context.Context, from, to time.Time, rules report.Thresholds) (report.Report, error) {
	r, err := db.reportOf(ctx, from, to, rules)
	if err != nil {
		return report.Report{}, explain("read", db.path, err)
	}
	return r, nil
}

func (db *DB) reportOf(ctx context.Context, from, to time.Time, rules report.Thresholds) (report.Report, error) {
	if !from.Before(to) {
		return report.Report{}, fmt.Errorf("nothing lies from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), cause.ErrNoData)
	}
	kept, err := db.keptSince(ctx, from)
	if err != nil {
		return report.Report{}, err
	}
	hours := !kept || to.Sub(from) > wholeHours
	step := to.Sub(from) + time.Millisecond
	if hours {
		step = (step + 2*time.Hour).Truncate(time.Hour)
	}
	all, err := db.read(ctx, Query{From: from, To: to}, step, hours)
	if err != nil {
		return report.Report{}, err
	}
	if len(all.Host) == 0 {
		return report.Report{}, fmt.Errorf("no snapshot lies from %s to %s: %w", stamp(from.UnixMilli()), stamp(to.UnixMilli()), cause.ErrNoData)
	}
	host := &all.Host[len(all.Host)-1]
	cur, err := db.lastSnapshot(ctx, host)
	if err != nil {
		return report.Report{}, err
	}
	prev, notes := rebuild(&cur, &all, host)
	r := report.Compute(prev, cur, rules)
	r.Source = "history"
	r.Recorded = fmt.Sprintf("in %s: %s from %s to %s", db.path, counted(host.Samples, "snapshot"),
		stamp(host.Since.UnixMilli()), stamp(host.Until.UnixMilli()))
	r.Notes = append(append(coverage(from, to, &all, host), notes...), r.Notes...)
	addTotals(&r.Host, host)
	for i := range r.Domains {
		if c := r.Domains[i].Client; c != nil {
			c.Pools = nil // they are not told apart
		}
	}
	return r, nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lastSnapshot is the host's part of the last snapshot.
func (db *DB) lastSnapshot(ctx context.Context, p *HostPoint) (xen.Snapshot, error) {
	r := p.last
	var version, answer string
	var s xen.Snapshot
	err := db.sql.QueryRowContext(ctx, `SELECT name, version, release, tmem, evidence, advice FROM about WHERE about = ?`, r[About]).
		Scan(&s.Host.Name, &version, &s.Host.Release, &answer, &s.TmemState.Evidence, &s.TmemState.Advice)
	if err != nil {
		return s, err
	}
	if version != "" {
		if s.Host.Version, err = xen.ParseVersion(version); err != nil {
			return s, err
		}
	}
	s.TmemState.Answer = xen.TmemAnswer(answer)
	s.Begin, s.End = milli(r[BeginMilli]), milli(r[EndMilli])
	restoreHost(r, &s)
	return s, nil
}

// rebuild adds to the last snapshot the domains that were in it, and makes a
// snapshot to compare it with: what every counter would have had at the range's
// begin if it had never started again. Where nothing rose that is below 0 for
// a counter that did, which is meant so.
func rebuild(cur *xen.Snapshot, all *Range, host *HostPoint) (*xen.Snapshot, []string) {
	now, _ := cur.Tmem.Get()
	was := xen.Listing{TotalsOnly: now.TotalsOnly}
	if g, ok := now.Host.Get(); ok {
		was.Host = opt.Of(hostBefore(g, host))
	}
	span := host.Until.Sub(host.Since)
	prev := xen.Snapshot{Host: cur.Host, Begin: cur.Begin.Add(-span), End: cur.End.Add(-span)}
	if !cur.ListedAt.IsZero() {
		prev.ListedAt = cur.ListedAt.Add(-host.Span())
	}
	var notes []string
	for i := range all.Domains {
		s := &all.Domains[i]
		p := &s.Points[len(s.Points)-1]
		if !p.Until.Equal(host.Until) {
			notes = append(notes, fmt.Sprintf("%s was there until %s: only the host's sums count it", s.Label(), stamp(p.Until.UnixMilli())))
			continue
		}
		switch again := s.Lives - 1 + p.Resets; {
		case again > 0:
			notes = append(notes, fmt.Sprintf("%s started again %s within the range: its figures add up before and after", s.Label(), times(again)))
		}
		d, c := restoreDomain(p.last, who{s.ID, s.UUID, s.Name, s.Type, s.guestPath})
		cur.Domains = append(cur.Domains, d)
		if c != nil {
			place(c, d, len(cur.Domains)-1)
			now.Clients = append(now.Clients, *c)
		}
		if p.Samples < 2 && d.ID.Has() && p.Since.Equal(p.Until) {
			continue // nothing to compare with: it is new
		}
		d.Uptime = opt.Value[time.Duration]{}
		prev.Domains = append(prev.Domains, d)
		if c != nil {
			before := clientBefore(*c, p)
			place(&before, d, len(prev.Domains)-1)
			was.Clients = append(was.Clients, before)
		}
	}
	if cur.Tmem.Has() {
		cur.Tmem, prev.Tmem = opt.Of(now), opt.Of(was)
	}
	if host.Samples < 2 && span == 0 {
		return nil, append(notes, "no interval: there is one snapshot only")
	}
	return &prev, notes
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// place gives a client of a domain without a number its position.
func place(c *xen.TmemClient, d xen.Domain, i int) {
	if !d.ID.Has() {
		c.Position = opt.Of(i)
	}
}

// less takes away what a counter rose; one whose rise is not known is taken not
// to have risen, so that nothing is made up.
func less[C ~int](p *Point[C], now xen.Count, c C) xen.Count {
	return opt.Map(now, func(n int64) int64 { return n - p.Rise(c).Or(0) })
}

func hostBefore(g xen.TmemHost, p *HostPoint) xen.TmemHost {
	return xen.TmemHost{
		Calls: less(p, g.Calls, Calls), Evicted: less(p, g.Evicted, Evicted), Relinquished: less(p, g.Relinquished, Relinquished),
		LowMemory: less(p, g.LowMemory, LowMemory), FailedPages: less(p, g.FailedPages, FailedPages),
	}
}

// clientBefore has the same pools with smaller counters.
func clientBefore(c xen.TmemClient, p *DomainPoint) xen.TmemClient {
	c.EphemeralGets = less(p, c.EphemeralGets, DiskReadsAvoided)
	c.PersistentPuts = less(p, c.PersistentPuts, SwapWritesAvoided)
	c.PersistentGets = less(p, c.PersistentGets, SwapReadsAvoided)
	pools := make([]xen.TmemPool, len(c.Pools))
	for i, q := range c.Pools {
		if q.Persistent {
			q.Puts, q.PutTries = less(p, q.Puts, PersistentPuts), less(p, q.PutTries, PersistentPutTries)
			q.PutsRefused = less(p, q.PutsRefused, PersistentRefused)
			q.Gets, q.GetTries = less(p, q.Gets, PersistentGets), less(p, q.GetTries, PersistentGetTries)
		} else {
			q.Puts, q.PutTries = less(p, q.Puts, EphemeralPuts), less(p, q.PutTries, EphemeralPutTries)
			q.Gets, q.GetTries = less(p, q.Gets, EphemeralGets), less(p, q.GetTries, EphemeralGetTries)
		}
		pools[i] = q
	}
	c.Pools = pools
	return c
}

// addTotals counts the domains that are gone too.
func addTotals(h *report.Host, p *HostPoint) {
	for column, to := range map[HostColumn]*report.Counter{
		HostDiskReadsAvoided: &h.DiskReadsAvoided, HostSwapWritesAvoided: &h.SwapWritesAvoided, HostSwapReadsAvoided: &h.SwapReadsAvoided,
	} {
		if rise := p.Rise(column); rise.Has() && p.Span() > 0 {
			*to = report.NewCounter(to.Total, rise, p.Span())
		}
	}
}

// coverage says what of the range there is nothing of.
func coverage(from, to time.Time, all *Range, host *HostPoint) []string {
	var notes []string
	usual := host.Until.Sub(host.Since) / time.Duration(max(1, host.Samples-1))
	late := 3*usual + time.Minute
	if first := host.Since; first.Sub(from) > late {
		notes = append(notes, "the first snapshot of the range is of "+stamp(first.UnixMilli()))
	}
	if to.Sub(host.Until) > late {
		notes = append(notes, "the last snapshot of the range is of "+stamp(host.Until.UnixMilli()))
	}
	const most = 5
	for i, g := range all.Gaps {
		if i == most {
			notes = append(notes, fmt.Sprintf("and %d more gaps", len(all.Gaps)-most))
			break
		}
		notes = append(notes, fmt.Sprintf("no snapshot between %s and %s", stamp(g.From.UnixMilli()), stamp(g.To.UnixMilli())))
	}
	if host.Resets > 0 {
		notes = append(notes, fmt.Sprintf("the host's tmem counters started again %s within the range: it was rebooted", times(host.Resets)))
	}
	return append(notes, all.Notes...)
}
