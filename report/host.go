package report

import (
	"fmt"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// hostOf adds up who has the machine's memory.
func hostOf(cur xen.Snapshot, domains []Domain, before earlier, notes *[]string) Host {
	h := Host{
		Name: cur.Host.Name, Version: cur.Host.Version, Release: cur.Host.Release,
		Total: cur.Host.Total, Free: cur.Host.Free, Granularity: cur.Host.Granularity,
	}
	list, _ := cur.Tmem.Get()
	g, hasG := list.Host.Get()
	if hasG {
		was := before.host()
		h.Ephemeral, h.FreeList = pagesKiB(g.Ephemeral.Now), pagesKiB(g.FreeListPages)
		h.Evicted = counter(g.Evicted, was.Evicted, before.listSpan)
		h.Relinquished = counter(g.Relinquished, was.Relinquished, before.listSpan)
		h.LowMemory = counter(g.LowMemory, was.LowMemory, before.listSpan)
		h.FailedPages = counter(g.FailedPages, was.FailedPages, before.listSpan)
	}
	h.freeable(cur.Host)
	current := h.sum(domains)
	h.bands(current, notes)
	h.overcommit()
	return h
}

// freeable takes Xen's own answer, else the sum of the two parts.
func (h *Host) freeable(host xen.Host) {
	if host.Freeable.Has() {
		h.Freeable = host.Freeable
		return
	}
	h.Freeable = opt.Both(h.Ephemeral, h.FreeList, func(e, f units.KiB) units.KiB { return e + f })
	h.FreeableEstimate = h.Freeable.Has()
}

// sum adds up the domains and returns Σ current of all, absent when a
// domain's is not known: a sum with a hole would be a wrong figure.
func (h *Host) sum(domains []Domain) opt.Value[units.KiB] {
	var guests, maximum, reclaimed units.KiB
	currents, maxima, n := true, true, 0
	for i := range domains {
		d := &domains[i]
		if e := d.Ephemeral(); e != nil {
			h.DiskReadsAvoided = addCounters(h.DiskReadsAvoided, e.DiskReadsAvoided)
		}
		if p := d.Persistent(); p != nil {
			h.SwapWritesAvoided = addCounters(h.SwapWritesAvoided, p.SwapWritesAvoided)
			h.SwapReadsAvoided = addCounters(h.SwapReadsAvoided, p.SwapReadsAvoided)
		}
		if p, ok := d.PersistentMemory.Get(); ok {
			h.Persistent = opt.Of(h.Persistent.Or(0) + p)
		}
		if d.Dom0 {
			h.Dom0 = d.Current
			currents = currents && d.Current.Has()
			continue
		}
		n++
		currents = currents && d.Current.Has()
		guests += d.Current.Or(0)
		reclaimed += d.Reclaimed.Or(0)
		if !d.State.Dying { // its promise is over, its memory not yet back
			maxima = maxima && d.Maximum.Has()
			maximum += d.Maximum.Or(0)
		}
	}
	if n > 0 && currents {
		h.Guests = opt.Of(guests)
	}
	if n > 0 && maxima {
		h.GuestsMaximum, h.Reclaimed = opt.Of(maximum), opt.Of(reclaimed)
	}
	if !currents || len(domains) == 0 {
		return opt.Value[units.KiB]{}
	}
	return opt.Of(guests + h.Dom0.Or(0))
}

// bands finds what Xen itself holds: the rest.
func (h *Host) bands(current opt.Value[units.KiB], notes *[]string) {
	taken, ok := opt.Both(h.Ephemeral, h.FreeList, func(e, f units.KiB) units.KiB { return e + f }).Get()
	if !ok {
		taken = h.Freeable.Or(0)
	}
	if !h.Total.Has() || !h.Free.Has() || !current.Has() {
		return
	}
	own := h.Total.Or(0) - h.Free.Or(0) - current.Or(0) - taken
	if own < 0 {
		*notes = append(*notes, fmt.Sprintf("could not tell Xen's own memory: the parts exceed the total by %d KiB, "+
			"so they were not read at the same moment", -own))
		return
	}
	h.XensOwn = opt.Of(own)
}

// overcommit compares what guests were promised with what there is for them.
func (h *Host) overcommit() {
	if h.Total.Has() && h.XensOwn.Has() && h.Dom0.Has() {
		h.GuestsMemory = opt.Of(h.Total.Or(0) - h.XensOwn.Or(0) - h.Dom0.Or(0))
	}
	if have, most := h.GuestsMemory.Or(0), h.GuestsMaximum.Or(0); have > 0 && h.GuestsMaximum.Has() {
		h.Overcommit = opt.Of(float64(most) / float64(have))
		h.Shortfall = opt.Of(max(0, most-have))
	}
}
