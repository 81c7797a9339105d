package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// TestRatesAreOfListings: from the listing to the end of a snapshot xl takes its
// time, and not always the same. Rates out of the history are those of a report
// on the same snapshots: of the time between listings.
func TestRatesAreOfListings(t *testing.T) {
	lags := []time.Duration{4 * time.Second, time.Second, 0, 2 * time.Second}
	for name, lost := range map[string]int{"all listed": -1, "one listing failed": 1} {
		t.Run(name, func(t *testing.T) {
			m, db := newHost(3, 2, 10*time.Second), open(t, Options{})
			snaps := make([]xen.Snapshot, len(lags))
			for i, lag := range lags {
				snaps[i] = m.tick()
				snaps[i].End = snaps[i].Begin.Add(5 * time.Second)
				snaps[i].ListedAt = snaps[i].End.Add(-lag)
				if i == lost {
					snaps[i].Tmem, snaps[i].ListedAt = opt.Value[xen.Listing]{}, time.Time{}
				}
				appendTo(t, db, snaps[i])
			}
			first, last := snaps[0], snaps[len(snaps)-1]
			got, err := db.Report(t.Context(), first.End, last.End, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(report.Compute(&first, last, nil), got, sameReport()); d != "" {
				t.Errorf("snapshots (-) and history (+):\n%s", d)
			}
			r, err := db.Range(t.Context(), Query{From: first.End, To: last.End})
			if err != nil {
				t.Fatal(err)
			}
			want := []time.Duration{0, 13 * time.Second, 11 * time.Second, 8 * time.Second}
			if lost == 1 { // its counters rose from the listing before
				want = []time.Duration{0, 10 * time.Second, 24 * time.Second, 8 * time.Second}
			}
			for i := range r.Host {
				if s := r.Host[i].Span(); s != want[i] {
					t.Errorf("point %d spans %s, want %s", i, s, want[i])
				}
			}
		})
	}
}
