package history

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
)

// lives are all domains of the file.
func (db *DB) lives(ctx context.Context) ([]life, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT life, first_snap, domid, uuid, name, type, guest_path FROM life ORDER BY life`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var out []life
	for rows.Next() {
		var l life
		var id int64
		if err := rows.Scan(&l.number, &l.first, &id, &l.uuid, &l.name, &l.kind, &l.guestPath); err != nil {
			return nil, err
		}
		if id >= 0 {
			l.id = opt.Of(units.DomID(id))
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// livesNamed are the lives of the domains that are named; no names are all. A
// name that nobody has is an error.
func (db *DB) livesNamed(ctx context.Context, names []string) ([]life, error) {
	all, err := db.lives(ctx)
	if err != nil || len(names) == 0 {
		return all, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(l life) bool { return l.called(name) }) {
			return nil, fmt.Errorf("%w: %q: %w", errNoDomain, name, cause.ErrNoData)
		}
	}
	return slices.DeleteFunc(all, func(l life) bool { return !slices.ContainsFunc(names, l.called) }), nil
}

// called tells whether somebody who names a domain so means this one.
func (w who) called(name string) bool {
	id, ok := w.id.Get()
	return name == w.name || name == w.uuid && name != "" || ok && name == strconv.Itoa(int(id))
}
