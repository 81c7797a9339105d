package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/history/block"
)

// Query says what to read of a history.
type Query struct {
	// From and To bound the times of the snapshots, both included.
	From, To time.Time
	// Domains are names, numbers or uuids; none is all. With any, the host's
	// sums over the domains are absent.
	Domains []string
	// HostOnly leaves the domains out of the answer.
	HostOnly bool
	// Points is the most that the host or a domain gets: the step between them
	// is chosen for it. 0 is one for each snapshot where they are kept, else
	// one for each hour.
	Points int
}

// Range is a stretch of a history.
type Range struct {
	From, To time.Time
	// Step is the time that a point stands for; 0 is one for each snapshot.
	Step time.Duration
	// Hours tells that the points are made of whole hours: either they suffice,
	// or the single snapshots are no longer kept.
	Hours bool
	Host  []HostPoint
	// Domains by number of their latest life, Dom0 first.
	Domains []Series
	// Gaps are the times without snapshots within the range, longer than three
	// of the usual steps.
	Gaps []Gap
	// Notes are parts of the file that could not be read.
	Notes []string
}

// Gap is a time without snapshots: from the last one before it to the first
// one behind it.
type Gap struct{ From, To time.Time }

// Series is one domain over time. Its lives, which a reboot or a migration ends,
// follow each other.
type Series struct {
	// ID, Name and Type are those of the latest life in the range.
	ID   opt.Value[units.DomID]
	UUID string
	Name string
	Type string
	Dom0 bool
	// Lives is how often the domain was made within the range.
	Lives  int
	Points []DomainPoint

	guestPath string
}

// Label is how to speak of the domain.
func (s *Series) Label() string { return report.Label(s.Name, s.ID) }

// Range reads points. An empty range is no error: it has no points.
func (db *DB) Range(ctx context.Context, q Query) (Range, error) {
	r, err := db.rangeOf(ctx, q)
	if err != nil {
		return Range{}, explain("read", db.path, err)
	}
	return r, nil
}

func (db *DB) rangeOf(ctx context.Context, q Query) (Range, error) {
	if !q.From.Before(q.To) {
		return Range{}, fmt.Errorf("nothing lies from %s to %s: %w", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339), cause.ErrNoData)
	}
	var step time.Duration
	if q.Points > 0 {
		// From and To are both included: one point more would begin at To.
		step = (q.To.Sub(q.From) / time.Duration(q.Points)).Truncate(time.Millisecond) + time.Millisecond
	}
	hours := step >= time.Hour
	if !hours {
		kept, err := db.keptSince(ctx, q.From)
		if err != nil {
			return Range{}, err
		}
		hours = !kept
	}
	if !hours && q.Points > 0 && q.To.Sub(q.From) > wholeHours {
		rows, err := db.rowsWithin(ctx, q)
		if err != nil {
			return Range{}, err
		}
		hours = rows > mostRows
	}
	if hours {
		step = max(time.Hour, (step + time.Hour - 1).Truncate(time.Hour))
	}
	return db.read(ctx, q, step, hours)
}

// read reads points of a step, of whole hours or of snapshots.
func (db *DB) read(ctx context.Context, q Query, step time.Duration, hours bool) (Range, error) {
	db.overlooked = nil
	lives, err := db.livesNamed(ctx, q.Domains)
	if err != nil {
		return Range{}, err
	}
	b := newBuilder(q, lives)
	b.step, b.hours = step, hours
	if hours {
		err = db.readHours(ctx, b)
	} else {
		err = db.readSnapshots(ctx, b)
	}
	if err != nil {
		return Range{}, err
	}
	return b.finish(db.overlooked), nil
}

// mostRows is how many rows of domains a chart of more than two days is made of:
// about a second's work. Where there are more, as of 1,000 domains in three days,
// it is made of whole hours.
const mostRows = 1_000_000

// rowsWithin is how many rows the domains of a query have in its closed hours.
func (db *DB) rowsWithin(ctx context.Context, q Query) (int64, error) {
	sum := int64(0)
	err := eachHour(ctx, db, hostTable, `hour`, `hour BETWEEN ? AND ?`, []any{hourOf(q.From.UnixMilli()), hourOf(q.To.UnixMilli())},
		func(_, _ int64, r row) error {
			p := pointOf[HostColumn](hostTable, r)
			domains := p.Last(Domains).Or(0)
			if len(q.Domains) > 0 {
				domains = min(domains, int64(len(q.Domains)))
			}
			sum += int64(p.Samples) * domains
			return nil
		})
	return sum, err
}

