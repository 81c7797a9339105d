package history

import (
	"testing"
	"time"

	"xtm/internal/opt"
)

// TestAges: snapshots go first, their hours stay, and then these go too, with
// the domains that nothing is left of.
func TestAges(t *testing.T) {
	db := open(t, Options{Limits: Limits{Snapshots: 4 * time.Hour, Hours: 12 * time.Hour}})
	m := newHost(1, 3, 20*time.Minute)
	for i := range 24 * 3 {
		s := m.tick()
		if i == 2 { // one that is there for a moment
			s.Domains[3].UUID = "gone"
		}
		appendTo(t, db, s)
	}
	last := begin.Add(24 * time.Hour)
	info, err := db.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := last.Add(-4 * time.Hour); !info.Snapshots.Equal(want) {
		t.Errorf("snapshots since %s, want %s", info.Snapshots, want)
	}
	if want := last.Add(-12 * time.Hour); !info.First.Equal(want) || info.Hours != 12 {
		t.Errorf("hours since %s, want %s; %d of them", info.First, want, info.Hours)
	}
	if info.Lives != 4 { // Dom0 and three guests
		t.Errorf("%d lives", info.Lives)
	}
	// A range that begins before the snapshots do is made of hours.
	for from, hours := range map[time.Duration]bool{3 * time.Hour: false, 10 * time.Hour: true} {
		r, err := db.Range(t.Context(), Query{From: last.Add(-from), To: last, Points: 300})
		if err != nil || r.Hours != hours || len(r.Host) < 9 {
			t.Errorf("%s: of hours %v, %d points, %v", from, r.Hours, len(r.Host), err)
		}
	}
}

// TestSize: the file stays below its size, whatever the ages say; what goes is
// the oldest.
func TestSize(t *testing.T) {
	db := open(t, Options{Limits: Limits{Size: LeastSize}})
	m := newHost(1, 40, time.Minute)
	bulk(t, db, m, 8)
	db.options.Limits.Size = 256 << 10 // what nobody may ask for
	appendTo(t, db, m.tick())
	m.now = m.now.Add(time.Hour)
	appendTo(t, db, m.tick())
	used, file, err := db.sizes(t.Context())
	if err != nil || used > 256<<10 || file > 256<<10 {
		t.Errorf("%d bytes in use, the file has %d, %v", used, file, err)
	}
	info, err := db.Info(t.Context())
	if err != nil || info.Last.Before(m.now) || info.Hours == 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestClockWrongForAWhile: snapshots of the year 2080 do not make the real ones
// look old.
func TestClockWrongForAWhile(t *testing.T) {
	db := open(t, Options{Limits: Limits{Snapshots: 24 * time.Hour, Hours: 48 * time.Hour}})
	m := newHost(1, 2, 10*time.Minute)
	for range 20 {
		appendTo(t, db, m.tick())
	}
	right := m.now
	m.now = time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC)
	appendTo(t, db, m.tick())
	m.now = right
	for range 20 {
		appendTo(t, db, m.tick())
	}
	r, err := db.Range(t.Context(), Query{From: begin, To: begin.Add(24 * time.Hour)})
	if err != nil || len(r.Host) != 40 {
		t.Errorf("%d snapshots are left of 40, %v", len(r.Host), err)
	}
}

// TestVacuum gives back what is not used, and keeps what there is.
func TestVacuum(t *testing.T) {
	db := open(t, Options{})
	m := newHost(1, 60, time.Minute)
	for range 130 {
		appendTo(t, db, m.tick())
	}
	if _, err := db.sql.Exec(`DELETE FROM domain_block`); err != nil {
		t.Fatal(err)
	}
	before, err := db.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Vacuum(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := db.Info(t.Context())
	if err != nil || after.Size >= before.Size || after.Journal != 0 || after.Recorded != 130 || after.Hours != before.Hours {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}

// TestManyPoints: however many are asked for, no step has two, and the sum of
// the rises is the same.
func TestManyPoints(t *testing.T) {
	db := open(t, Options{})
	m := newHost(11, 3, 7*time.Minute)
	for range 200 {
		appendTo(t, db, m.tick())
	}
	want := opt.Value[int64]{}
	for _, points := range []int{0, 1, 2, 7, 23, 60, 300, 5000} {
		r, err := db.Range(t.Context(), Query{From: begin, To: m.now.Add(time.Minute), Points: points})
		if err != nil {
			t.Fatal(err)
		}
		sum, last := int64(0), -1
		for i := range r.Host {
			p := &r.Host[i]
			sum += p.Rise(Evicted).Or(0)
			if p.Index <= last || points > 0 && p.Index >= points {
				t.Errorf("%d points: index %d after %d", points, p.Index, last)
			}
			last = p.Index
		}
		if !want.Has() {
			want = opt.Of(sum)
		}
		if sum != want.Or(0) {
			t.Errorf("%d points: evicted %d, want %d", points, sum, want.Or(0))
		}
		for _, s := range r.Domains {
			if got := len(s.Points); got != len(r.Host) {
				t.Errorf("%d points: %s has %d, the host %d", points, s.Label(), got, len(r.Host))
			}
		}
	}
}
