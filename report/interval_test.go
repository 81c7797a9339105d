package report

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// later is the loaded host ten seconds on.
func later(change func(s *xen.Snapshot)) xen.Snapshot {
	s := loaded()
	s.Begin, s.End, s.ListedAt = s.Begin.Add(10*time.Second), s.End.Add(10*time.Second), s.ListedAt.Add(10*time.Second)
	for i := range s.Domains {
		s.Domains[i].Uptime = opt.Of(s.Domains[i].Uptime.Or(0) + 10*time.Second)
	}
	change(&s)
	return s
}

func TestInterval(t *testing.T) {
	prev := loaded()
	r := Compute(&prev, later(func(s *xen.Snapshot) {
		c := listing(s).Clients
		c[0].EphemeralGets = n64(30720 + 500)
		c[0].Pools[2].Gets, c[0].Pools[2].GetTries = n64(30720+500), n64(169568+1000)
		c[1].Pools[1].PutTries, c[1].Pools[1].PutsRefused = n64(71622+200), n64(14616+200)
	}), DefaultThresholds())
	if got := r.Interval.Or(0); got != 10*time.Second {
		t.Fatalf("interval %s", got)
	}
	web, db := domainNamed(t, r, "web1"), domainNamed(t, r, "db1")
	if c := web.eph().DiskReadsAvoided; c.Interval.Or(-1) != 500 || c.PerSecond.Or(-1) != 50 {
		t.Errorf("web1 disk reads avoided %+v", c)
	}
	if in := orZero(web.eph().HitRate.Interval); in.Value.Or(-1) != 0.5 {
		t.Errorf("web1 hit rate in the interval %+v", in)
	}
	if in := orZero(db.per().Acceptance.Interval); in.Value.Or(-1) != 0 || in.Whole.Or(0) != 200 {
		t.Errorf("db1 acceptance in the interval %+v", in)
	}
	if v := checks(r, "db1")[CheckFalling].Verdict; v != finding.Warning {
		t.Errorf("db1 %s: %q", CheckFalling, v)
	}
	idle := domainNamed(t, r, "idle1")
	if in := idle.per().Acceptance.Interval; in == nil || in.Value.Has() {
		t.Errorf("idle1's interval is there and has no value: %+v", in)
	}
}

func TestResets(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *xen.Snapshot)
		want   Reset
	}{
		{"the same", func(*xen.Snapshot) {}, ""},
		{"renumbered", func(s *xen.Snapshot) {
			s.Domains[1].ID = opt.Of(units.DomID(9))
			listing(s).Clients[0].ID = 9
		}, ResetRenumbered},
		{"another domain under the number", func(s *xen.Snapshot) { s.Domains[1].UUID = "other" }, ResetReborn},
		{"younger", func(s *xen.Snapshot) { s.Domains[1].Uptime = opt.Of(time.Second) }, ResetReborn},
		{"counters went back", func(s *xen.Snapshot) { listing(s).Clients[0].EphemeralGets = n64(3) }, ResetCounters},
		{"new", func(s *xen.Snapshot) {
			s.Domains[1].UUID, s.Domains[1].ID = "other", opt.Of(units.DomID(9))
			listing(s).Clients[0].ID = 9
		}, ResetNew},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev := loaded()
			r := Compute(&prev, later(tt.change), DefaultThresholds())
			d := domainNamed(t, r, "web1")
			if d.Reset != tt.want {
				t.Errorf("reset %q, want %q", d.Reset, tt.want)
			}
			if got := d.eph().HitRate.Interval != nil; got != (tt.want == "") {
				t.Errorf("has an interval: %v", got)
			}
			if c := d.eph().DiskReadsAvoided; c.Interval.Has() && tt.want != "" {
				t.Errorf("disk reads avoided over a reset: %+v", c)
			}
		})
	}
}

func TestNoInterval(t *testing.T) {
	tests := []struct {
		name   string
		change func(prev, cur *xen.Snapshot)
		note   string
	}{
		{"wrong order", func(p, c *xen.Snapshot) { *p, *c = *c, *p }, "not before"},
		{"no time", func(p, _ *xen.Snapshot) { p.End = time.Time{} }, "does not say when"},
		{"another host", func(p, _ *xen.Snapshot) { p.Host.Name = "other" }, "of host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, cur := loaded(), later(func(*xen.Snapshot) {})
			tt.change(&prev, &cur)
			r := Compute(&prev, cur, DefaultThresholds())
			if r.Interval.Has() || !strings.Contains(strings.Join(r.Notes, "\n"), tt.note) {
				t.Errorf("interval %v, notes %q", r.Interval, r.Notes)
			}
		})
	}
}

