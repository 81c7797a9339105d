package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"xtm/report/history/block"
)

// An hour's row has four values for the point, and then those of the table's
// columns, levels and counters (hourColumns).
const (
	hourSince = iota
	hourUntil
	hourSamples
	hourResets
	hourHead
)

// hourColumns are the names of the values of an hour's row.
func (t *table) hourColumns() []string {
	names := append([]string{"since_ms", "until_ms", "samples", "resets"}, t.rowColumns()...)
	for _, word := range []string{"mean_", "low_", "high_"} {
		for _, i := range t.levels {
			names = append(names, word+t.columns[i].name)
		}
	}
	for _, i := range t.counters {
		names = append(names, "rise_"+t.columns[i].name)
	}
	return names
}

// hourWidth is how many values an hour's row has.
func (t *table) hourWidth() int { return hourHead + len(t.columns) + 3*len(t.levels) + len(t.counters) }

// appendHour packs a point.
func appendHour[C ~int](buf []byte, p *Point[C]) []byte {
	head := []int64{p.Since.UnixMilli(), p.Until.UnixMilli(), int64(p.Samples), int64(p.Resets)}
	return block.AppendValues(buf, head, p.last, p.means(), p.low, p.high, p.rise)
}

// parseHour takes an hour's row apart.
func parseHour(t *table, data []byte) (row, error) {
	r, err := block.ParseValues(data, t.hourWidth())
	if err == nil && (r[hourSamples] < 1 || r[hourResets] < 0) {
		err = fmt.Errorf("%w: an hour of %d snapshots", block.ErrDamaged, r[hourSamples])
	}
	return r, err
}

// pointOf makes a point of an hour's values.
func pointOf[C ~int](t *table, r row) Point[C] {
	take := func(n int) row {
		part := r[:n:n]
		r = r[n:]
		return part
	}
	head := take(hourHead)
	p := Point[C]{
		table: t, Since: milli(head[hourSince]), Until: milli(head[hourUntil]), Samples: int(head[hourSamples]), Resets: int(head[hourResets]),
		last: take(len(t.columns)),
	}
	mean, low, high := take(len(t.levels)), take(len(t.levels)), take(len(t.levels))
	p.levels(mean, low, high, head[hourSamples])
	p.rise = take(len(t.counters))
	return p
}

// hourPoint is an hour's row, if there is one.
type hourPoint[C ~int] struct {
	Point[C]
	ok bool
}

func (p hourPoint[C]) until() int64 {
	if !p.ok {
		return 0
	}
	return p.Until.UnixMilli()
}

// lastHour is the hour that a query answers with. One that is damaged is none.
func lastHour[C ~int](answer *sql.Row, t *table) (hourPoint[C], error) {
	var data []byte
	switch err := answer.Scan(&data); {
	case errors.Is(err, sql.ErrNoRows):
		return hourPoint[C]{}, nil
	case err != nil:
		return hourPoint[C]{}, err
	}
	r, err := parseHour(t, data)
	if err != nil {
		return hourPoint[C]{}, nil //nolint:nilerr // what is damaged is told to who asks for it
	}
	return hourPoint[C]{pointOf[C](t, r), true}, nil
}

// eachHour reads the values of hours, with one more column in front of them.
// Damaged ones are overlooked.
func eachHour(ctx context.Context, db *DB, t *table, key, condition string, args []any, f func(key, hour int64, r row) error) error {
	rows, err := db.sql.QueryContext(ctx, `SELECT `+key+`, hour, data FROM `+t.name+`_hour WHERE `+condition, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var key, hour int64
		var data sql.RawBytes
		if err := rows.Scan(&key, &hour, &data); err != nil {
			return err
		}
		r, err := parseHour(t, data)
		if err != nil {
			db.overlook(hour, "the "+t.name, err)
			continue
		}
		if err := f(key, hour, r); err != nil {
			return err
		}
	}
	return rows.Err()
}