// keptSince tells whether every snapshot since a time is kept, as far as there
// was any.
func (db *DB) keptSince(ctx context.Context, t time.Time) (bool, error) {
	missing, err := db.numbers(ctx, `SELECT count(*) FROM (SELECT 1 FROM host_hour
		WHERE hour >= ? AND hour < coalesce((SELECT min(hour) FROM host_block), hour + 1) LIMIT 1)`, hourOf(t.UnixMilli()))
	return err == nil && missing[0] == 0, err
}

// readSnapshots takes every snapshot of the range.
func (db *DB) readSnapshots(ctx context.Context, b *builder) error {
	hours, err := db.numbers(ctx, `SELECT hour FROM host_block WHERE hour BETWEEN ? AND ?
		UNION SELECT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 BETWEEN ? AND ? ORDER BY 1`,
		hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli()), hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli()))
	if err != nil {
		return err
	}
	for _, hour := range hours {
		if err := db.readHour(ctx, b, hour); err != nil {
			return err
		}
	}
	return nil
}

// readHour takes the snapshots of an hour that lie in the range.
func (db *DB) readHour(ctx context.Context, b *builder, hour int64) error {
	hosts, err := db.hostSamples(ctx, db.sql, hour)
	if err != nil {
		return err
	}
	hosts = slices.DeleteFunc(hosts, func(s block.Sample) bool { return !b.within(s.Row[EndMilli]) })
	times := momentsOf(hosts, b.host.chain.until)
	for _, s := range hosts {
		b.addHost(s.Row, times[s.Snap])
	}
	var wanted []int64
	if len(b.Domains) > 0 {
		wanted = slices.Collect(maps.Keys(b.lives))
	}
	groups, err := db.domainSamples(ctx, db.sql, hour, wanted...)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, s := range g.samples {
			if t, ok := times[s.Snap]; ok {
				b.addDomain(g.life, s.Row, t, s.Snap == g.first && g.first > 1)
			}
		}
	}
	return nil
}

// readHours takes the rows of whole hours, and makes those of the hour that is
// not closed.
func (db *DB) readHours(ctx context.Context, b *builder) error {
	from, to := hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli())
	err := eachHour(ctx, db, hostTable, `hour`, `hour BETWEEN ? AND ? ORDER BY hour`, []any{from, to},
		func(_, hour int64, r row) error {
			if before := b.host.chain.until; before != 0 && hourOf(before) < hour-1 {
				b.missing = append(b.missing, Gap{milli(before), milli(hour * hourMilli)})
			}
			b.host.goOn(b.place(hour), pointOf[HostColumn](hostTable, r))
			b.hostAt[b.place(hour)] = len(b.host.points) - 1
			return nil
		})
	if err != nil {
		return err
	}
	condition, args := `hour BETWEEN ? AND ? ORDER BY life, hour`, []any{from, to}
	switch {
	case b.HostOnly: // the hour's row has the sums
		condition = ``
	case len(b.Domains) > 0:
		marks := make([]string, 0, len(b.lives))
		args = nil
		for n := range b.lives {
			marks, args = append(marks, "?"), append(args, n)
		}
		condition, args = `life IN (`+strings.Join(marks, ", ")+`) AND `+condition, append(args, from, to)
	default: // life by life, as the table is ordered
		condition = `life IN (SELECT life FROM life) AND ` + condition
	}
	if condition != "" {
		err := eachHour(ctx, db, domainTable, `life`, condition, args, func(life, hour int64, r row) error {
			b.track(life).goOn(b.place(hour), pointOf[Column](domainTable, r))
			return nil
		})
		if err != nil {
			return err
		}
	}
	open, err := db.numbers(ctx, `SELECT DISTINCT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 BETWEEN ? AND ? ORDER BY 1`, from, to)
	if err != nil {
		return err
	}
	for _, hour := range open {
		if err := db.readHour(ctx, b, hour); err != nil {
			return err
		}
	}
	return nil
}
