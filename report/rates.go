package report

import (
	"time"

	"xtm/internal/opt"
	"xtm/xen"
)

// counter makes a Counter of a sum over pools and its rise.
func (t *tally) counter(total, rise xen.Count, compared bool, span time.Duration) Counter {
	c := Counter{Total: total}
	if compared && rise.Has() {
		c.Interval = rise
		c.PerSecond = opt.Of(milli(float64(rise.Or(0)) / span.Seconds()))
	}
	return c
}

// efficiency makes an Efficiency of sums over pools and their rises.
func (t *tally) efficiency(part, whole, partRise, wholeRise xen.Count, compared bool) Efficiency {
	e := Efficiency{Total: ratio(part, whole)}
	if compared {
		e.Interval = new(ratio(partRise, wholeRise))
	}
	return e
}

// poolOf makes one pool's row.
func poolOf(p, was xen.TmemPool, before earlier) Pool {
	var t tally
	t.add(p, was)
	compared := before.listSpan > 0 && was.PutTries.Has()
	return Pool{
		ID: p.ID, Persistent: p.Persistent, Shared: p.Shared, Sharers: p.Sharers, IdentityLost: p.IdentityLost,
		Pages: p.Pages.Now, Peak: p.Pages.Max, Objects: p.Objects.Now,
		Puts:    t.efficiency(t.puts, t.putTries, t.putsRise, t.putTriesRise, compared),
		Gets:    t.efficiency(t.gets, t.getTries, t.getsRise, t.getTriesRise, compared),
		Refused: t.counter(t.refused, t.refusedRise, compared, before.listSpan),
	}
}

// NewRatio is the share of two counts; its value is absent where one was not
// told or nothing was counted.
func NewRatio(part, whole xen.Count) Ratio { return ratio(part, whole) }

// NewCounter is a counter that rose so much within so many seconds.
func NewCounter(total, rise xen.Count, seconds float64) Counter {
	c := Counter{Total: total, Interval: rise}
	if n, ok := rise.Get(); ok && seconds > 0 {
		c.PerSecond = opt.Of(milli(float64(n) / seconds))
	}
	return c
}
