package history

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// open makes a new history.
func open(tb testing.TB, o Options) *DB {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "history.db"), o)
}

func openAt(tb testing.TB, path string, o Options) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func appendTo(tb testing.TB, db *DB, s xen.Snapshot) {
	tb.Helper()
	if err := db.Append(context.WithoutCancel(tb.Context()), s); err != nil {
		tb.Fatal(err)
	}
}

// sameReport compares what a report of a range can say.
func sameReport() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b opt.Value[float64]) bool {
			x, okX := a.Get()
			y, okY := b.Get()
			return okX == okY && x-y < 0.002 && y-x < 0.002 // three decimals
		}),
		cmpopts.IgnoreFields(report.Report{}, "Source", "Recorded", "Notes", "Begin", "End", "Gaps", "SharedPools"),
		cmpopts.IgnoreFields(report.Client{}, "Pools"),
		cmp.Exporter(func(reflect.Type) bool { return true }),
	}
}

// TestReportIsTheSame: a report over two snapshots out of the history says what
// one over the snapshots themselves does, from rows and from closed hours.
func TestReportIsTheSame(t *testing.T) {
	for name, hours := range map[string]int{"open hour": 1, "closed hours": 30, "whole hours": 80} {
		t.Run(name, func(t *testing.T) {
			m, db := newHost(7, 5, 10*time.Minute), open(t, Options{})
			var first, last xen.Snapshot
			for i := range hours * 6 {
				last = m.tick()
				if i == 0 {
					first = last
				}
				appendTo(t, db, last)
			}
			got, err := db.Report(t.Context(), first.End, last.End, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := report.Compute(&first, last, nil)
			if d := cmp.Diff(want, got, sameReport()); d != "" {
				t.Errorf("snapshots (-) and history (+):\n%s", d)
			}
		})
	}
}

// TestRowsWithin: what a chart would be made of is known without reading it.
func TestRowsWithin(t *testing.T) {
	m, db := newHost(7, 5, 10*time.Minute), open(t, Options{})
	for range 10 * 6 {
		appendTo(t, db, m.tick())
	}
	for _, tt := range []struct {
		names []string
		hours int64
		want  int64
	}{
		{nil, 24, 9*6*6 + 5*6}, // Dom0 and five guests; the first hour has five snapshots, and the tenth is not closed
		{[]string{"guest001", "guest002"}, 24, (9*6 + 5) * 2},
		{nil, 1, (5 + 6) * 6},
	} {
		q := Query{From: begin, To: begin.Add(time.Duration(tt.hours) * time.Hour), Domains: tt.names}
		if got, err := db.rowsWithin(t.Context(), q); err != nil || got != tt.want {
			t.Errorf("%q, %d hours: %d, %v; want %d", tt.names, tt.hours, got, err, tt.want)
		}
	}
}
