package tmem_test

import (
	"slices"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"

	"pgregory.net/rapid"
)

// form is what makes the listings of releases differ.
type form struct {
	all, long, frames, caps, cycles bool
}

var forms = map[string]form{
	"4.0.0 short": {all: true, caps: true, cycles: true},
	"4.0.0 long":  {all: true, long: true, caps: true, cycles: true},
	"4.3 long":    {all: true, long: true, frames: true, caps: true, cycles: true},
	"4.7 short":   {all: true, caps: true},
	"4.7 long":    {all: true, long: true, frames: true, caps: true},
	"4.7 single":  {long: true, caps: true},
	"4.12 short":  {all: true},
	"4.12 long":   {all: true, long: true, frames: true},
	"4.12 single": {long: true},
}

// generate draws a listing of a form. Numbers are of any size: the parser
// judges none.
type generate struct {
	*rapid.T
	form
}

func (g generate) count() xen.Count { return opt.Of(rapid.Int64().Draw(g.T, "count")) }

func (g generate) fill(counts ...*xen.Count) {
	for _, c := range counts {
		*c = g.count()
	}
}

func (g generate) peaks(peaks ...*xen.Peak) {
	for _, p := range peaks {
		g.fill(&p.Now, &p.Max)
	}
}

func (g generate) uint32() xen.Count { return opt.Of(int64(rapid.Uint32().Draw(g.T, "uint32"))) }

func (g generate) listing() xen.Listing {
	var l xen.Listing
	if g.all {
		l.Host = opt.Of(g.host())
	}
	clients := 1
	if g.all {
		clients = rapid.IntRange(0, 6).Draw(g.T, "clients")
	}
	ids := rapid.SliceOfNDistinct(rapid.Uint16(), clients, clients, rapid.ID[uint16]).Draw(g.T, "domains")
	for _, id := range ids {
		l.Clients = append(l.Clients, g.client(units.DomID(id)))
	}
	if g.cycles {
		for _, tag := range []string{"G", "P", "g", "p", "F", "O", "C", "c", "d"} {
			n := func() int64 { return rapid.Int64().Draw(g.T, "cycles") }
			l.Cycles = append(l.Cycles, xen.TmemCycles{Tag: tag, Samples: n(), Total: n(), Max: n(), Min: n()})
		}
	}
	return l
}

func (g generate) host() xen.TmemHost {
	var h xen.TmemHost
	g.fill(&h.Calls, &h.Errors, &h.FailedCopies, &h.FailedAllocs, &h.FailedPages, &h.FreeListPages, &h.LowMemory,
		&h.Evicted, &h.EvictAttempts, &h.Relinquished, &h.RelinquishTries, &h.RelinquishMax, &h.FlushedPools)
	if g.long {
		g.peaks(&h.Ephemeral, &h.Objects, &h.Nodes, &h.Pages)
	}
	if g.long && g.frames {
		g.peaks(&h.Frames, &h.Contents)
		g.fill(&h.EphemeralPuts, &h.DedupPuts, &h.TrailingZeroes, &h.Compressed)
	}
	return h
}

func (g generate) client(id units.DomID) xen.TmemClient {
	c := xen.TmemClient{ID: id, Weight: g.uint32()}
	if g.caps {
		c.Cap = g.uint32()
	}
	g.fill(&c.Compress, &c.Frozen, &c.Cycles, &c.EphemeralGets, &c.PersistentPuts, &c.PersistentGets)
	if g.long {
		g.peaks(&c.Ephemeral)
		g.fill(&c.CompressedPages, &c.CompressedBytes, &c.PoorlyPacked, &c.NoCompressRoom)
	}
	for slot := range rapid.IntRange(0, 4).Draw(g.T, "pools") {
		p := xen.TmemPool{Client: opt.Of(id), ID: slot, Persistent: rapid.Bool().Draw(g.T, "persistent")}
		g.poolCounts(&p)
		c.Pools = append(c.Pools, p)
	}
	return c
}

func (g generate) poolCounts(p *xen.TmemPool) {
	if !g.long {
		return
	}
	g.peaks(&p.Pages, &p.Objects, &p.Nodes)
	g.fill(&p.Puts, &p.PutTries, &p.DupFlushed, &p.DupReplaced, &p.PutsRefused, &p.Gets, &p.GetTries,
		&p.PageFlushes, &p.PageFlushTries, &p.ObjFlushes, &p.ObjFlushTries)
}

// share makes pools of some of the clients. Uuids are random but for a few
// leading zeros, so that names differ in length as real ones do.
func (g generate) share(l *xen.Listing) {
	for slot := range rapid.IntRange(0, 5).Draw(g.T, "shared pools") {
		word := func() uint64 { return rapid.Uint64Range(1<<52, 1<<64-1).Draw(g.T, "uuid") }
		p := xen.TmemPool{ID: slot * 3, Shared: true, UUID: [2]uint64{word(), word()}}
		g.poolCounts(&p)
		for i := range l.Clients {
			if c := &l.Clients[i]; rapid.Bool().Draw(g.T, "shares") {
				p.Sharers = append(p.Sharers, c.ID)
			}
		}
		if len(p.Sharers) == 0 {
			continue
		}
		l.Shared = append(l.Shared, p)
		for i := range l.Clients {
			if c := &l.Clients[i]; slices.Contains(p.Sharers, c.ID) {
				q := p
				q.Client, q.Sharers = opt.Of(c.ID), nil
				c.Pools = append(c.Pools, q)
			}
		}
		slices.Sort(p.Sharers)
	}
}

// What Xen prints is read as what it was printed from, in every form.
func TestRenderedIsReadBack(t *testing.T) {
	for name, f := range forms {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := generate{t, f}.listing()
				got, err := tmem.ParseBytes(tmemtest.Render(want))
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
			})
		})
	}
}

// Whatever pools are shared by whom: each S line is counted once with its own
// counters, and a uuid or a list of sharers that is given is the right one.
func TestSharedIsNeverWrong(t *testing.T) {
	for name, f := range forms {
		if !f.all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				g := generate{t, f}
				want := g.listing()
				g.share(&want)
				got, err := tmem.ParseBytes(tmemtest.Render(want))
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Shared) != len(want.Shared) {
					t.Fatalf("%d shared pools, want %d", len(got.Shared), len(want.Shared))
				}
				for i, p := range got.Shared {
					w := want.Shared[i]
					if !p.IdentityLost && p.UUID != w.UUID || p.ID >= 0 && p.ID != w.ID || p.Persistent || !p.Shared {
						t.Fatalf("pool %d: %+v, want %+v", i, p, w)
					}
					if len(p.Sharers) > 0 && !slices.Equal(p.Sharers, w.Sharers) {
						t.Fatalf("pool %d is shared by %v, want %v", i, p.Sharers, w.Sharers)
					}
					if i == 0 && (p.IdentityLost || p.ID != w.ID) {
						t.Fatalf("the first pool is lost: %+v", p)
					}
					w.ID, w.UUID, w.Sharers, w.IdentityLost = p.ID, p.UUID, p.Sharers, p.IdentityLost
					same(t, p, w)
				}
				same(t, got.Clients, want.Clients)
			})
		})
	}
}