func TestHostRebooted(t *testing.T) {
	prev := loaded()
	r := Compute(&prev, later(func(s *xen.Snapshot) {
		l := listing(s)
		h := l.Host.Or(xen.TmemHost{})
		h.Calls, h.Evicted = n64(5), n64(0)
		l.Host = opt.Of(h)
		s.Tmem = opt.Of(l)
	}), DefaultThresholds())
	if r.Host.Evicted.Interval.Has() || len(r.Notes) == 0 {
		t.Errorf("evicted %+v, notes %q", r.Host.Evicted, r.Notes)
	}
}

// TestNeverNegative: whatever the counters do between two snapshots, no figure
// of an interval is below zero and no share above one's whole is invented.
func TestNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shake := func(s *xen.Snapshot) {
			num := func(what string) xen.Count {
				if rapid.IntRange(0, 5).Draw(t, what+" absent") == 0 {
					return xen.Count{}
				}
				return n64(rapid.Int64Range(0, 1<<40).Draw(t, what))
			}
			l := listing(s)
			for i := range l.Clients {
				c := &l.Clients[i]
				c.EphemeralGets, c.PersistentPuts, c.PersistentGets = num("Ge"), num("Pp"), num("Gp")
				for j := range c.Pools {
					p := &c.Pools[j]
					p.Puts, p.PutTries, p.PutsRefused = num("ps"), num("pt"), num("px")
					p.Gets, p.GetTries, p.Pages.Now = num("gs"), num("gt"), num("Pc")
				}
			}
			for i := range s.Domains {
				s.Domains[i].Current = opt.Of(units.KiB(rapid.Int64Range(0, 1<<32).Draw(t, "current")))
			}
		}
		prev := loaded()
		shake(&prev)
		r := Compute(&prev, later(shake), DefaultThresholds())
		bad := func(what string, c xen.Count) {
			if c.Or(0) < 0 {
				t.Fatalf("%s is %d", what, c.Or(0))
			}
		}
		for _, d := range r.Domains {
			e, p := d.eph(), d.per()
			for _, c := range []Counter{e.Puts, e.DiskReadsAvoided, p.Refused, p.SwapReadsAvoided, p.SwapWritesAvoided} {
				bad(d.Name, c.Interval)
			}
			bad("lost", e.LostOrFlushed)
			for _, x := range []Efficiency{e.HitRate, p.Acceptance} {
				bad("part", orZero(x.Interval).Part)
				bad("whole", orZero(x.Interval).Whole)
			}
			if d.Reclaimed.Or(0) < 0 || d.RoomForPuts.Or(0) < 0 {
				t.Fatalf("%s: reclaimed %d, room %d", d.Name, d.Reclaimed.Or(0), d.RoomForPuts.Or(0))
			}
		}
		if r.Host.XensOwn.Or(0) < 0 || r.Host.Shortfall.Or(0) < 0 {
			t.Fatalf("own %d, shortfall %d", r.Host.XensOwn.Or(0), r.Host.Shortfall.Or(0))
		}
	})
}

func TestParseThresholds(t *testing.T) {
	got, err := ParseThresholds([]byte("[hit-rate-low]\nlimit = 0.2\nmin_sample = 5000\nhold = \"10m\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if th := got.Of(CheckHitRate); th.Limit != 0.2 || th.MinSample != 5000 || th.Hold != 10*time.Minute {
		t.Errorf("%+v", th)
	}
	for text, want := range map[string]string{
		"[no-such]\nlimit = 1\n":                       `no check is called "no-such"`,
		"[hit-rate-low]\nlimt = 1\n":                   "line 2",
		"[hit-rate-low]\nhold = \"soon\"\n":            "not a duration",
		"[hit-rate-low]\nlimit = -1\n":                 "negative",
		"[hit-rate-low\n":                              "line 1",
		"[hit-rate-low]\nmin_sample = \"many\"\n":      "line 2",
		"[hit-rate-low]\nlimit = 1\n[hit-rate-low]\n":  "hit-rate-low",
		"[hit-rate-low]\nmin_sample = -5\nlimit = 1\n": "negative",
	} {
		if _, err := ParseThresholds([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseThresholds(f *testing.F) {
	f.Add([]byte("[hit-rate-low]\nlimit = 0.2\nhold = \"10m\"\n"))
	f.Add([]byte("[no-swap]\nmin_sample = 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		th, err := ParseThresholds(text)
		if err == nil && len(th) != len(DefaultThresholds()) {
			t.Errorf("%d rules", len(th))
		}
	})
}
