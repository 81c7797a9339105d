package report

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

func kibs(n int64) opt.Value[units.KiB] { return opt.Of(units.KiB(n)) }
func n64(n int64) xen.Count             { return opt.Of(n) }

// loaded is the host of Xen 4.12.4 under load, as its captures have it.
func loaded() xen.Snapshot {
	pool := func(id int, persistent bool, pc, ps, pt, px, gs, gt, fs int64) xen.TmemPool {
		return xen.TmemPool{
			ID: id, Persistent: persistent, Pages: xen.Peak{Now: n64(pc), Max: n64(pc)},
			Puts: n64(ps), PutTries: n64(pt), DupReplaced: n64(0), PutsRefused: n64(px),
			Gets: n64(gs), GetTries: n64(gt), PageFlushes: n64(fs),
		}
	}
	client := func(id units.DomID, ge, pp, gp, ec int64, pools ...xen.TmemPool) xen.TmemClient {
		return xen.TmemClient{
			ID: id, Weight: n64(0), Compress: n64(0), Frozen: n64(0), EphemeralGets: n64(ge),
			PersistentPuts: n64(pp), PersistentGets: n64(gp), Ephemeral: xen.Peak{Now: n64(ec)}, Pools: pools,
		}
	}
	dom := func(id units.DomID, name string, cur, limit, static, target int64) xen.Domain {
		return xen.Domain{
			ID: opt.Of(id), Name: name, UUID: name + "-uuid", Current: kibs(cur), Limit: kibs(limit),
			StaticMax: kibs(static), Target: kibs(target), Uptime: opt.Of(2 * time.Minute), Type: "pv",
		}
	}
	at := time.Date(2026, 11, 22, 13, 30, 0, 0, time.UTC)
	return xen.Snapshot{
		Source: "xl", Begin: at, End: at.Add(2 * time.Second), ListedAt: at.Add(time.Second),
		TmemState: xen.TmemState{Answer: xen.TmemOn, Evidence: "tmem on Xen's command line"},
		Host: xen.Host{
			Name: "xenhost", Version: xen.Version{Major: 4, Minor: 12, Extra: ".4"},
			Total: opt.Of(units.MiB(2687).KiB()), Free: opt.Of(units.MiB(20).KiB()), Granularity: kibs(1024),
		},
		Domains: []xen.Domain{
			dom(0, "Domain-0", 1042668, 1048576, 1048576, 1045211),
			dom(1, "web1", 376892, 525312, 524288, 262144),
			dom(2, "db1", 323448, 410624, 262144, 262144),
			dom(3, "cache1", 77864, 197632, 196608, 196608),
			dom(4, "idle1", 77864, 197632, 196608, 196608),
			dom(5, "plain1", 131072, 132096, 131072, 131072),
		},
		Tmem: opt.Of(xen.Listing{
			Host: opt.Of(xen.TmemHost{
				Calls: n64(1672975), FreeListPages: n64(255), Evicted: n64(42410), Relinquished: n64(30950),
				LowMemory: n64(0), FailedPages: n64(14616), Ephemeral: xen.Peak{Now: n64(165225), Max: n64(184635)},
			}),
			Clients: []xen.TmemClient{
				client(1, 30720, 8774, 8638, 97798, pool(0, false, 0, 0, 0, 0, 0, 0, 0),
					pool(1, true, 262, 8774, 8774, 0, 8638, 8638, 8512), pool(2, false, 97798, 225275, 225275, 0, 30720, 169568, 0)),
				client(2, 0, 57006, 42574, 0, pool(0, false, 0, 0, 0, 0, 0, 0, 0),
					pool(1, true, 14536, 57006, 71622, 14616, 42574, 42574, 42470), pool(2, false, 0, 0, 0, 0, 0, 0, 0)),
				client(3, 337920, 0, 0, 67427, pool(0, false, 0, 0, 0, 0, 0, 0, 0),
					pool(1, false, 67427, 514840, 514840, 0, 337920, 514080, 0)),
				client(4, 0, 0, 0, 0, pool(0, false, 0, 0, 0, 0, 0, 0, 0), pool(1, true, 0, 0, 0, 0, 0, 0, 0),
					pool(2, false, 0, 0, 0, 0, 0, 0, 0)),
			},
		}),
	}
}

