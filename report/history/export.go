package history

import (
	"context"
	"fmt"
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Record is one row of a history as it is kept.
type Record struct {
	// Time is when the snapshot ended, or the last one of the hour.
	Time time.Time
	// ID, UUID and Name are those of the domain's life; empty for the host.
	ID   opt.Value[units.DomID]
	UUID string
	Name string
	// Columns are the names of Values: what was printed at that time, and for
	// hours the means, the lowest and highest, and the rises behind it. They
	// are the same in every record of an export.
	Columns []string
	Values  []xen.Count
}

// ExportQuery says what to export.
type ExportQuery struct {
	From, To time.Time
	// Domains are names, numbers or uuids; none is all.
	Domains []string
	// Host exports the rows of the host, else those of the domains.
	Host bool
	// Hours exports one row for each closed hour, else those of the snapshots
	// that are still kept.
	Hours bool
}

// Columns are the names of the values of an export.
func (q ExportQuery) Columns() []string {
	t := domainTable
	if q.Host {
		t = hostTable
	}
	if q.Hours {
		return t.hourColumns()
	}
	return t.rowColumns()
}

// Export hands over every row of a range, hour by hour, until f returns an
// error. What could not be read is the notes.
func (db *DB) Export(ctx context.Context, q ExportQuery, f func(Record) error) (notes []string, err error) {
	if err := db.export(ctx, q, f); err != nil {
		return nil, explain("export", db.path, err)
	}
	return db.overlooked, nil
}

func (db *DB) export(ctx context.Context, q ExportQuery, f func(Record) error) error {
	if q.From.After(q.To) {
		return fmt.Errorf("nothing lies from %s to %s: %w", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339), cause.ErrNoData)
	}
	db.overlooked = nil
	named, err := db.livesNamed(ctx, q.Domains)
	if err != nil {
		return err
	}
	e := exporter{db: db, ExportQuery: q, columns: q.Columns(), lives: make(map[int64]life, len(named)), f: f}
	for _, l := range named {
		e.lives[l.number] = l
	}
	from, to := hourOf(q.From.UnixMilli()), hourOf(q.To.UnixMilli())
	hours, err := db.numbers(ctx, `SELECT hour FROM host_hour WHERE hour BETWEEN ? AND ?
		UNION SELECT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 BETWEEN ? AND ? ORDER BY 1`, from, to, from, to)
	if err != nil {
		return err
	}
	one := e.snapshots
	if q.Hours {
		one = e.hour
	}
	for _, hour := range hours {
		if err := one(ctx, hour); err != nil {
			return err
		}
	}
	return nil
}

type exporter struct {
	ExportQuery
	db      *DB
	columns []string
	lives   map[int64]life
	f       func(Record) error
}

// give hands a row over if its time is in the range.
func (e *exporter) give(ms int64, w who, r row) error {
	if ms < e.From.UnixMilli() || ms > e.To.UnixMilli() {
		return nil
	}
	values := make([]xen.Count, len(e.columns))
	for i := range values {
		values[i] = r.at(i)
	}
	return e.f(Record{Time: milli(ms), ID: w.id, UUID: w.uuid, Name: w.name, Columns: e.columns, Values: values})
}

// snapshots hands over the snapshots of an hour.
func (e *exporter) snapshots(ctx context.Context, hour int64) error {
	hosts, err := e.db.hostSamples(ctx, e.db.sql, hour)
	if err != nil {
		return err
	}
	ends := make(map[int64]int64, len(hosts))
	for _, s := range hosts {
		ends[s.Snap] = s.Row[EndMilli]
		if e.Host {
			if err := e.give(s.Row[EndMilli], who{}, s.Row); err != nil {
				return err
			}
		}
	}
	if e.Host {
		return nil
	}
	groups, err := e.db.domainSamples(ctx, e.db.sql, hour)
	if err != nil {
		return err
	}
	for _, g := range groups {
		l, ok := e.lives[g.life]
		if !ok {
			continue
		}
		for _, s := range g.samples {
			if end, ok := ends[s.Snap]; ok {
				if err := e.give(end, l.who, s.Row); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// hour hands over the rows of a closed hour.
func (e *exporter) hour(ctx context.Context, hour int64) error {
	if e.Host {
		return eachHour(ctx, e.db, hostTable, `0`, `hour = ?`, []any{hour}, func(_, _ int64, r row) error {
			return e.give(r[hourUntil], who{}, r)
		})
	}
	return eachHour(ctx, e.db, domainTable, `life`, `life IN (SELECT life FROM life) AND hour = ?`, []any{hour}, func(life, _ int64, r row) error {
		if l, ok := e.lives[life]; ok {
			return e.give(r[hourUntil], l.who, r)
		}
		return nil
	})
}
