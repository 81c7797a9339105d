package html

import (
	"math"
	"slices"
	"time"

	"xtm/report/history"
	"xtm/xen"
)

// Charts are the pictures of a stretch of history: memory, overcommit, what
// tmem did. A chart without any value is left out.
func Charts(r history.Range) []Chart {
	a := axisOf(r)
	memory := a.chart("Host memory", "MiB", true)
	memory.Series = slices.Concat(
		[]Series{
			a.host("Xen's own", "xen", level(history.XensOwn, kibToMiB)),
			a.host("Dom0", "dom0", level(history.Dom0, kibToMiB)),
		},
		a.domains(func(p *history.DomainPoint) float64 {
			return kibToMiB(p.Mean(history.Current)) - zero(pagesToMiB(p.Mean(history.PersistentPages)))
		}, true),
		[]Series{
			a.host("persistent pools", "persistent", level(history.GuestsPersistent, kibToMiB)),
			a.host("ephemeral pools", "ephemeral", level(history.HostEphemeralPages, pagesToMiB)),
			a.host("tmem's free list", "freelist", level(history.FreeListPages, pagesToMiB)),
			a.host("free", "free", level(history.Free, kibToMiB)),
		})
	over := a.chart("Overcommit: guests' maximum / guests' memory", "ratio", false)
	over.Series = []Series{a.host("overcommit ratio", "ephemeral", overcommit)}
	hits := a.chart("Hit rate of ephemeral pools", "% of counted gets", false)
	hits.Series = a.domains(share(history.EphemeralGets, history.EphemeralGetTries), false)
	puts := a.chart("Put acceptance of persistent pools", "% of attempted puts", false)
	puts.Series = a.domains(share(history.PersistentPuts, history.PersistentPutTries), false)
	avoided := a.chart("Reads and writes avoided", "pages/s", false)
	avoided.Series = []Series{
		a.host("disk reads", "ephemeral", perSecond(history.HostDiskReadsAvoided)),
		a.host("swap writes", "persistent", perSecond(history.HostSwapWritesAvoided)),
		a.host("swap reads", "dom0", perSecond(history.HostSwapReadsAvoided)),
	}
	lost := a.chart("Evictions", "pages/s", false)
	lost.Series = []Series{a.host("evicted pages", "persistent", perSecond(history.Evicted))}

	all := []Chart{memory, over, hits, puts, avoided, lost}
	for i := range all {
		all[i].Series = slices.DeleteFunc(all[i].Series, func(s Series) bool { return len(s.Values.known()) == 0 })
	}
	return slices.DeleteFunc(all, func(c Chart) bool { return len(c.Series) == 0 })
}

// axis is the times of a range: one for each point of the host, and one without
// a value in each gap.
type axis struct {
	r     history.Range
	times []time.Time
	place map[int]int // of a point's index
}

func axisOf(r history.Range) axis {
	a := axis{r: r, place: map[int]int{}}
	for i := range r.Host {
		p := &r.Host[i]
		if n := len(a.times); n > 0 && gapBetween(r.Gaps, a.times[n-1], p.Until) {
			a.times = append(a.times, a.times[n-1].Add(p.Until.Sub(a.times[n-1])/2))
		}
		a.place[p.Index] = len(a.times)
		a.times = append(a.times, p.Until)
	}
	return a
}

func gapBetween(gaps []history.Gap, from, to time.Time) bool {
	return slices.ContainsFunc(gaps, func(g history.Gap) bool { return g.From.Before(to) && g.To.After(from) })
}

func (a axis) chart(title, unit string, stacked bool) Chart {
	return Chart{Title: title, Unit: unit, Stacked: stacked, Times: a.times}
}

// nothing are values none of which is there.
func (a axis) nothing() Values {
	return slices.Repeat(Values{math.NaN()}, len(a.times))
}

func (a axis) host(name, class string, value func(*history.HostPoint) float64) Series {
	s := Series{Name: name, Class: class, Values: a.nothing()}
	for i := range a.r.Host {
		p := &a.r.Host[i]
		s.Values[a.place[p.Index]] = value(p)
	}
	return s
}

// domains are the series of all guests. In a stack, a guest that is not there
// while the host is has nothing, which is no gap.
func (a axis) domains(value func(*history.DomainPoint) float64, stacked bool) []Series {
	var list []Series
	for i := range a.r.Domains {
		d := &a.r.Domains[i]
		if d.Dom0 {
			continue
		}
		s := Series{Name: d.Label(), Values: a.nothing()}
		if stacked {
			for _, at := range a.place {
				s.Values[at] = 0
			}
		}
		for k := range d.Points {
			p := &d.Points[k]
			if at, ok := a.place[p.Index]; ok {
				s.Values[at] = value(p)
			}
		}
		list = append(list, s)
	}
	return list
}

func level(c history.HostColumn, unit func(xen.Count) float64) func(*history.HostPoint) float64 {
	return func(p *history.HostPoint) float64 { return unit(p.Mean(c)) }
}

func perSecond(c history.HostColumn) func(*history.HostPoint) float64 {
	return func(p *history.HostPoint) float64 {
		n, ok := p.Rise(c).Get()
		span := p.Span().Seconds()
		if !ok || span <= 0 {
			return math.NaN()
		}
		return float64(n) / span
	}
}

func share(part, whole history.Column) func(*history.DomainPoint) float64 {
	return func(p *history.DomainPoint) float64 {
		f, ok := p.Share(part, whole).Value.Get()
		if !ok {
			return math.NaN()
		}
		return f * 100
	}
}

func overcommit(p *history.HostPoint) float64 {
	memory := kibToMiB(p.Mean(history.Total)) - kibToMiB(p.Mean(history.XensOwn)) - kibToMiB(p.Mean(history.Dom0))
	if !(memory > 0) {
		return math.NaN()
	}
	return kibToMiB(p.Mean(history.GuestsMaximum)) / memory
}

func kibToMiB(v xen.Count) float64 {
	n, ok := v.Get()
	if !ok {
		return math.NaN()
	}
	return float64(n) / (1 << 10)
}

func pagesToMiB(v xen.Count) float64 {
	n, ok := v.Get()
	if !ok {
		return math.NaN()
	}
	return float64(n) / (1 << 8)
}
