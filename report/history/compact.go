package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// hourMilli is an hour in milliseconds.
const hourMilli = 3_600_000

// hourOf is the number of an hour since 1970. Times before that do not occur.
func hourOf(ms int64) int64 { return ms / hourMilli }

// blockID is the key of a domain's hour: blocks of an hour lie together, so
// that new ones go to the end of the file's tree.
func blockID(hour, life int64) int64 { return hour<<lifeBits | life }

// closeHours packs the rows of every hour but the current one, and then drops
// what is over the limits.
func (db *DB) closeHours(ctx context.Context, current int64) error {
	hours, err := db.numbers(ctx, `SELECT DISTINCT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 <> ? ORDER BY 1`, current)
	if err != nil || len(hours) == 0 {
		return err
	}
	for _, hour := range hours {
		if err := db.within(ctx, func(tx *sql.Tx) error { return db.closeHour(ctx, tx, hour) }); err != nil {
			return fmt.Errorf("close the hour %s: %w", stamp(hour*hourMilli), err)
		}
	}
	// A clock that was wrong for a while must not make everything look old.
	return db.retain(ctx, min(current, hours[len(hours)-1]+1))
}

// numbers are the first column of a query.
func (db *DB) numbers(ctx context.Context, query string, args ...any) ([]int64, error) {
	rows, err := db.sql.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// queryer is a transaction or the database.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// closeHour turns the rows of an hour into one block and one row for each
// domain and for the host.
func (db *DB) closeHour(ctx context.Context, tx *sql.Tx, hour int64) error {
	hosts, err := db.hostSamples(ctx, tx, hour)
	if err != nil {
		return err
	}
	before, err := lastHour[HostColumn](ctx, tx, hostTable, `hour < ?`, hour)
	if err != nil {
		return err
	}
	times := momentsOf(hosts, before.until())
	host := summary(&chain{table: hostTable}, before, hosts, times, 0)

	groups, err := db.domainSamples(ctx, tx, hour)
	if err != nil {
		return err
	}
	insertHour, err := tx.PrepareContext(ctx, insertSQL("INSERT OR REPLACE", "domain_hour", append([]string{"life", "hour"}, domainTable.hourColumns()...)))
	if err != nil {
		return err
	}
	insertBlock, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO domain_block (id, data) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	for _, g := range groups {
		before, err := lastHour[Column](ctx, tx, domainTable, `life = ? AND hour < ?`, g.life, hour)
		if err != nil {
			return err
		}
		point := summary(&chain{table: domainTable}, before, g.samples, times, g.first)
		addRises(&host, &point)
		if _, err := insertHour.ExecContext(ctx, hourArguments([]any{g.life, hour}, &point)...); err != nil {
			return err
		}
		block, err := db.codec.encode(g.samples)
		if err != nil {
			return err
		}
		if _, err := insertBlock.ExecContext(ctx, blockID(hour, g.life), block); err != nil {
			return err
		}
	}
	block, err := db.codec.encode(hosts)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		text string
		args []any
	}{
		{`INSERT OR REPLACE INTO host_block (hour, data) VALUES (?, ?)`, []any{hour, block}},
		{insertSQL("INSERT OR REPLACE", "host_hour", append([]string{"hour"}, hostTable.hourColumns()...)), hourArguments([]any{hour}, &host)},
		{`DELETE FROM domain_row WHERE snap IN (SELECT snap FROM host_row WHERE end_ms / 3600000 = ?)`, []any{hour}},
		{`DELETE FROM host_row WHERE end_ms / 3600000 = ?`, []any{hour}},
	} {
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// summary makes one point of an hour's samples. before is the hour before, if
// any.
func summary[C ~int](c *chain, before hourPoint[C], samples []sample, times map[int64]moment, first int64) Point[C] {
	if before.ok {
		c.begun, c.last, c.until = true, before.last, before.Until.UnixMilli()
	}
	var p Point[C]
	for _, s := range samples {
		t, ok := times[s.snap]
		if !ok {
			continue
		}
		born := c.table == domainTable && s.snap == first && first > 1 && wasBorn(s.row, t)
		p.join(follow[C](c, s.row, t, born))
	}
	// A listing that failed at the hour's end does not hide what was counted.
	p.last = append(row(nil), p.last...)
	for _, i := range c.table.counters {
		if p.last[i] == absent {
			p.last[i] = c.last[i]
		}
	}
	return p
}

// momentsOf are the times of snapshots, in their order.
func momentsOf(hosts []sample, before int64) map[int64]moment {
	times := make(map[int64]moment, len(hosts))
	for _, s := range hosts {
		end := s.row[EndMilli]
		times[s.snap] = moment{end, before}
		before = end
	}
	return times
}

// hourPoint is an hour's row, if there is one.
type hourPoint[C ~int] struct {
	Point[C]
	hour int64
	ok   bool
}

func (p hourPoint[C]) until() int64 {
	if !p.ok {
		return 0
	}
	return p.Until.UnixMilli()
}

// lastHour is the latest hour for which the condition holds.
func lastHour[C ~int](ctx context.Context, q queryer, t *table, condition string, args ...any) (hourPoint[C], error) {
	cells := newCells(1 + len(t.hourColumns()))
	err := q.QueryRowContext(ctx, hourQuery(t, condition)+` ORDER BY hour DESC LIMIT 1`, args...).Scan(cells.to...)
	if errors.Is(err, sql.ErrNoRows) {
		return hourPoint[C]{}, nil
	}
	return hourPoint[C]{parseHour[C](t, cells.row()[1:]), cells.row()[0], err == nil}, err
}

func hourQuery(t *table, condition string) string {
	return `SELECT hour, ` + strings.Join(t.hourColumns(), ", ") + ` FROM ` + t.name + `_hour WHERE ` + condition
}

// hourArguments are in the order of table.hourColumns.
func hourArguments[C ~int](keys []any, p *Point[C]) []any {
	return arguments(keys, []int64{p.Since.UnixMilli(), p.Until.UnixMilli(), int64(p.Samples), int64(p.Resets)},
		p.last, p.means(), p.low, p.high, p.rise)
}

// parseHour is the reverse. Cells behind an older file's columns are absent.
func parseHour[C ~int](t *table, r row) Point[C] {
	take := func(n int) row {
		part := r[:n:n]
		r = r[n:]
		return part
	}
	head := take(4)
	p := Point[C]{
		table: t, Since: milli(head[0]), Until: milli(head[1]), Samples: int(max(0, head[2])), Resets: int(max(0, head[3])),
		last: take(len(t.columns)),
	}
	mean, low, high := take(len(t.levels)), take(len(t.levels)), take(len(t.levels))
	p.levels(mean, low, high, max(1, head[2]))
	p.rise = take(len(t.counters))
	return p
}