func domainNamed(t *testing.T, r Report, name string) Domain {
	t.Helper()
	for _, d := range r.Domains {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no domain %q", name)
	return Domain{}
}

func (d Domain) eph() Ephemeral  { return orZero(d.Ephemeral()) }
func (d Domain) per() Persistent { return orZero(d.Persistent()) }

func orZero[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

func TestComputeLoadedHost(t *testing.T) {
	r := Compute(nil, loaded(), DefaultThresholds())
	web, db, cache, idle, plain := domainNamed(t, r, "web1"), domainNamed(t, r, "db1"),
		domainNamed(t, r, "cache1"), domainNamed(t, r, "idle1"), domainNamed(t, r, "plain1")
	type figure struct {
		name      string
		got, want any
	}
	for _, f := range []figure{
		{"web1 hit rate", units.Percent(web.eph().HitRate.Total.Value.Or(0)), "18.1 %"},
		{"web1 reclaimed", web.Reclaimed, kibs(148420)},
		{"web1 lost or flushed", web.eph().LostOrFlushed, n64(225275 - 30720 - 97798)},
		{"db1 acceptance", units.Percent(db.per().Acceptance.Total.Value.Or(0)), "79.6 %"},
		{"db1 refused", db.per().Refused.Total, n64(14616)},
		{"db1 reclaimed", db.Reclaimed, kibs(87176)},
		{"db1 room for puts", db.RoomForPuts, kibs(87176)},
		{"db1 persistent", db.PersistentMemory, kibs(58144)},
		{"db1 hit rate", db.eph().HitRate.Total.Value.Has(), false},
		{"cache1 hit rate", units.Percent(cache.eph().HitRate.Total.Value.Or(0)), "65.7 %"},
		{"cache1 reclaimed", cache.Reclaimed, kibs(119768)},
		{"cache1 has no persistent pool", cache.Persistent() != nil, false},
		{"idle1 hit rate", idle.eph().HitRate.Total.Value.Has(), false},
		{"idle1 acceptance", idle.per().Acceptance.Total.Value.Has(), false},
		{"plain1 is no client", plain.Client != nil, false},
		{"freeable", r.Host.Freeable, kibs(661920)},
		{"freeable is an estimate", r.Host.FreeableEstimate, true},
		{"Xen's own", r.Host.XensOwn, kibs(2751488 - 20480 - 2029808 - 661920)},
		{"disk reads avoided", r.Host.DiskReadsAvoided.Total, n64(30720 + 337920)},
		{"no interval", r.Interval.Has(), false},
	} {
		if diff := cmp.Diff(f.want, f.got, cmp.AllowUnexported(opt.Value[units.KiB]{}, opt.Value[int64]{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.name, diff)
		}
	}
}

func TestBandsAddUp(t *testing.T) {
	h := Compute(nil, loaded(), DefaultThresholds()).Host
	sum := h.XensOwn.Or(0) + h.Dom0.Or(0) + h.Guests.Or(0) + h.Ephemeral.Or(0) + h.FreeList.Or(0) + h.Free.Or(0)
	if sum != h.Total.Or(0) {
		t.Errorf("the bands make %d KiB of %d KiB", sum, h.Total.Or(0))
	}
}

func TestXensOwnCouldNotTell(t *testing.T) {
	s := loaded()
	s.Host.Free = opt.Of(units.MiB(500).KiB())
	r := Compute(nil, s, DefaultThresholds())
	if r.Host.XensOwn.Has() || r.Host.Overcommit.Has() || len(r.Notes) == 0 {
		t.Errorf("own %v, overcommit %v, notes %q: want none of the first two and a reason", r.Host.XensOwn, r.Host.Overcommit, r.Notes)
	}
}

// checks are the findings of a domain, by check.
func checks(r Report, name string) map[string]finding.Finding {
	m := map[string]finding.Finding{}
	for _, f := range r.Findings {
		if f.Subject == name {
			m[f.Check] = f
		}
	}
	return m
}

func TestFindingsOfLoadedHost(t *testing.T) {
	r := Compute(nil, loaded(), DefaultThresholds())
	want := map[string]map[string]finding.Verdict{
		"web1":   {},
		"db1":    {CheckPutsRefused: finding.Note},
		"cache1": {CheckNoSwap: finding.Warning},
		"idle1":  {},
		"plain1": {CheckTakesNoPart: finding.Note},
	}
	for name, w := range want {
		got := map[string]finding.Verdict{}
		for c, f := range checks(r, name) {
			got[c] = f.Verdict
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRules(t *testing.T) {
	tests := []struct {
		name    string
		change  func(s *xen.Snapshot)
		domain  string
		check   string
		verdict finding.Verdict // "" is no finding
	}{
		{"stands at its maximum", func(s *xen.Snapshot) { s.Domains[2].Limit = kibs(323448) }, "db1", CheckPutsRefused, finding.Bad},
		{"too few puts", func(s *xen.Snapshot) {
			p := &listing(s).Clients[1].Pools[1]
			p.PutTries, p.Puts, p.PutsRefused = n64(50), n64(40), n64(10)
		}, "db1", CheckPutsRefused, finding.TooFew},
		{"frozen", func(s *xen.Snapshot) { listing(s).Clients[1].Frozen = n64(1) }, "db1", CheckFrozen, finding.Warning},
		{"frozen explains refused puts", func(s *xen.Snapshot) { listing(s).Clients[1].Frozen = n64(1) }, "db1", CheckPutsRefused, ""},
		{"low hit rate", func(s *xen.Snapshot) { listing(s).Clients[0].Pools[2].Gets = n64(1000) }, "web1", CheckHitRate, finding.Warning},
		{"too few gets", func(s *xen.Snapshot) {
			p := &listing(s).Clients[0].Pools[2]
			p.Gets, p.GetTries = n64(1), n64(999)
		}, "web1", CheckHitRate, finding.TooFew},
		{"low hit rate, not held", func(s *xen.Snapshot) {
			listing(s).Clients[0].Pools[2].Gets = n64(1000)
			s.Domains[1].Uptime = opt.Of(10 * time.Second)
		}, "web1", CheckHitRate, ""},
		{"shrinks without a pool, tmem off", func(s *xen.Snapshot) {
			s.TmemState = xen.TmemState{Answer: xen.TmemOff, Evidence: "no tmem on Xen's command line"}
			s.Tmem = opt.Of(xen.Listing{})
		}, "idle1", CheckShrinks, finding.Dangerous},
		{"shrinks, could not tell", func(s *xen.Snapshot) {
			s.TmemState = xen.TmemState{Answer: xen.TmemUnknown}
			s.Tmem = opt.Value[xen.Listing]{}
		}, "idle1", CheckShrinks, finding.CouldNotTell},
		{"shrinks though no client", func(s *xen.Snapshot) { s.Domains[5].Current = kibs(90000) }, "plain1", CheckShrinks, finding.Dangerous},
		{"paused guests do not shrink", func(s *xen.Snapshot) {
			s.Domains[5].Current, s.Domains[5].State = kibs(90000), xen.State{Paused: true}
		}, "plain1", CheckShrinks, ""},
		{"host overcommitted", func(s *xen.Snapshot) { s.Domains[1].StaticMax = kibs(4 << 20) }, "host", CheckOvercommitted, finding.Note},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loaded()
			tt.change(&s)
			got := checks(Compute(nil, s, DefaultThresholds()), tt.domain)[tt.check]
			if got.Verdict != tt.verdict {
				t.Errorf("verdict %q, want %q: %+v", got.Verdict, tt.verdict, got)
			}
			if tt.verdict.Problem() && (got.Advice == "" || len(got.Evidence) == 0) {
				t.Errorf("a problem without advice or evidence: %+v", got)
			}
		})
	}
}

// listing gives the parts of a snapshot's listing to change in place.
func listing(s *xen.Snapshot) xen.Listing { return s.Tmem.Or(xen.Listing{}) }
