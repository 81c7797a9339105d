package report

import (
	"fmt"
	"slices"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// earlier is the snapshot before, made easy to look things up in.
type earlier struct {
	snap *xen.Snapshot
	// span is between the snapshots, listSpan between their tmem listings; 0
	// when there is nothing to compare with.
	span, listSpan time.Duration
	byUUID         map[string]int
	byID           map[units.DomID]int
	clients        clients
}

// newEarlier says in a note why an earlier snapshot cannot be used.
func newEarlier(prev *xen.Snapshot, cur xen.Snapshot) (earlier, string) {
	if prev == nil {
		return earlier{}, ""
	}
	if prev.End.IsZero() || cur.End.IsZero() {
		return earlier{}, "no interval: a saved listing or screen does not say when it was taken"
	}
	span := cur.End.Sub(prev.End)
	if span <= 0 {
		return earlier{}, fmt.Sprintf("no interval: the snapshot to compare with ended at %s, which is not before this one's %s",
			prev.End.UTC().Format(time.RFC3339), cur.End.UTC().Format(time.RFC3339))
	}
	if a, b := prev.Host.Name, cur.Host.Name; a != "" && b != "" && a != b {
		return earlier{}, fmt.Sprintf("no interval: the snapshot to compare with is of host %q, this one of %q", a, b)
	}
	e := earlier{snap: prev, span: span, listSpan: span, byUUID: map[string]int{}, byID: map[units.DomID]int{}}
	if !prev.ListedAt.IsZero() && !cur.ListedAt.IsZero() {
		e.listSpan = cur.ListedAt.Sub(prev.ListedAt)
	}
	for i, d := range prev.Domains {
		if d.UUID != "" && !d.IsDom0() {
			e.byUUID[d.UUID] = i
		}
		if id, ok := d.ID.Get(); ok {
			e.byID[id] = i
		}
	}
	note := ""
	old, wasListed := prev.Tmem.Get()
	now, isListed := cur.Tmem.Get()
	if !wasListed || !isListed {
		e.listSpan = 0
	}
	e.clients = clientIndex(old)
	was, okWas := old.Host.Get()
	is, okIs := now.Host.Get()
	if okWas && okIs && (is.Calls.Or(0) < was.Calls.Or(0) || is.Evicted.Or(0) < was.Evicted.Or(0)) {
		note = "the host's tmem counters started again: it was rebooted within the interval"
		e.listSpan, e.clients = 0, clients{}
	}
	return e, note
}

// host is the earlier G line; all absent where there is none to compare with.
func (e earlier) host() xen.TmemHost {
	if e.snap == nil || e.listSpan == 0 {
		return xen.TmemHost{}
	}
	list, _ := e.snap.Tmem.Get()
	h, _ := list.Host.Get()
	return h
}

// shared is the same shared pool before, known by its UUID.
func (e earlier) shared(p xen.TmemPool) xen.TmemPool {
	if e.snap == nil || p.IdentityLost {
		return xen.TmemPool{}
	}
	list, _ := e.snap.Tmem.Get()
	i := slices.IndexFunc(list.Shared, func(q xen.TmemPool) bool { return !q.IdentityLost && q.UUID == p.UUID })
	if i < 0 {
		return xen.TmemPool{}
	}
	return list.Shared[i]
}

// match is a domain of the snapshot before.
type match struct {
	comparable bool // there is a snapshot before
	found      bool
	reset      Reset
	client     xen.TmemClient
	pools      pools // nil where the domain was no client
}

// domain finds the domain before by uuid, else by number, else by position and
// name. i is its position now.
func (e earlier) domain(d xen.Domain, i int) match {
	if e.snap == nil {
		return match{}
	}
	m := match{comparable: true, reset: ResetNew}
	j, ok := -1, false
	id, hasID := d.ID.Get()
	switch {
	case d.UUID != "" && !d.IsDom0():
		if j, ok = e.byUUID[d.UUID]; ok {
			if was, had := e.snap.Domains[j].ID.Get(); had && hasID && was != id {
				m.reset = ResetRenumbered
				return m
			}
		} else if j, ok = e.byID[id]; ok && hasID && e.snap.Domains[j].UUID != "" {
			m.reset = ResetReborn
			return m
		}
	case hasID:
		j, ok = e.byID[id]
	case i >= 0 && i < len(e.snap.Domains):
		j, ok = i, e.snap.Domains[i].Name == d.Name
	}
	if !ok {
		// A listing alone has clients and no domains.
		if c := e.clients.byID[id]; c != nil && hasID {
			return match{comparable: true, found: true, client: *c, pools: poolsOf(*c)}
		}
		return m
	}
	was := e.snap.Domains[j]
	if up, had := d.Uptime.Get(); had && was.Uptime.Has() && up < was.Uptime.Or(0) {
		m.reset = ResetReborn
		return m
	}
	m.reset, m.found = "", true
	if c := e.clients.of(was, j); c != nil {
		m.client, m.pools = *c, poolsOf(*c)
	} else {
		// It became a client within the interval: everything rose from 0.
		m.client = xen.TmemClient{EphemeralGets: opt.Of[int64](0), PersistentPuts: opt.Of[int64](0), PersistentGets: opt.Of[int64](0)}
	}
	return m
}

// clients finds tmem clients by domain.
type clients struct {
	byID       map[units.DomID]*xen.TmemClient
	byPosition map[int]*xen.TmemClient
	used       map[*xen.TmemClient]bool
	all        []xen.TmemClient
}

func clientIndex(l xen.Listing) clients {
	c := clients{
		byID: make(map[units.DomID]*xen.TmemClient, len(l.Clients)), byPosition: map[int]*xen.TmemClient{},
		used: make(map[*xen.TmemClient]bool, len(l.Clients)), all: l.Clients,
	}
	for i := range l.Clients {
		if p, ok := l.Clients[i].Position.Get(); ok {
			c.byPosition[p] = &l.Clients[i]
		} else {
			c.byID[l.Clients[i].ID] = &l.Clients[i]
		}
	}
	return c
}

// of is the client of the domain at this position, or nil.
func (c clients) of(d xen.Domain, position int) *xen.TmemClient {
	t := c.byPosition[position]
	if id, ok := d.ID.Get(); ok {
		t = c.byID[id]
	}
	if t != nil {
		c.used[t] = true
	}
	return t
}

// left are the clients that no domain claimed.
func (c clients) left() []*xen.TmemClient {
	var out []*xen.TmemClient
	for i := range c.all {
		if !c.used[&c.all[i]] {
			out = append(out, &c.all[i])
		}
	}
	return out
}

// pools finds a pool by its slot.
type pools map[int]xen.TmemPool

func poolsOf(c xen.TmemClient) pools {
	m := make(pools, len(c.Pools))
	for _, p := range c.Pools {
		if !p.Shared {
			m[p.ID] = p
		}
	}
	return m
}

// of is the pool in the same slot if it is of the same kind and its counters
// did not go back; else a pool of nothing.
func (m pools) of(p xen.TmemPool) xen.TmemPool {
	was, ok := m[p.ID]
	if !ok || p.Shared || was.Persistent != p.Persistent || p.PutTries.Or(0) < was.PutTries.Or(0) {
		return xen.TmemPool{}
	}
	return was
}
