package guest

import (
	"fmt"

	"xtm/internal/opt"
	"xtm/internal/units"
)

// rises are what the counters rose by, or their totals since the guest's start.
type rises struct {
	Counters
	since string
}

func (s State) totals() rises { return rises{s.Counters, "since the guest's start"} }

// rises compares with the earlier reading where there is one. A counter that went
// back, as after a restart in between, makes it the total.
func (s State) rises() rises {
	total := s.totals()
	earlier, ok := s.Earlier.Get()
	if !ok {
		return total
	}
	r := rises{since: "between two readings"}
	back := false
	sub := func(now, then uint64) uint64 {
		back = back || now < then
		return now - then
	}
	r.Cleancache = opt.Both(s.Counters.Cleancache, earlier.Cleancache, func(n, e CleancacheCounters) CleancacheCounters {
		return CleancacheCounters{
			sub(n.SuccGets, e.SuccGets), sub(n.FailedGets, e.FailedGets), sub(n.Puts, e.Puts), sub(n.Invalidates, e.Invalidates),
		}
	})
	r.Frontswap = opt.Both(s.Counters.Frontswap, earlier.Frontswap, func(n, e FrontswapCounters) FrontswapCounters {
		return FrontswapCounters{
			sub(n.Loads, e.Loads), sub(n.SuccStores, e.SuccStores), sub(n.FailedStores, e.FailedStores), sub(n.Invalidates, e.Invalidates),
		}
	})
	if back {
		return total
	}
	return r
}

// came are pages that only a pool can have taken or given: those of the file
// cache that came back, and those of swap that went or came.
func (r rises) came() uint64 {
	return r.Cleancache.Or(CleancacheCounters{}).SuccGets +
		r.Frontswap.Or(FrontswapCounters{}).SuccStores + r.Frontswap.Or(FrontswapCounters{}).Loads
}

func (r rises) text() string {
	cc, fs := r.Cleancache.Or(CleancacheCounters{}), r.Frontswap.Or(FrontswapCounters{})
	out := ""
	if r.Cleancache.Has() {
		out = fmt.Sprintf("%s of %s file pages came back", group(cc.SuccGets), group(cc.SuccGets+cc.FailedGets))
	}
	if r.Frontswap.Has() {
		if out != "" {
			out += ", "
		}
		out += fmt.Sprintf("%s of %s swapped pages were taken", group(fs.SuccStores), group(fs.SuccStores+fs.FailedStores))
	}
	return out + " " + r.since
}

func group(n uint64) string { return units.Group(int64(min(n, 1<<62))) }

// Pool tells whether a pool stands behind this guest, as far as the guest can
// tell: by a proof, by a Xen that has none, and by pages that came back. Nothing
// else counts: the kernel says "enabled" on a host without tmem too.
func (s State) Pool() (Answer, string) {
	if p, ok := s.Proof.Get(); ok && p.Outcome != Unclear && p.Outcome != NoHits {
		return answer(p.Outcome == Proved), p.Why
	}
	if h, ok := s.Hypervisor.Get(); ok && !h.MayHaveTmem() {
		return No, xenWithout(h)
	}
	// A quiet interval says nothing against what came before it.
	r, total := s.rises(), s.totals()
	switch {
	case r.came() > 0:
		return Yes, r.text()
	case total.came() > 0:
		return Yes, total.text()
	case total.Cleancache.Has() || total.Frontswap.Has():
		return CouldNotTell, "nothing shows one: " + total.text()
	default:
		return CouldNotTell, "the counters could not be read: " + s.why("counters.cleancache")
	}
}
