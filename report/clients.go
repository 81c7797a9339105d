package report

import (
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// fill adds what tmem does for the domain.
func (d *Domain) fill(c xen.TmemClient, totalsOnly bool, was match, before earlier) {
	out := &Client{Weight: c.Weight, Cap: c.Cap, Compress: c.Compress, Frozen: c.Frozen}
	old, oldPools := was.client, was.pools
	if was.reset == "" && wentBack(c, old) {
		d.Reset = ResetCounters
	}
	if was.reset != "" || d.Reset != "" {
		old, oldPools = xen.TmemClient{}, nil
	}
	span := before.listSpan
	if d.Reset != "" || !was.found {
		span = 0
	}
	eph := Ephemeral{
		Pages: c.Ephemeral.Now, Peak: c.Ephemeral.Max,
		DiskReadsAvoided: counter(c.EphemeralGets, old.EphemeralGets, span),
	}
	per := Persistent{
		SwapWritesAvoided: counter(c.PersistentPuts, old.PersistentPuts, span),
		SwapReadsAvoided:  counter(c.PersistentGets, old.PersistentGets, span),
	}
	var es, ps tally
	out.Pools = make([]Pool, 0, len(c.Pools))
	for i := range c.Pools {
		p := c.Pools[i]
		oldPool := oldPools.of(p)
		out.Pools = append(out.Pools, poolOf(p, oldPool, before.listSpan))
		switch {
		case p.Shared && !p.Persistent:
			es.shared++
		case p.Persistent:
			ps.add(p, oldPool)
		default:
			es.add(p, oldPool)
		}
	}
	if totalsOnly || es.n+es.shared > 0 {
		if !totalsOnly {
			eph.Pools = opt.Of(int64(es.n + es.shared))
		}
		eph.Puts = NewCounter(es.puts, es.putsRise, span)
		eph.HitRate = efficiency(es.gets, es.getTries, es.getsRise, es.getTriesRise, span)
		eph.LostOrFlushed = es.lost()
		if !eph.Pages.Has() {
			eph.Pages = es.pages
		}
		out.Ephemeral = &eph
	}
	if totalsOnly || ps.n > 0 {
		if !totalsOnly {
			per.Pools = opt.Of(int64(ps.n))
		}
		per.Pages, per.Peak = ps.pages, ps.peak
		per.Acceptance = efficiency(ps.puts, ps.putTries, ps.putsRise, ps.putTriesRise, span)
		per.Refused = NewCounter(ps.refused, ps.refusedRise, span)
		out.Persistent = &per
		d.PersistentMemory = pagesKiB(per.Pages)
	}
	if cp := c.CompressedPages.Or(0); cp > 0 {
		out.CompressionRatio = opt.Map(c.CompressedBytes, func(b int64) float64 {
			return float64(b) / float64(cp*units.PageSize)
		})
	}
	d.Client = out
}

// wentBack tells whether a total of the client is smaller than before. Totals
// outlive pools, so a fall means a new client.
func wentBack(now, was xen.TmemClient) bool {
	fell := func(n, w xen.Count) bool { return n.Has() && w.Has() && n.Or(0) < w.Or(0) }
	return fell(now.EphemeralGets, was.EphemeralGets) || fell(now.PersistentPuts, was.PersistentPuts) ||
		fell(now.PersistentGets, was.PersistentGets)
}

// tally adds up the pools of one kind.
type tally struct {
	n, shared                                                   int
	pages, peak, puts, putTries, refused, replaced              xen.Count
	gets, getTries, flushes                                     xen.Count
	putsRise, putTriesRise, refusedRise, getsRise, getTriesRise xen.Count
}

func (t *tally) add(p, was xen.TmemPool) {
	t.n++
	for _, s := range []struct {
		sum *xen.Count
		v   xen.Count
	}{
		{&t.pages, p.Pages.Now},
		{&t.peak, p.Pages.Max},
		{&t.puts, p.Puts},
		{&t.putTries, p.PutTries},
		{&t.refused, p.PutsRefused},
		{&t.replaced, p.DupReplaced},
		{&t.gets, p.Gets},
		{&t.getTries, p.GetTries},
		{&t.flushes, p.PageFlushes},
		{&t.putsRise, rise(p.Puts, was.Puts)},
		{&t.putTriesRise, rise(p.PutTries, was.PutTries)},
		{&t.refusedRise, rise(p.PutsRefused, was.PutsRefused)},
		{&t.getsRise, rise(p.Gets, was.Gets)},
		{&t.getTriesRise, rise(p.GetTries, was.GetTries)},
	} {
		*s.sum = add(*s.sum, s.v)
	}
}

// rise is how much a pool's counter grew. A pool that was not there before, or
// was made again in the same slot, grew from 0.
func rise(now, was xen.Count) xen.Count {
	if !now.Has() || !was.Has() || now.Or(0) < was.Or(0) {
		return now
	}
	return opt.Of(now.Or(0) - was.Or(0))
}

// lost is at most this many pages: put, and neither replaced, read back,
// flushed by page nor there now. Counters are read while guests go on, so the
// sum can be a little below 0: that is none.
func (t *tally) lost() xen.Count {
	if !t.puts.Has() || !t.pages.Has() {
		return xen.Count{}
	}
	return opt.Of(max(0, t.puts.Or(0)-t.replaced.Or(0)-t.gets.Or(0)-t.flushes.Or(0)-t.pages.Or(0)))
}
