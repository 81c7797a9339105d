package tmem_test

import (
	"strings"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

func TestCheckAgrees(t *testing.T) {
	for _, l := range []xen.Listing{{}, tmemtest.Host(0, 0), tmemtest.Host(200, 3)} {
		if notes := tmem.Check(l); len(notes) > 0 {
			t.Errorf("%d clients: %q", len(l.Clients), notes)
		}
	}
}

// Each contradiction gives its own note and no other.
func TestCheckNotes(t *testing.T) {
	n := func(v int64) xen.Count { return opt.Of(v) }
	peak := func(now, high int64) xen.Peak { return xen.Peak{Now: n(now), Max: n(high)} }
	host := func(h xen.TmemHost) xen.Listing { return xen.Listing{Host: opt.Of(h)} }
	client := func(c xen.TmemClient) xen.Listing {
		c.ID = 7
		return xen.Listing{Clients: []xen.TmemClient{c}}
	}
	pool := func(p xen.TmemPool) xen.Listing {
		p.ID = 2
		return client(xen.TmemClient{Pools: []xen.TmemPool{p}})
	}
	tests := []struct {
		l    xen.Listing
		want string
	}{
		{host(xen.TmemHost{Frames: peak(2000, 1000)}), "host: page frames (Fc), 2000, should be at most their highest number, 1000"},
		{host(xen.TmemHost{Frames: peak(-1, 1000)}), "host: page frames (Fc) are negative, -1"},
		{host(xen.TmemHost{Errors: n(900), Calls: n(500)}), "host: errors (Te), 900, should be at most calls (Tt), 500"},
		{host(xen.TmemHost{Evicted: n(900), EvictAttempts: n(500)}), "host: evicted pages (Et), 900, should be at most attempts to evict (Ea), 500"},
		{host(xen.TmemHost{Relinquished: n(900), RelinquishTries: n(500)}), "host: pages handed back (Rt), 900, should be at most requests for one (Ra), 500"},
		{host(xen.TmemHost{DedupPuts: n(900), EphemeralPuts: n(500)}), "host: deduplicated puts (Gd), 900, should be at most ephemeral puts (Ep), 500"},
		{host(xen.TmemHost{RelinquishMax: n(11)}), "host: evictions for one page handed back (Rx), 11, should be at most 10"},
		{host(xen.TmemHost{Ephemeral: peak(900, 900)}), "host: ephemeral pages (Ec), 900, should be the sum over all domains, 0"},
		{host(xen.TmemHost{Nodes: peak(900, 900)}), "host: nodes (Nc), 900, should be the sum over all pools, 0"},
		{client(xen.TmemClient{EphemeralGets: n(0), Pools: []xen.TmemPool{{Gets: n(900)}}}), "domain 7: gets found in its ephemeral pools (gs), 900, should be at most its ephemeral gets (Ge), 0"},
		{client(xen.TmemClient{PersistentPuts: n(0), Pools: []xen.TmemPool{{Persistent: true, Puts: n(900)}}}), "domain 7: puts into its persistent pools (ps), 900, should be at most its persistent puts (Pp), 0"},
		{client(xen.TmemClient{PersistentGets: n(0), Pools: []xen.TmemPool{{Persistent: true, Gets: n(900)}}}), "domain 7: gets found in its persistent pools (gs), 900, should be at most its persistent gets (Gp), 0"},
		{client(xen.TmemClient{Ephemeral: peak(0, 0), Pools: []xen.TmemPool{{Pages: peak(900, 900)}}}), "domain 7: pages in its ephemeral pools (Pc), 900, should be at most its ephemeral pages (Ec), 0"},
		{client(xen.TmemClient{Ephemeral: peak(2000, 2000), Pools: []xen.TmemPool{{Pages: peak(900, 900)}, {Shared: true, Pages: peak(500, 500)}}}), "domain 7: ephemeral pages (Ec), 2000, should be at most those in its ephemeral and shared pools (Pc), 1400"},
		{pool(xen.TmemPool{Puts: n(500), PutsRefused: n(500), DupFlushed: n(0), PutTries: n(900)}), "domain 7, pool 2: good, flushed and refused puts (ps, pd, px), 1000, should be at most attempts (pt), 900"},
		{pool(xen.TmemPool{DupReplaced: n(900), Puts: n(500)}), "domain 7, pool 2: puts that replaced a page (pr), 900, should be at most good puts (ps), 500"},
		{pool(xen.TmemPool{Gets: n(900), GetTries: n(500)}), "domain 7, pool 2: good gets (gs), 900, should be at most attempts (gt), 500"},
		{pool(xen.TmemPool{PageFlushes: n(900), PageFlushTries: n(500)}), "domain 7, pool 2: page flushes that found one (fs), 900, should be at most attempts (ft), 500"},
		{pool(xen.TmemPool{ObjFlushes: n(900), ObjFlushTries: n(500)}), "domain 7, pool 2: object flushes that found one (os), 900, should be at most attempts (ot), 500"},
		{pool(xen.TmemPool{Objects: peak(900, 900), Pages: peak(500, 500)}), "domain 7, pool 2: objects (Oc), 900, should be at most pages (Pc), 500"},
		{pool(xen.TmemPool{Pages: peak(900, 900), Puts: n(1000), DupReplaced: n(0), DupFlushed: n(0), PageFlushes: n(200), Gets: n(100)}), "domain 7, pool 2: pages (Pc), 900, should be at most puts without those replaced, got or flushed since, 700"},
		{xen.Listing{Shared: []xen.TmemPool{{Shared: true, Gets: n(900), GetTries: n(500)}}}, "shared pool no. 1: good gets (gs), 900, should be at most attempts (gt), 500"},
	}
	for _, tt := range tests {
		if notes := tmem.Check(tt.l); len(notes) != 1 || notes[0] != tt.want {
			t.Errorf("notes:\n%q\nwant:\n%q", notes, tt.want)
		}
	}
}

// A persistent pool and a shared one keep what is got from them.
func TestCheckGetsThatStay(t *testing.T) {
	n := func(v int64) xen.Count { return opt.Of(v) }
	for _, p := range []xen.TmemPool{{Persistent: true}, {Shared: true}} {
		p.Pages.Now, p.Puts, p.Gets = n(1000), n(1000), n(5000)
		p.DupReplaced, p.DupFlushed, p.PageFlushes = n(0), n(0), n(0)
		if notes := tmem.Check(xen.Listing{Clients: []xen.TmemClient{{Pools: []xen.TmemPool{p}}}}); len(notes) > 0 {
			t.Errorf("%+v: %q", p, notes)
		}
	}
}

// Guests go on while Xen counts: a little is let pass, as are sums over pools
// that are not all there.
func TestCheckTolerates(t *testing.T) {
	l := tmemtest.Host(100, 3)
	h, _ := l.Host.Get()
	h.Pages.Now = opt.Of(h.Pages.Now.Or(0) + h.Pages.Now.Or(0)/200)
	l.Host = opt.Of(h)
	if notes := tmem.Check(l); len(notes) > 0 {
		t.Errorf("half a percent: %q", notes)
	}
	l.Clients = l.Clients[:50]
	if notes := tmem.Check(l); len(notes) != 4 {
		t.Errorf("half the domains gone: %d notes, want Ec, Pc, Oc and Nc: %q", len(notes), notes)
	}
	for _, partial := range []xen.Listing{{Truncated: "cut"}, {TotalsOnly: true}} {
		partial.Host, partial.Clients = l.Host, l.Clients
		partial.Clients[0].Pools = nil
		if notes := tmem.Check(partial); len(notes) > 0 {
			t.Errorf("partial: %q", notes)
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	var l xen.Listing
	for id := range 1000 {
		l.Clients = append(l.Clients, xen.TmemClient{ID: units.DomID(id), Ephemeral: xen.Peak{Now: opt.Of[int64](1000), Max: opt.Of[int64](0)}})
	}
	notes := tmem.Check(l)
	if len(notes) != 33 || !strings.HasSuffix(notes[32], " more notes of this kind") {
		t.Errorf("%d notes, the last is %q", len(notes), notes[len(notes)-1])
	}
}

func BenchmarkCheck(b *testing.B) {
	l := tmemtest.Host(1000, 3)
	b.ReportAllocs()
	for b.Loop() {
		if notes := tmem.Check(l); len(notes) > 0 {
			b.Fatal(notes)
		}
	}
}
