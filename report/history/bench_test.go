package history

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"xtm/report"
	"xtm/report/history/block"
)

// bulk fills a history with closed hours of minutes, as Append would but
// without a commit for every snapshot. The first of them goes through Append.
func bulk(tb testing.TB, db *DB, m *machineRoom, hours int) {
	tb.Helper()
	ctx := tb.Context()
	appendTo(tb, db, m.tick())
	lives, err := db.lives(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	snap := int64(1)
	for range hours {
		var hosts []block.Sample
		groups := make([]group, len(lives))
		for hour := hourOf(m.now.Add(m.step).UnixMilli()); ; {
			s := m.tick()
			snap++
			hosts = append(hosts, block.Sample{Snap: snap, Row: hostRow(s, report.Compute(nil, s, nil).Host, 1)})
			for i, d := range rowsOf(s) {
				groups[i].life, groups[i].first = lives[i].number, 1
				groups[i].samples = append(groups[i].samples, block.Sample{Snap: snap, Row: d.row})
			}
			if hourOf(m.now.Add(m.step).UnixMilli()) != hour {
				break
			}
		}
		hour := hourOf(hosts[0].Row[EndMilli])
		if err := db.within(ctx, func(tx *sql.Tx) error { return db.pack(ctx, tx, hour, hosts, groups) }); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := db.sql.Exec(`DELETE FROM domain_row; DELETE FROM host_row; UPDATE sqlite_sequence SET seq = ?`, snap); err != nil {
		tb.Fatal(err)
	}
}

// scale is what the benchmarks run with.
func scale() (domains, hours int) {
	if os.Getenv("XTM_TEST_NIGHTLY") == "1" {
		return 1000, 3 * 24
	}
	return 100, 30 * 24
}

// cpu measures the processor's time beside that of the clock, which on a busy
// machine says little.
func cpu(b *testing.B) (report func()) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() {
		b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op")
	}
}

// BenchmarkHistory fills a history with 30 days of minutes of 100 domains (1,000
// domains for 3 days nightly), measures its size, and then what is asked of it.
func BenchmarkHistory(b *testing.B) {
	domains, hours := scale()
	path := filepath.Join(b.TempDir(), "history.db")
	m := newHost(1, domains, time.Minute)
	db := openAt(b, path, Options{})
	start := time.Now()
	bulk(b, db, m, hours)
	if _, err := db.sql.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d domains, %d hours of minutes: %.1f MB, %.0f bytes for a domain and hour, filled in %s",
		domains, hours, float64(info.Size())/1e6, float64(info.Size())/float64(domains*hours), time.Since(start).Round(time.Second))

	b.Run("append", func(b *testing.B) {
		measure := cpu(b)
		for b.Loop() {
			appendTo(b, db, m.tick())
		}
		measure()
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	})
	from, to := begin, m.now
	one := []string{fmt.Sprintf("guest%03d", domains/2)}
	for _, q := range []struct {
		name string
		Query
	}{
		{"chart of host", Query{From: from, To: to, Points: 300, HostOnly: true}},
		{"chart of one domain", Query{From: from, To: to, Points: 300, Domains: one}},
		{"chart of all", Query{From: from, To: to, Points: 300}},
		{"one day of one domain", Query{From: to.Add(-24 * time.Hour), To: to, Points: 300, Domains: one}},
		{"one day of all", Query{From: to.Add(-24 * time.Hour), To: to, Points: 300}},
	} {
		b.Run(q.name, func(b *testing.B) {
			measure := cpu(b)
			for b.Loop() {
				r, err := db.Range(b.Context(), q.Query)
				if err != nil || len(r.Host) < min(200, hours) {
					b.Fatal(len(r.Host), err)
				}
			}
			measure()
		})
	}
	b.Run("report of all", func(b *testing.B) {
		measure := cpu(b)
		for b.Loop() {
			if _, err := db.Report(b.Context(), from, to, nil); err != nil {
				b.Fatal(err)
			}
		}
		measure()
	})
}
