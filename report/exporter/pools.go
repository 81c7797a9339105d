package exporter

import (
	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// The kinds of pool.
const (
	ephemeral  = "ephemeral"
	persistent = "persistent"
)

// poolFamilies sum up each domain's own pools of a kind. When one of several
// pools goes, the sum falls, and Prometheus takes it for a restart: what the
// others had counted is then counted once more.
type poolFamilies struct {
	pages, gets, puts *family
	was, now          levels
}

func newPoolFamilies(was levels) *poolFamilies {
	return &poolFamilies{
		pages: newFamily("xtm_tmem_pool_pages", "Pages in the domain's own pools.", gauge),
		gets:  newFamily("xtm_tmem_gets_total", "Counted gets: Xen counts none on an empty pool.", counter),
		puts: newFamily("xtm_tmem_puts_total", "Puts by what came of them; no_memory is a domain at its limit, a frozen one or a host without pages, "+
			"duplicate a page that took another's place and was lost.", counter),
		was: was, now: make(levels, len(was)),
	}
}

func (p *poolFamilies) all() []*family { return []*family{p.pages, p.gets, p.puts} }

// sums are the counters of a domain's pools of one kind.
type sums struct {
	pools                                          int
	pages, puts, putTries, refused, found, counted xen.Count
}

// add puts in what a domain's pools hold and did.
func (p *poolFamilies) add(who identity, d *report.Domain) {
	if d.Client == nil {
		return
	}
	for _, kind := range []string{ephemeral, persistent} {
		var s sums
		for i := range d.Client.Pools {
			pool := &d.Client.Pools[i]
			if !pool.Shared && pool.Persistent == (kind == persistent) {
				s.add(pool)
			}
		}
		if s.pools == 0 {
			s.pages = totalPages(d, kind) // a source that shows totals only
		}
		p.pages.add(who.labels("type", kind), float(s.pages))
		result := func(f *family, name string, v xen.Count) {
			f.add(who.labels("result", name, "type", kind), float(v))
		}
		result(p.gets, "hit", s.found)
		result(p.gets, "miss", p.rest(who, kind+" miss", s.counted, s.found))
		result(p.puts, "stored", s.puts)
		result(p.puts, "no_memory", s.refused)
		result(p.puts, "duplicate", p.rest(who, kind+" duplicate", s.putTries, s.puts, s.refused))
	}
}

func (s *sums) add(p *report.Pool) {
	s.pools++
	for _, x := range []struct {
		sum *xen.Count
		v   xen.Count
	}{
		{&s.pages, p.Pages},
		{&s.puts, p.Puts.Total.Part},
		{&s.putTries, p.Puts.Total.Whole},
		{&s.refused, p.Refused.Total},
		{&s.found, p.Gets.Total.Part},
		{&s.counted, p.Gets.Total.Whole},
	} {
		if n, ok := x.v.Get(); ok {
			*x.sum = opt.Of(x.sum.Or(0) + n)
		}
	}
}

func totalPages(d *report.Domain, kind string) xen.Count {
	if e := d.Ephemeral(); e != nil && kind == ephemeral {
		return e.Pages
	}
	if p := d.Persistent(); p != nil && kind == persistent {
		return p.Pages
	}
	return xen.Count{}
}

// levels are the last values of counters that are differences of others.
type levels map[level]int64

type level struct {
	identity
	what string
}

// underWay is by how much a difference of counters may fall while neither was
// reset: Xen counts a call when it begins and its success when it ends, each
// CPU for itself.
const underWay = 16

// rest is a counter that is a difference: what is left of a whole without its
// parts. A small fall is calls that were under way, and not shown: Prometheus
// would take it for a restart and count all of it again.
func (p *poolFamilies) rest(who identity, what string, whole xen.Count, parts ...xen.Count) xen.Count {
	n, ok := whole.Get()
	for _, part := range parts {
		ok = ok && part.Has()
		n -= part.Or(0)
	}
	if !ok {
		return xen.Count{}
	}
	n = max(0, n)
	key := level{who, what}
	if before, known := p.was[key]; known && n < before && before-n <= underWay {
		n = before
	}
	p.now[key] = n
	return opt.Of(n)
}
