package history

import (
	"fmt"
	"math/rand/v2"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// begin is when generated hosts begin to be watched.
var begin = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// machineRoom is a host whose guests live plausibly: counters rise in bursts,
// balloons follow the load, most settings never change.
type machineRoom struct {
	random *rand.Rand
	step   time.Duration
	now    time.Time
	snap   xen.Snapshot
	guests []guestLoad
}

// guestLoad is how busy a guest is: it changes seldom.
type guestLoad struct {
	busy   float64
	target int64
}

// newHost has n guests, each with an ephemeral and a persistent pool: 20
// figures each that are told.
func newHost(seed uint64, n int, step time.Duration) *machineRoom {
	m := &machineRoom{random: rand.New(rand.NewPCG(seed, 1)), step: step, now: begin, guests: make([]guestLoad, n)}
	m.snap = xen.Snapshot{
		Source: "hypercall",
		Host: xen.Host{
			Name: "generated", Version: xen.Version{Major: 4, Minor: 12, Extra: ".4"}, Release: "4.19.0",
			Total: kib(int64(n) << 20), Free: kib(1 << 20), Granularity: kib(4),
		},
		TmemState: xen.TmemState{Answer: xen.TmemOn, Evidence: "a listing"},
		Domains: []xen.Domain{{
			ID: opt.Of(units.DomID(0)), UUID: "00000000-0000-0000-0000-000000000000", Name: "Domain-0", Current: kib(4 << 20),
			Unlimited: true, Uptime: opt.Of(24 * time.Hour), State: xen.State{Running: true},
		}},
		Tmem: opt.Of(xen.Listing{Host: opt.Of(xen.TmemHost{
			Calls: n64(1), FreeListPages: n64(10_000), Ephemeral: xen.Peak{Now: n64(0)},
			Evicted: n64(0), Relinquished: n64(0), LowMemory: n64(0), FailedPages: n64(0),
		})}),
	}
	for i := range n {
		m.guests[i] = guestLoad{busy: m.random.Float64(), target: 1 << 18}
		m.add(units.DomID(i+1), fmt.Sprintf("guest%03d", i+1))
	}
	return m
}

func n64(n int64) xen.Count                  { return opt.Of(n) }
func kib(n int64) opt.Value[units.KiB]       { return opt.Of(units.KiB(n)) }
func (m *machineRoom) listing() *xen.Listing { l, _ := m.snap.Tmem.Get(); return &l }

// add boots a guest.
func (m *machineRoom) add(id units.DomID, name string) {
	m.snap.Domains = append(m.snap.Domains, xen.Domain{
		ID: opt.Of(id), UUID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", id), Name: name, Type: "pv",
		Current: kib(200 << 10), Limit: kib(512 << 10), StaticMax: kib(512 << 10), Target: kib(256 << 10),
		Uptime: opt.Of(time.Duration(0)), State: xen.State{Blocked: true},
	})
	l := m.listing()
	zero := n64(0)
	l.Clients = append(l.Clients, xen.TmemClient{
		ID: id, Weight: zero, Compress: zero, Frozen: zero, EphemeralGets: zero, PersistentPuts: zero, PersistentGets: zero,
		Ephemeral: xen.Peak{Now: zero, Max: zero},
		Pools: []xen.TmemPool{
			{Client: opt.Of(id), Puts: zero, PutTries: zero, DupReplaced: zero, Gets: zero, GetTries: zero, PageFlushes: zero},
			{Client: opt.Of(id), ID: 1, Persistent: true, Puts: zero, PutTries: zero, PutsRefused: zero, Gets: zero, GetTries: zero},
		},
	})
	m.snap.Tmem = opt.Of(*l)
}

// rise makes n more of a counter.
func rise(c *xen.Count, n int64) { *c = opt.Of(c.Or(0) + n) }

// tick lets one step pass and returns what is to be seen then. The snapshot
// shares nothing with the host.
func (m *machineRoom) tick() xen.Snapshot {
	jitter := time.Duration(m.random.IntN(40)) * time.Millisecond
	m.now = m.now.Add(m.step)
	s := &m.snap
	s.Begin, s.End, s.ListedAt = m.now, m.now.Add(30*time.Millisecond+jitter), m.now.Add(10*time.Millisecond)
	var eph int64
	l := m.listing()
	for i := range s.Domains {
		d := &s.Domains[i]
		d.Uptime = opt.Of(d.Uptime.Or(0) + m.step)
		if i == 0 {
			continue
		}
		m.live(&m.guests[i-1], d, &l.Clients[i-1])
		eph += l.Clients[i-1].Ephemeral.Now.Or(0)
	}
	h, _ := l.Host.Get()
	rise(&h.Calls, m.random.Int64N(1_000_000))
	rise(&h.Evicted, m.random.Int64N(5000))
	h.Ephemeral.Now = n64(eph)
	l.Host = opt.Of(h)
	s.Host.Free = kib(1<<20 + m.random.Int64N(1<<12)*4)
	s.Tmem = opt.Of(*l)
	return clone(*s)
}

// live is a minute of a guest: half of the time little happens.
func (m *machineRoom) live(g *guestLoad, d *xen.Domain, c *xen.TmemClient) {
	if m.random.IntN(60) == 0 {
		g.busy, g.target = m.random.Float64(), 100<<10+m.random.Int64N(400<<10)
	}
	now := int64(d.Current.Or(0))
	d.Current = kib((now + (g.target-now)/8) &^ 3)
	n := int64(0)
	if g.busy > 0.5 {
		n = m.random.Int64N(int64(g.busy * 5000))
	}
	e, p := &c.Pools[0], &c.Pools[1]
	found := n / int64(2+m.random.IntN(4))
	rise(&e.GetTries, n)
	rise(&e.Gets, found)
	rise(&c.EphemeralGets, found)
	rise(&e.PutTries, n)
	rise(&e.Puts, n-n/50)
	rise(&e.PageFlushes, n/9)
	pages := max(0, min(40_000, c.Ephemeral.Now.Or(0)+n-n/50-found-n/9-m.random.Int64N(500)))
	c.Ephemeral = xen.Peak{Now: n64(pages), Max: n64(max(pages, c.Ephemeral.Max.Or(0)))}
	e.Pages = c.Ephemeral
	swap := n / 10
	refused := swap / 20
	rise(&p.PutTries, swap)
	rise(&p.Puts, swap-refused)
	rise(&p.PutsRefused, refused)
	rise(&c.PersistentPuts, swap-refused)
	rise(&p.Gets, swap/2)
	rise(&p.GetTries, swap/2)
	rise(&c.PersistentGets, swap/2)
	held := min(20_000, p.Pages.Now.Or(0)+swap/2)
	p.Pages = xen.Peak{Now: n64(held), Max: n64(max(held, p.Pages.Max.Or(0)))}
}

// clone copies what tick goes on to change.
func clone(s xen.Snapshot) xen.Snapshot {
	s.Domains = append([]xen.Domain(nil), s.Domains...)
	l, ok := s.Tmem.Get()
	if ok {
		l.Clients = append([]xen.TmemClient(nil), l.Clients...)
		for i := range l.Clients {
			l.Clients[i].Pools = append([]xen.TmemPool(nil), l.Clients[i].Pools...)
		}
		s.Tmem = opt.Of(l)
	}
	return s
}
