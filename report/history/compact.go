package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"xtm/report/history/block"
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
	groups, err := db.domainSamples(ctx, tx, hour)
	if err != nil {
		return err
	}
	if err := db.pack(ctx, tx, hour, hosts, groups); err != nil {
		return err
	}
	for _, s := range []string{
		`DELETE FROM domain_row WHERE snap IN (SELECT snap FROM host_row WHERE end_ms / 3600000 = ?)`,
		`DELETE FROM host_row WHERE end_ms / 3600000 = ?`,
	} {
		if _, err := tx.ExecContext(ctx, s, hour); err != nil {
			return err
		}
	}
	return nil
}

// pack writes an hour's blocks and sums.
func (db *DB) pack(ctx context.Context, tx *sql.Tx, hour int64, hosts []block.Sample, groups []group) error {
	before, err := lastHour[HostColumn](
		tx.QueryRowContext(ctx, `SELECT data FROM host_hour WHERE hour < ? ORDER BY hour DESC LIMIT 1`, hour), hostTable)
	if err != nil {
		return err
	}
	times := momentsOf(hosts, before.until())
	host := summary(hostTable, before, hosts, times, 0)
	insertHour, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO domain_hour (life, hour, data) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	insertBlock, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO domain_block (id, data) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	lastOf, err := tx.PrepareContext(ctx, `SELECT data FROM domain_hour WHERE life = ? AND hour < ? ORDER BY hour DESC LIMIT 1`)
	if err != nil {
		return err
	}
	for _, g := range groups {
		before, err := lastHour[Column](lastOf.QueryRowContext(ctx, g.life, hour), domainTable)
		if err != nil {
			return err
		}
		point := summary(domainTable, before, g.samples, times, g.first)
		if point.Samples == 0 {
			continue // its snapshots are not the host's: a block was damaged
		}
		addRises(&host, point.rise)
		if _, err := insertHour.ExecContext(ctx, g.life, hour, appendHour(nil, &point)); err != nil {
			return err
		}
		packed, err := db.codec.Encode(g.samples)
		if err != nil {
			return err
		}
		if _, err := insertBlock.ExecContext(ctx, blockID(hour, g.life), packed); err != nil {
			return err
		}
	}
	packed, err := db.codec.Encode(hosts)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO host_block (hour, data) VALUES (?, ?)`, hour, packed); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO host_hour (hour, data) VALUES (?, ?)`, hour, appendHour(nil, &host))
	return err
}

// summary makes one point of an hour's samples. before is the hour before, if
// any; first is the snapshot that a domain was first seen in.
func summary[C ~int](t *table, before hourPoint[C], samples []block.Sample, times map[int64]moment, first int64) Point[C] {
	k := track[C]{chain: chain{table: t}}
	if before.ok {
		k.chain.begun, k.chain.last, k.chain.until = true, before.last, before.Until.UnixMilli()
	}
	for _, s := range samples {
		if m, ok := times[s.Snap]; ok {
			k.add(s.Row, m, t == domainTable && s.Snap == first && first > 1 && wasBorn(s.Row, m), 0)
		}
	}
	if len(k.points) == 0 {
		return Point[C]{}
	}
	p := k.points[0]
	// A listing that failed at the hour's end does not hide what was counted.
	p.last = slices.Clone(p.last)
	for _, i := range t.counters {
		if p.last[i] == absent {
			p.last[i] = k.chain.last[i]
		}
	}
	return p
}

// momentsOf are the times of snapshots, in their order.
func momentsOf(hosts []block.Sample, before int64) map[int64]moment {
	times := make(map[int64]moment, len(hosts))
	for _, s := range hosts {
		end := s.Row[EndMilli]
		times[s.Snap] = moment{end, before}
		before = end
	}
	return times
}
