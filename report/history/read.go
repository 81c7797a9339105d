package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xtm/report/history/block"
)

// cells are the targets of a scan of integers that may be NULL.
type cells struct {
	values []sql.NullInt64
	to     []any
}

func newCells(n int) cells {
	c := cells{make([]sql.NullInt64, n), make([]any, n)}
	for i := range c.values {
		c.to[i] = &c.values[i]
	}
	return c
}

// row is a copy of what was scanned.
func (c cells) row() row {
	r := make(row, len(c.values))
	for i, v := range c.values {
		r[i] = absent
		if v.Valid {
			r[i] = v.Int64
		}
	}
	return r
}

// group is the rows of one life within an hour.
type group struct {
	life, first int64
	samples     []block.Sample
}

// hostSamples are the host's rows of an hour, packed and not, in their order.
func (db *DB) hostSamples(ctx context.Context, q queryer, hour int64) ([]block.Sample, error) {
	var samples []block.Sample
	var data []byte
	switch err := q.QueryRowContext(ctx, `SELECT data FROM host_block WHERE hour = ?`, hour).Scan(&data); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return nil, err
	default:
		if samples, err = db.codec.Decode(len(hostTable.columns), data); err != nil {
			db.overlook(hour, "the host", err)
		}
	}
	rows, err := q.QueryContext(ctx, `SELECT snap, `+strings.Join(hostTable.rowColumns(), ", ")+
		` FROM host_row WHERE end_ms / 3600000 = ? ORDER BY snap`, hour)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	c := newCells(1 + len(hostTable.columns))
	for rows.Next() {
		if err := rows.Scan(c.to...); err != nil {
			return nil, err
		}
		r := c.row()
		samples = append(samples, block.Sample{Snap: r[0], Row: r[1:]})
	}
	return samples, rows.Err()
}

// domainSamples are the domains' rows of an hour, packed and not. Lives, where
// any are given, are the only ones.
func (db *DB) domainSamples(ctx context.Context, q queryer, hour int64, lives ...int64) ([]group, error) {
	groups := map[int64]*group{}
	if err := db.packed(ctx, q, hour, lives, groups); err != nil {
		return nil, err
	}
	if err := db.unpacked(ctx, q, hour, lives, groups); err != nil {
		return nil, err
	}
	out := make([]group, 0, len(groups))
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b group) int { return cmp.Compare(a.life, b.life) })
	return out, nil
}

func (db *DB) packed(ctx context.Context, q queryer, hour int64, lives []int64, groups map[int64]*group) error {
	condition, args := `b.id >= ? AND b.id < ?`, []any{blockID(hour, 0), blockID(hour+1, 0)}
	if len(lives) > 0 {
		condition, args = `b.id IN (?`+strings.Repeat(", ?", len(lives)-1)+`)`, args[:0]
		for _, l := range lives {
			args = append(args, blockID(hour, l))
		}
	}
	rows, err := q.QueryContext(ctx, `SELECT l.life, l.first_snap, b.data FROM domain_block b
		JOIN life l ON l.life = b.id & 16777215 WHERE `+condition, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var g group
		var data sql.RawBytes
		if err := rows.Scan(&g.life, &g.first, &data); err != nil {
			return err
		}
		if g.samples, err = db.codec.Decode(len(domainTable.columns), data); err != nil {
			db.overlook(hour, fmt.Sprintf("domain %d of the file", g.life), err)
			continue
		}
		groups[g.life] = &g
	}
	return rows.Err()
}

func (db *DB) unpacked(ctx context.Context, q queryer, hour int64, lives []int64, groups map[int64]*group) error {
	rows, err := q.QueryContext(ctx, `SELECT life, first_snap, snap, `+strings.Join(domainTable.rowColumns(), ", ")+
		` FROM domain_row JOIN life USING (life)
		WHERE snap IN (SELECT snap FROM host_row WHERE end_ms / 3600000 = ?) ORDER BY snap`, hour)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	c := newCells(3 + len(domainTable.columns))
	for rows.Next() {
		if err := rows.Scan(c.to...); err != nil {
			return err
		}
		r := c.row()
		if len(lives) > 0 && !slices.Contains(lives, r[0]) {
			continue
		}
		g := groups[r[0]]
		if g == nil {
			g = &group{life: r[0], first: r[1]}
			groups[r[0]] = g
		}
		g.samples = append(g.samples, block.Sample{Snap: r[2], Row: r[3:]})
	}
	return rows.Err()
}

// overlook goes on without a block that cannot be read, and remembers to say
// so.
func (db *DB) overlook(hour int64, what string, err error) {
	const most = 20
	if len(db.overlooked) < most {
		db.overlooked = append(db.overlooked, fmt.Sprintf("the snapshots of %s in the hour of %s cannot be read: %s", what, stamp(hour*hourMilli), err))
	}
}
