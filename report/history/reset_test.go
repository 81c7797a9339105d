package history

import (
	"strings"
	"testing"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// domainOf finds a domain of a report.
func domainOf(t *testing.T, r report.Report, name string) *report.Domain {
	t.Helper()
	for i := range r.Domains {
		if r.Domains[i].Name == name {
			return &r.Domains[i]
		}
	}
	t.Fatalf("no domain %q", name)
	return nil
}

// counters makes a host of one guest, web1, whose counters are these.
func counters(minute int, gets int64, change func(*xen.Snapshot)) xen.Snapshot {
	m := newHost(1, 0, time.Minute)
	m.add(1, "web1")
	s := clone(m.snap)
	s.Begin = begin.Add(time.Duration(minute) * time.Minute)
	s.End, s.ListedAt = s.Begin, s.Begin
	s.Domains[1].Uptime = opt.Of(time.Hour + time.Duration(minute)*time.Minute)
	l, _ := s.Tmem.Get()
	c := &l.Clients[0]
	c.EphemeralGets, c.Pools[0].Gets, c.Pools[0].GetTries = n64(gets), n64(gets), n64(2*gets)
	c.Pools[0].Puts, c.Pools[0].PutTries = n64(3*gets), n64(3*gets)
	if change != nil {
		change(&s)
	}
	return s
}

// TestRisesOverResets: what a counter rose is told over everything that makes
// it start again, and is not made up where it cannot be told.
func TestRisesOverResets(t *testing.T) {
	reborn := func(s *xen.Snapshot) { // by a reboot: another number, counters from 0
		s.Domains[1].ID = opt.Of(units.DomID(2))
		s.Domains[1].Uptime = opt.Of(30 * time.Second)
		l, _ := s.Tmem.Get()
		l.Clients[0].ID = 2
	}
	tests := []struct {
		name     string
		gets     []int64
		change   map[int]func(*xen.Snapshot)
		want     int64 // rise of disk reads avoided
		tries    int64 // of counted gets
		startups int
	}{
		{"steady", []int64{100, 130, 200}, nil, 100, 200, 0},
		{"rebooted under another number", []int64{100, 130, 7}, map[int]func(*xen.Snapshot){2: reborn}, 37, 74, 1},
		{"counters went back", []int64{100, 130, 7, 9}, nil, 39, 78, 1},
		{"a listing that failed", []int64{100, 0, 200}, map[int]func(*xen.Snapshot){1: func(s *xen.Snapshot) {
			s.Tmem = opt.Value[xen.Listing]{}
		}}, 100, 200, 0},
		{"a pool went", []int64{100, 130, 150}, map[int]func(*xen.Snapshot){2: func(s *xen.Snapshot) {
			l, _ := s.Tmem.Get()
			p := &l.Clients[0].Pools[0]
			p.Gets, p.GetTries, p.Puts, p.PutTries = n64(5), n64(5), n64(5), n64(5)
		}}, 50, 60, 0},
		{"all pools went, and one came", []int64{100, 130, 150}, map[int]func(*xen.Snapshot){
			1: func(s *xen.Snapshot) {
				l, _ := s.Tmem.Get()
				l.Clients[0].Pools = l.Clients[0].Pools[1:]
			},
			2: func(s *xen.Snapshot) {
				l, _ := s.Tmem.Get()
				p := &l.Clients[0].Pools[0]
				p.Gets, p.GetTries, p.Puts, p.PutTries = n64(5), n64(6), n64(5), n64(5)
			},
		}, 50, 6, 0},
		{"became a client", []int64{0, 40}, map[int]func(*xen.Snapshot){0: func(s *xen.Snapshot) {
			l, _ := s.Tmem.Get()
			l.Clients = nil
			s.Tmem = opt.Of(l)
		}}, 40, 80, 0},
	}
	for _, tt := range tests {
		for _, closed := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{false: ", open", true: ", closed"}[closed], func(t *testing.T) {
				db := open(t, Options{})
				for i, n := range tt.gets {
					appendTo(t, db, counters(i, n, tt.change[i]))
				}
				to := begin.Add(59 * time.Minute)
				if closed { // which makes a row of the hour
					appendTo(t, db, counters(60, 1<<40, func(s *xen.Snapshot) { s.Domains = s.Domains[:1]; s.Tmem = opt.Value[xen.Listing]{} }))
				}
				q := Query{From: begin, To: to, Points: 1}
				if closed {
					q.From = begin.Add(-time.Hour) // long enough for hours
				}
				r, err := db.Range(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if r.Hours != closed {
					t.Fatalf("of hours: %v", r.Hours)
				}
				s := r.Domains[1]
				if len(s.Points) != 1 || len(r.Host) != 1 {
					t.Fatalf("%d points, %d of the host", len(s.Points), len(r.Host))
				}
				p := &s.Points[0]
				if got := p.Rise(DiskReadsAvoided).Or(-1); got != tt.want {
					t.Errorf("disk reads avoided rose by %d, want %d", got, tt.want)
				}
				if got := p.Rise(EphemeralGetTries).Or(-1); got != tt.tries {
					t.Errorf("gets rose by %d, want %d", got, tt.tries)
				}
				if got := r.Host[0].Rise(HostDiskReadsAvoided).Or(-1); got != tt.want {
					t.Errorf("the host's sum rose by %d, want %d", got, tt.want)
				}
				if got := s.Lives - 1 + p.Resets; got != tt.startups {
					t.Errorf("started again %d times, want %d", got, tt.startups)
				}
			})
		}
	}
}

