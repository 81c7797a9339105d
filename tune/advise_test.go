package tune

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/capture/importtest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
	"xtm/xen/xl"
)

// recorded is a moment of a recorded host.
func recorded(t *testing.T, phase string) xen.Snapshot {
	t.Helper()
	s := importtest.Phase(t, phase).Seams()
	snap, err := xl.New(s.Run, s.Files).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func evidence(before, now xen.Snapshot) Evidence {
	return Evidence{Report: report.Compute(&before, now, nil), Before: &before, Now: &now}
}

// client edits one domain's line and pools of a snapshot.
func client(t *testing.T, s xen.Snapshot, name string, edit func(*xen.Domain, *xen.TmemClient)) {
	t.Helper()
	i := slices.IndexFunc(s.Domains, func(d xen.Domain) bool { return d.Name == name })
	l, _ := s.Tmem.Get()
	j := slices.IndexFunc(l.Clients, func(c xen.TmemClient) bool { return c.ID == s.Domains[i].ID.Or(0) })
	if i < 0 || j < 0 {
		t.Fatalf("no client %s", name)
	}
	edit(&s.Domains[i], &l.Clients[j])
}

// healthy gives cache1 a persistent pool, and plain1 is left out: with both all
// is well on the recorded host.
func healthy(t *testing.T) (before, now xen.Snapshot) {
	t.Helper()
	before, now = recorded(t, "xen-4.12/t1-load"), recorded(t, "xen-4.12/t3-late")
	for _, s := range []*xen.Snapshot{&before, &now} {
		client(t, *s, "cache1", func(_ *xen.Domain, c *xen.TmemClient) {
			zero := opt.Of[int64](0)
			c.Pools = append(c.Pools, xen.TmemPool{
				Client: opt.Of(c.ID), ID: 5, Persistent: true, Pages: xen.Peak{Now: zero, Max: zero},
				Puts: zero, PutTries: zero, PutsRefused: zero, Gets: zero, GetTries: zero,
			})
		})
		s.Domains = slices.DeleteFunc(s.Domains, func(d xen.Domain) bool { return d.Name == "plain1" })
	}
	return before, now
}

func show(advice []Advice) string {
	var out []string
	for _, a := range advice {
		out = append(out, fmt.Sprintf("%s %s %s", a.Check, a.Domain.Name, a.Sure))
	}
	return strings.Join(out, "; ")
}

// Each prepared case gets its advice and no other; a healthy host gets none.
func TestAdviceOnTheRecordings(t *testing.T) {
	for name, tt := range map[string]struct {
		host func(t *testing.T) (before, now xen.Snapshot)
		want string
	}{
		"healthy": {healthy, ""},
		// As recorded: cache1 has no swap, plain1 idles and keeps all it has.
		"no swap, and an idle hoarder": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			return recorded(t, "xen-4.12/t1-load"), recorded(t, "xen-4.12/t3-late")
		}, "no-swap cache1 certain; idle-and-large plain1 guess"},
		// db1 before its maximum was raised.
		"put failures at the maximum": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			before, now := recorded(t, "xen-4.12/t0-idle"), recorded(t, "xen-4.12/t1-load")
			client(t, now, "db1", func(d *xen.Domain, _ *xen.TmemClient) {
				d.Limit, d.StaticMax = opt.Of(d.Current.Or(0)+4), opt.Value[units.KiB]{}
			})
			now.Domains = slices.DeleteFunc(now.Domains, func(d xen.Domain) bool { return d.Name == "plain1" || d.Name == "cache1" })
			l, _ := now.Tmem.Get()
			l.Clients = slices.DeleteFunc(l.Clients, func(c xen.TmemClient) bool { return c.ID == 3 })
			now.Tmem = opt.Of(l)
			return before, now
		}, "puts-refused-at-maximum db1 certain"},
		"a large cache with a low hit rate": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			before, now := healthy(t)
			client(t, now, "cache1", func(_ *xen.Domain, c *xen.TmemClient) {
				for i := range c.Pools {
					if p := &c.Pools[i]; p.GetTries.Or(0) > 0 {
						p.Gets = opt.Of(p.Gets.Or(0) - 1_500_000)
					}
				}
			})
			return before, now
		}, "hit-rate-low cache1 likely"},
		"compression that packs nothing": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			before, now := healthy(t)
			client(t, now, "cache1", func(_ *xen.Domain, c *xen.TmemClient) {
				c.Compress, c.PoorlyPacked, c.CompressedPages, c.CompressedBytes = opt.Of[int64](1), opt.Of[int64](1085), opt.Of[int64](40), opt.Of[int64](40*3000)
			})
			return before, now
		}, "compress-not-worth-it cache1 certain"},
		// As db1's pages do in the recording of the commands: 52 bytes each.
		"compression that packs well": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			before, now := healthy(t)
			client(t, now, "web1", func(_ *xen.Domain, c *xen.TmemClient) {
				c.Compress, c.CompressedPages, c.CompressedBytes = opt.Of[int64](1), opt.Of[int64](458), opt.Of[int64](24020)
			})
			return before, now
		}, ""},
		// The host without tmem, whose guests shrink all the same.
		"guests that shrink for nothing": {func(t *testing.T) (xen.Snapshot, xen.Snapshot) {
			t.Helper()
			s := recorded(t, "xen-4.12-notmem/t1-load")
			for i := range s.Domains {
				if d := &s.Domains[i]; !d.IsDom0() {
					d.Target = opt.Of(units.MiB(192).KiB())
				}
			}
			return xen.Snapshot{}, s
		}, "shrinks-without-pool cache1 certain; shrinks-without-pool idle1 certain; shrinks-without-pool plain1 certain"},
	} {
		t.Run(name, func(t *testing.T) {
			advice := Advise(evidence(tt.host(t)))
			if got := show(advice); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			for _, a := range advice {
				if a.What == "" || a.Seen == "" || a.Brings == "" || a.Gauge == "" || len(a.Calls)+len(a.Commands) == 0 || len(a.Evidence) == 0 || !a.Was.Has() && a.Gauge != GaugeCPUPerPut {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// Without evictions a cold cache harms nobody.
func TestNoAdviceWithoutPressure(t *testing.T) {
	before, now := recorded(t, "xen-4.12/t1-load"), recorded(t, "xen-4.12/t3-late")
	l, _ := now.Tmem.Get()
	h, _ := l.Host.Get()
	was, _ := before.Tmem.Get()
	old, _ := was.Host.Get()
	h.Evicted = old.Evicted
	l.Host = opt.Of(h)
	now.Tmem = opt.Of(l)
	if got := show(Advise(evidence(before, now))); strings.Contains(got, CheckIdle) {
		t.Error(got)
	}
}

// A cold cache is told to pay for itself: weight 1 on it and on no other.
func TestColdCacheGetsTheOnlyWeight(t *testing.T) {
	before, now := healthy(t)
	for name, w := range map[string]int64{"cache1": 100, "web1": 50, "idle1": 0} {
		client(t, now, name, func(_ *xen.Domain, c *xen.TmemClient) {
			c.Weight = opt.Of(w)
			for i := range c.Pools {
				if p := &c.Pools[i]; name == "cache1" && p.GetTries.Or(0) > 0 {
					p.Gets = opt.Of(p.Gets.Or(0) - 1_500_000)
				}
			}
		})
	}
	var got []string
	for _, c := range PlanOf(Advise(evidence(before, now))).Calls {
		got = append(got, c.String())
	}
	if want := []string{"weight of web1 (domain 1): 50 → 0", "weight of cache1 (domain 3): 100 → 1"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Verify tells better from worse and from the same, and keeps what it compares
// with.
func TestVerify(t *testing.T) {
	before, now := recorded(t, "xen-4.12/t1-load"), recorded(t, "xen-4.12/t3-late")
	e := evidence(before, now)
	advice := Advise(e)
	root := hostfs.Root(t.TempDir())
	if _, err := LastApplied(root); cause.Of(err) != cause.NoData {
		t.Errorf("nothing was applied: %v", err)
	}
	if err := (Applied{At: start, Interval: 4 * time.Minute, Advice: advice}).Keep(root); err != nil {
		t.Fatal(err)
	}
	kept, err := LastApplied(root)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(e Evidence) string {
		var out []string
		for _, v := range Verify(kept, e) {
			out = append(out, v.Domain.Name+" "+string(v.Helped))
		}
		return strings.Join(out, "; ")
	}
	if got := verdict(e); got != "cache1 no difference; plain1 no difference" {
		t.Errorf("as it was: %s", got)
	}
	good, better := healthy(t)
	better.Domains = append(better.Domains, now.Domains[slices.IndexFunc(now.Domains, func(d xen.Domain) bool { return d.Name == "plain1" })])
	better.Domains[len(better.Domains)-1].Current = opt.Of(units.MiB(64).KiB())
	if got := verdict(evidence(good, better)); got != "cache1 helped; plain1 helped" {
		t.Errorf("after the changes: %s", got)
	}
	worse := now
	worse.Domains = slices.Clone(now.Domains)
	for i := range worse.Domains {
		if d := &worse.Domains[i]; d.Name == "plain1" {
			d.Current = opt.Of(units.MiB(256).KiB())
		}
	}
	worse.Domains = slices.DeleteFunc(worse.Domains, func(d xen.Domain) bool { return d.Name == "cache1" })
	l, _ := now.Tmem.Get()
	l.Clients = slices.DeleteFunc(slices.Clone(l.Clients), func(c xen.TmemClient) bool { return c.ID == 3 })
	worse.Tmem = opt.Of(l)
	if got := verdict(evidence(before, worse)); got != "cache1 its domain is gone; plain1 worse" {
		t.Errorf("worse: %s", got)
	}
}

// Each gauge against the figures of the recording.
func TestGauges(t *testing.T) {
	e := evidence(recorded(t, "xen-4.12/t0-idle"), recorded(t, "xen-4.12/t1-load"))
	db1, web1, cache1 := Ref{ID: 2, Name: "db1"}, Ref{ID: 1, Name: "web1"}, Ref{ID: 3, Name: "cache1"}
	for _, tt := range []struct {
		g    Gauge
		who  Ref
		want float64
	}{
		{GaugeCurrent, db1, 323448},
		{GaugePersistent, db1, 14536 * 4},
		{GaugePersistentPools, cache1, 0},
		{GaugePersistentPools, db1, 1},
		{GaugeRefused, db1, 14616.0 / 71622},
	} {
		if got, ok := tt.g.read(&e, tt.who).Get(); got != tt.want || !ok {
			t.Errorf("%s of %s: %v, want %v", tt.g, tt.who, got, tt.want)
		}
	}
	if got, ok := GaugeOthersReads.read(&e, web1).Get(); !ok || got < 4000 {
		t.Errorf("others' reads: %v", got)
	}
	if got, ok := GaugeCPUPerPut.read(&e, cache1).Get(); !ok || got <= 0 {
		t.Errorf("cpu per put: %v", got)
	}
	if GaugeCurrent.read(&e, Ref{ID: 77}).Has() {
		t.Error("a domain that is not there")
	}
}

func FuzzParseApplied(f *testing.F) {
	f.Add([]byte(`{"schema":1,"at":"2026-11-22T13:35:22Z","interval_ns":60000000000,"advice":[{"check":"no-swap","domain":{"domid":3,"name":"cache1"},"what":"","seen":"","brings":"","sure":"certain","gauge":"persistent_pools","was":0}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseApplied(b)
		if err != nil {
			return
		}
		for _, v := range Verify(a, Evidence{}) {
			if v.Helped != DomainGone {
				t.Errorf("%+v", v)
			}
		}
	})
}
