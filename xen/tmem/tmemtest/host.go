package tmemtest

import (
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Host is the long listing of a busy host with so many guests from domain 1
// on and so many pools each, as of Xen 4.8–4.12. The second pool of each guest
// is persistent, the others are ephemeral. The same numbers come out each time,
// and the sums agree.
func Host(guests, pools int) xen.Listing {
	var l xen.Listing
	var calls, ephemeral, pages, objects, nodes, puts int64
	for i := range guests {
		c := guest(i, pools)
		for j := range c.Pools {
			p := &c.Pools[j]
			calls += p.PutTries.Or(0) + p.GetTries.Or(0) + p.PageFlushTries.Or(0) + p.ObjFlushTries.Or(0) + 1
			pages += p.Pages.Now.Or(0)
			objects += p.Objects.Now.Or(0)
			nodes += p.Nodes.Now.Or(0)
			if !p.Persistent {
				puts += p.Puts.Or(0)
			}
		}
		ephemeral += c.Ephemeral.Now.Or(0)
		l.Clients = append(l.Clients, c)
	}
	zero := opt.Of[int64](0)
	l.Host = opt.Of(xen.TmemHost{
		Calls: opt.Of(calls), Errors: opt.Of(calls / 20),
		FailedCopies: zero, FailedAllocs: zero, FailedPages: opt.Of(calls / 100),
		FreeListPages: opt.Of[int64](255), LowMemory: zero,
		Evicted: opt.Of(puts / 10), EvictAttempts: opt.Of(puts / 10),
		Relinquished: opt.Of(puts / 20), RelinquishTries: opt.Of(puts / 20),
		RelinquishMax: opt.Of[int64](1), FlushedPools: zero,
		Ephemeral: peak(ephemeral), Objects: peak(objects), Nodes: peak(nodes),
		Pages: peak(pages), Frames: peak(pages), Contents: peak(0),
		EphemeralPuts: opt.Of(puts), DedupPuts: zero, TrailingZeroes: zero, Compressed: zero,
	})
	return l
}

func peak(now int64) xen.Peak { return xen.Peak{Now: opt.Of(now), Max: opt.Of(now + now/8)} }

func guest(i, pools int) xen.TmemClient {
	id := units.DomID(i + 1) //nolint:gosec // a test asks for fewer than 65,535 guests
	zero := opt.Of[int64](0)
	var gets, persistentPuts, persistentGets, ephemeral int64
	c := xen.TmemClient{
		ID: id, Weight: opt.Of(int64(i%4) * 50), Compress: zero, Frozen: zero, Cycles: zero,
		CompressedPages: zero, CompressedBytes: zero, PoorlyPacked: zero, NoCompressRoom: zero,
	}
	for j := range pools {
		p := pool(id, j, int64(i%100+1)*int64(1000+200*j))
		if p.Persistent {
			persistentPuts += p.Puts.Or(0)
			persistentGets += p.Gets.Or(0)
		} else {
			gets += p.Gets.Or(0)
			ephemeral += p.Pages.Now.Or(0)
		}
		c.Pools = append(c.Pools, p)
	}
	c.EphemeralGets, c.PersistentPuts, c.PersistentGets = opt.Of(gets), opt.Of(persistentPuts), opt.Of(persistentGets)
	c.Ephemeral = peak(ephemeral)
	return c
}

// pool is one that had so many puts.
func pool(client units.DomID, slot int, puts int64) xen.TmemPool {
	p := xen.TmemPool{
		Client: opt.Of(client), ID: slot, Persistent: slot == 1,
		Pages: peak(puts / 4), Objects: peak(2), Nodes: peak(puts / 200),
		Puts: opt.Of(puts), PutTries: opt.Of(puts + puts/10), PutsRefused: opt.Of(puts / 10),
		DupFlushed: opt.Of[int64](0), DupReplaced: opt.Of[int64](0),
		Gets: opt.Of(puts / 2), GetTries: opt.Of(puts),
		PageFlushes: opt.Of(puts / 8), PageFlushTries: opt.Of(puts / 5),
		ObjFlushes: opt.Of[int64](1), ObjFlushTries: opt.Of[int64](3),
	}
	if p.Persistent { // a get leaves the page, only a flush takes it
		p.Gets, p.GetTries = opt.Of(puts/2), opt.Of(puts/2)
		p.PageFlushes, p.PageFlushTries = opt.Of(puts-puts/4), opt.Of(puts-puts/4)
	}
	return p
}
