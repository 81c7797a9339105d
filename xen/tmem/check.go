package tmem

import (
	"fmt"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// maxNotes bounds what Check says; a listing that is wrong everywhere is not
// better understood by a note for each pool.
const maxNotes = 32

// Check compares a listing with itself: gauges with their peaks, successes with
// attempts, clients with their pools, the host with all of them. What it
// returns are notes in plain words; no note means that all agrees.
//
// Xen's counters are not atomic and a listing is not one instant, so that a
// difference of 1 %, or of 64 where that is more, is let pass. Sums over pools
// are not compared in a listing that lacks some.
func Check(l xen.Listing) []string {
	c := checker{partial: l.Truncated != "" || l.TotalsOnly}
	if h, ok := l.Host.Get(); ok {
		c.host(h)
		if !c.partial {
			c.sums(h, l)
		}
	}
	for i := range l.Shared {
		c.pool(subject{kind: 'S', pool: i + 1}, &l.Shared[i])
	}
	for i := range l.Clients {
		c.client(&l.Clients[i])
	}
	if more := c.notes - maxNotes; more > 0 {
		c.out = append(c.out, fmt.Sprintf("%d more notes of this kind", more))
	}
	return c.out
}

// subject is what a note is about: the host, a client, one of its pools, or a
// shared pool, counted from 1.
type subject struct {
	kind   byte // 'G', 'C', 'P', 'S' as the lines
	client units.DomID
	pool   int
}

func (s subject) String() string {
	switch s.kind {
	case 'C':
		return fmt.Sprintf("domain %d", s.client)
	case 'P':
		return fmt.Sprintf("domain %d, pool %d", s.client, s.pool)
	case 'S':
		return fmt.Sprintf("shared pool no. %d", s.pool)
	}
	return "host"
}

type checker struct {
	partial bool
	notes   int
	out     []string
}

func (c *checker) note(format string, args ...any) {
	if c.notes++; c.notes <= maxNotes {
		c.out = append(c.out, fmt.Sprintf(format, args...))
	}
}

// skew is the difference to a value that is let pass.
func skew(v int64) int64 { return max(64, v/100) }

// figure is a count with its name.
type figure struct {
	name string
	v    xen.Count
}

// atMost wants a ≤ b, where both are known.
func (c *checker) atMost(s subject, a, b figure) {
	x, ok := a.v.Get()
	y, known := b.v.Get()
	if ok && known && x > y+skew(y) {
		c.note("%s: %s, %d, should be at most %s, %d", s, a.name, x, b.name, y)
	}
}

// same wants a and b to agree, where both are known.
func (c *checker) same(s subject, a, b figure) {
	x, ok := a.v.Get()
	y, known := b.v.Get()
	if ok && known && (x > y+skew(y) || y > x+skew(x)) {
		c.note("%s: %s, %d, should be %s, %d", s, a.name, x, b.name, y)
	}
}

func (c *checker) peak(s subject, what string, p xen.Peak) {
	if now, ok := p.Now.Get(); ok && now < 0 {
		c.note("%s: %s are negative, %d", s, what, now)
	}
	c.atMost(s, figure{what, p.Now}, figure{"their highest number", p.Max})
}

func (c *checker) host(h xen.TmemHost) {
	s := subject{kind: 'G'}
	c.peak(s, "ephemeral pages (Ec)", h.Ephemeral)
	c.peak(s, "objects (Oc)", h.Objects)
	c.peak(s, "nodes (Nc)", h.Nodes)
	c.peak(s, "pages (Pc)", h.Pages)
	c.peak(s, "page frames (Fc)", h.Frames)
	c.peak(s, "page contents (Sc)", h.Contents)
	c.atMost(s, figure{"errors (Te)", h.Errors}, figure{"calls (Tt)", h.Calls})
	c.atMost(s, figure{"evicted pages (Et)", h.Evicted}, figure{"attempts to evict (Ea)", h.EvictAttempts})
	c.atMost(s, figure{"pages handed back (Rt)", h.Relinquished}, figure{"requests for one (Ra)", h.RelinquishTries})
	c.atMost(s, figure{"deduplicated puts (Gd)", h.DedupPuts}, figure{"ephemeral puts (Ep)", h.EphemeralPuts})
	if n := h.RelinquishMax.Or(0); n > 10 {
		c.note("%s: evictions for one page handed back (Rx), %d, should be at most 10", s, n)
	}
}

// sums compares the host's totals with what its clients and pools add up to,
// each shared pool once.
func (c *checker) sums(h xen.TmemHost, l xen.Listing) {
	ephemeral := opt.Of(int64(0))
	for i := range l.Clients {
		ephemeral = add(ephemeral, l.Clients[i].Ephemeral.Now)
	}
	c.same(subject{kind: 'G'}, figure{"ephemeral pages (Ec)", h.Ephemeral.Now}, figure{"the sum over all domains", ephemeral})
	for _, total := range []struct {
		name string
		v    xen.Count
		of   func(*xen.TmemPool) xen.Count
	}{
		{"pages (Pc)", h.Pages.Now, func(p *xen.TmemPool) xen.Count { return p.Pages.Now }},
		{"objects (Oc)", h.Objects.Now, func(p *xen.TmemPool) xen.Count { return p.Objects.Now }},
		{"nodes (Nc)", h.Nodes.Now, func(p *xen.TmemPool) xen.Count { return p.Nodes.Now }},
	} {
		sum := opt.Of(int64(0))
		for i := range l.Shared {
			sum = add(sum, total.of(&l.Shared[i]))
		}
		for i := range l.Clients {
			sum = add(sum, sumPools(&l.Clients[i], private, total.of))
		}
		c.same(subject{kind: 'G'}, figure{total.name, total.v}, figure{"the sum over all pools", sum})
	}
}

// add is absent where either is.
func add(a, b xen.Count) xen.Count {
	return opt.Both(a, b, func(a, b int64) int64 { return a + b })
}

func sumPools(c *xen.TmemClient, which func(*xen.TmemPool) bool, of func(*xen.TmemPool) xen.Count) xen.Count {
	sum := opt.Of(int64(0))
	for i := range c.Pools {
		if p := &c.Pools[i]; which(p) {
			sum = add(sum, of(p))
		}
	}
	return sum
}

func private(p *xen.TmemPool) bool    { return !p.Shared }
func ephemeral(p *xen.TmemPool) bool  { return !p.Shared && !p.Persistent }
func persistent(p *xen.TmemPool) bool { return !p.Shared && p.Persistent }
func shared(p *xen.TmemPool) bool     { return p.Shared }

// client compares a client's totals with its living pools; they outlive pools,
// so that they may be larger. A shared pool's pages count for one of its
// sharers, and the listing does not say for which.
func (c *checker) client(cl *xen.TmemClient) {
	s := subject{kind: 'C', client: cl.ID}
	c.peak(s, "ephemeral pages (Ec)", cl.Ephemeral)
	gets := func(p *xen.TmemPool) xen.Count { return p.Gets }
	puts := func(p *xen.TmemPool) xen.Count { return p.Puts }
	pages := func(p *xen.TmemPool) xen.Count { return p.Pages.Now }
	c.atMost(s, figure{"gets found in its ephemeral pools (gs)", sumPools(cl, ephemeral, gets)},
		figure{"its ephemeral gets (Ge)", cl.EphemeralGets})
	c.atMost(s, figure{"puts into its persistent pools (ps)", sumPools(cl, persistent, puts)},
		figure{"its persistent puts (Pp)", cl.PersistentPuts})
	c.atMost(s, figure{"gets found in its persistent pools (gs)", sumPools(cl, persistent, gets)},
		figure{"its persistent gets (Gp)", cl.PersistentGets})
	if !c.partial {
		own := sumPools(cl, ephemeral, pages)
		c.atMost(s, figure{"pages in its ephemeral pools (Pc)", own}, figure{"its ephemeral pages (Ec)", cl.Ephemeral.Now})
		c.atMost(s, figure{"ephemeral pages (Ec)", cl.Ephemeral.Now},
			figure{"those in its ephemeral and shared pools (Pc)", add(own, sumPools(cl, shared, pages))})
	}
	for i := range cl.Pools {
		p := &cl.Pools[i]
		c.pool(subject{'P', cl.ID, p.ID}, p)
	}
}

func (c *checker) pool(s subject, p *xen.TmemPool) {
	c.peak(s, "pages (Pc)", p.Pages)
	c.peak(s, "objects (Oc)", p.Objects)
	c.peak(s, "nodes (Nc)", p.Nodes)
	tried := figure{"attempts (pt)", p.PutTries}
	c.atMost(s, figure{"good, flushed and refused puts (ps, pd, px)", add(p.Puts, add(p.DupFlushed, p.PutsRefused))}, tried)
	c.atMost(s, figure{"puts that replaced a page (pr)", p.DupReplaced}, figure{"good puts (ps)", p.Puts})
	c.atMost(s, figure{"good gets (gs)", p.Gets}, figure{"attempts (gt)", p.GetTries})
	c.atMost(s, figure{"page flushes that found one (fs)", p.PageFlushes}, figure{"attempts (ft)", p.PageFlushTries})
	c.atMost(s, figure{"object flushes that found one (os)", p.ObjFlushes}, figure{"attempts (ot)", p.ObjFlushTries})
	c.atMost(s, figure{"objects (Oc)", p.Objects.Now}, figure{"pages (Pc)", p.Pages.Now})
	c.atMost(s, figure{"pages (Pc)", p.Pages.Now}, figure{"puts without those replaced, got or flushed since", leftOver(p)})
}

// leftOver is how many pages a pool can have by its own counters: a put adds
// one unless it replaces or flushes one, a flush takes one, and so does a get from a
// private ephemeral pool. Evictions and object flushes, which no counter of a
// pool tells, only lower it.
func leftOver(p *xen.TmemPool) xen.Count {
	gone := add(p.DupReplaced, add(p.DupFlushed, p.PageFlushes))
	if ephemeral(p) {
		gone = add(gone, p.Gets)
	}
	return opt.Both(p.Puts, gone, func(puts, gone int64) int64 { return puts - gone })
}