// TestReportOverAReset: the report adds up both lives and says so.
func TestReportOverAReset(t *testing.T) {
	db := open(t, Options{})
	for i, n := range []int64{100, 130, 7} {
		appendTo(t, db, counters(i, n, nil))
	}
	r, err := db.Report(t.Context(), begin, begin.Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := domainOf(t, r, "web1")
	if c := d.Ephemeral().DiskReadsAvoided; c.Total.Or(0) != 7 || c.Interval.Or(0) != 37 || c.PerSecond.Or(0) != 0.308 {
		t.Errorf("disk reads avoided %+v", c)
	}
	if in := d.Ephemeral().HitRate.Interval; in == nil || in.Whole.Or(0) != 74 || in.Value.Or(0) != 0.5 {
		t.Errorf("hit rate %+v", in)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "web1 started again once") {
		t.Errorf("notes %q", notes)
	}
	if r.Interval.Or(0) != 2*time.Minute {
		t.Errorf("interval %s", r.Interval.Or(0))
	}
}

// TestGoneDomain: the host's sums count it, and the report says until when it
// was there.
func TestGoneDomain(t *testing.T) {
	db := open(t, Options{})
	for i, n := range []int64{100, 130} {
		appendTo(t, db, counters(i, n, nil))
	}
	appendTo(t, db, counters(2, 0, func(s *xen.Snapshot) {
		s.Domains = s.Domains[:1]
		l, _ := s.Tmem.Get()
		l.Clients = nil
		s.Tmem = opt.Of(l)
	}))
	r, err := db.Report(t.Context(), begin, begin.Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Host.DiskReadsAvoided.Interval.Or(0); len(r.Domains) != 1 || n != 30 {
		t.Errorf("%d domains, %d reads avoided", len(r.Domains), n)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "web1 was there until 2026-10-01T00:01:00Z") {
		t.Errorf("notes %q", notes)
	}
}

// TestGaps: times without snapshots are told, in rows and in hours.
func TestGaps(t *testing.T) {
	db := open(t, Options{})
	for _, minute := range []int{0, 1, 2, 3, 200, 201, 202, 203} {
		appendTo(t, db, counters(minute, 100, nil))
	}
	for _, points := range []int{300, 2} {
		r, err := db.Range(t.Context(), Query{From: begin, To: begin.Add(4 * time.Hour), Points: points})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Gaps) != 1 || !r.Gaps[0].From.Equal(begin.Add(3*time.Minute)) || r.Gaps[0].To.Before(begin.Add(3*time.Hour)) {
			t.Errorf("%d points: gaps %v", points, r.Gaps)
		}
	}
	report, err := db.Report(t.Context(), begin, begin.Add(4*time.Hour), nil)
	if notes := strings.Join(report.Notes, "\n"); err != nil || !strings.Contains(notes, "no snapshot between 2026-10-01T00:03:00Z and 2026-10-01T03:20:00Z") {
		t.Errorf("%v: %q", err, notes)
	}
}
