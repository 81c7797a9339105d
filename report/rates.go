package report

import (
	"time"

	"xtm/internal/opt"
	"xtm/xen"
)

// NewRatio is the share of two counts; its value is absent where one was not
// told or nothing was counted.
func NewRatio(part, whole xen.Count) Ratio {
	r := Ratio{Part: part, Whole: whole}
	if p, w := part.Or(0), whole.Or(0); part.Has() && w > 0 {
		r.Value = opt.Of(float64(p) / float64(w))
	}
	return r
}

// NewCounter is a counter that rose so much within a time. Where that is 0, or
// the rise is not known, there is nothing to compare with.
func NewCounter(total, rise xen.Count, span time.Duration) Counter {
	c := Counter{Total: total}
	if n, ok := rise.Get(); ok && span > 0 {
		c.Interval, c.PerSecond = rise, opt.Of(milli(float64(n)/span.Seconds()))
	}
	return c
}

// counter reads a counter and the one before. One that went back has no rise.
func counter(now, was xen.Count, span time.Duration) Counter {
	rise := opt.Both(now, was, func(n, w int64) int64 { return n - w })
	if rise.Or(0) < 0 {
		rise = xen.Count{}
	}
	return NewCounter(now, rise, span)
}

// efficiency is that of sums over pools and, where there is a span to compare
// with, of their rises.
func efficiency(part, whole, partRise, wholeRise xen.Count, span time.Duration) Efficiency {
	e := Efficiency{Total: NewRatio(part, whole)}
	if span > 0 {
		e.Interval = new(NewRatio(partRise, wholeRise))
	}
	return e
}

// poolOf makes one pool's row.
func poolOf(p, was xen.TmemPool, span time.Duration) Pool {
	if !was.PutTries.Has() {
		span = 0
	}
	var t tally
	t.add(p, was)
	return Pool{
		ID: p.ID, Persistent: p.Persistent, Shared: p.Shared, Sharers: p.Sharers, IdentityLost: p.IdentityLost,
		Pages: p.Pages.Now, Peak: p.Pages.Max, Objects: p.Objects.Now,
		Puts:    efficiency(t.puts, t.putTries, t.putsRise, t.putTriesRise, span),
		Gets:    efficiency(t.gets, t.getTries, t.getsRise, t.getTriesRise, span),
		Refused: NewCounter(t.refused, t.refusedRise, span),
	}
}
