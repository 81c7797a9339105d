package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"xtm/internal/units"
)

// Info is what a history holds.
type Info struct {
	Path string `json:"path"`
	// Size is that of the file, Used the part of it that holds something, and
	// Journal what was written and not yet put into the file.
	Size    units.Bytes `json:"size_bytes"`
	Used    units.Bytes `json:"used_bytes"`
	Journal units.Bytes `json:"journal_bytes"`
	// First and Last are the times of the snapshots there is something of;
	// zero where there is none.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Snapshots begin at this time; before it there are only hours.
	Snapshots time.Time `json:"snapshots_since,omitzero"`
	// Recorded is how many snapshots ever went in, Open how many are in hours
	// that are not closed, Hours how many closed hours there are.
	Recorded int64 `json:"snapshots_recorded"`
	Open     int64 `json:"snapshots_in_open_hours"`
	Hours    int64 `json:"hours"`
	// Domains is how many there were, Lives how often one was made.
	Domains int64 `json:"domains"`
	Lives   int64 `json:"lives"`
}

// Info tells what the history holds.
func (db *DB) Info(ctx context.Context) (Info, error) {
	i := Info{Path: db.path}
	err := db.describe(ctx, &i)
	if err != nil {
		return Info{}, explain("read", db.path, err)
	}
	return i, nil
}

func (db *DB) describe(ctx context.Context, i *Info) (err error) {
	if i.Used, i.Size, err = db.sizes(ctx); err != nil {
		return err
	}
	switch wal, err := os.Stat(db.path + "-wal"); {
	case err == nil:
		i.Journal = units.Bytes(wal.Size())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	var first, last, blocks sql.NullInt64
	for _, q := range []struct {
		text string
		to   any
	}{
		{`SELECT min(ms) FROM (SELECT min(hour) * 3600000 AS ms FROM host_hour UNION ALL SELECT min(end_ms) FROM host_row)`, &first},
		{`SELECT max(end_ms) FROM host_row`, &last},
		{`SELECT min(ms) FROM (SELECT min(hour) * 3600000 AS ms FROM host_block UNION ALL SELECT min(end_ms) FROM host_row)`, &blocks},
		{`SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'host_row'`, &i.Recorded},
		{`SELECT count(*) FROM host_row`, &i.Open},
		{`SELECT count(*) FROM host_hour`, &i.Hours},
		{`SELECT count(DISTINCT identity) FROM life`, &i.Domains},
		{`SELECT count(*) FROM life`, &i.Lives},
	} {
		if err := db.sql.QueryRowContext(ctx, q.text).Scan(q.to); err != nil {
			return err
		}
	}
	if !last.Valid {
		hour, err := lastHour[HostColumn](db.sql.QueryRowContext(ctx, `SELECT data FROM host_hour ORDER BY hour DESC LIMIT 1`), hostTable)
		if err != nil {
			return err
		}
		last = sql.NullInt64{Int64: hour.until(), Valid: hour.ok}
	}
	for _, t := range []struct {
		from sql.NullInt64
		to   *time.Time
	}{{first, &i.First}, {last, &i.Last}, {blocks, &i.Snapshots}} {
		if t.from.Valid {
			*t.to = milli(t.from.Int64)
		}
	}
	return nil
}

// Check reads the whole file and returns what is wrong with it: nothing where
// it is sound. It looks at every block, too.
func (db *DB) Check(ctx context.Context) ([]string, error) {
	problems, err := db.check(ctx)
	if isDamage(err) {
		return []string{plain(err)}, nil
	}
	if err != nil {
		return nil, explain("check", db.path, err)
	}
	return problems, nil
}

func (db *DB) check(ctx context.Context) ([]string, error) {
	rows, err := db.sql.QueryContext(ctx, `PRAGMA integrity_check(20)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var problems []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		if line != "ok" {
			problems = append(problems, line)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	packed := func(t *table) func([]byte) error {
		return func(data []byte) error { _, err := db.codec.Decode(len(t.columns), data); return err }
	}
	hour := func(t *table) func([]byte) error {
		return func(data []byte) error { _, err := parseHour(t, data); return err }
	}
	for _, b := range []struct {
		what, query string
		parse       func([]byte) error
	}{
		{"block of the host", `SELECT hour, 0, data FROM host_block`, packed(hostTable)},
		{"block of a domain", fmt.Sprintf(`SELECT id >> %d, id & %d, data FROM domain_block`, lifeBits, 1<<lifeBits-1), packed(domainTable)},
		{"hour of the host", `SELECT hour, 0, data FROM host_hour`, hour(hostTable)},
		{"hour of a domain", `SELECT hour, life, data FROM domain_hour`, hour(domainTable)},
	} {
		more, err := db.checkEach(ctx, b.what, b.query, b.parse)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	return problems, nil
}

func (db *DB) checkEach(ctx context.Context, what, query string, parse func([]byte) error) ([]string, error) {
	const most = 20
	rows, err := db.sql.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var problems []string
	for rows.Next() && len(problems) < most {
		var hour, life int64
		var data sql.RawBytes
		if err := rows.Scan(&hour, &life, &data); err != nil {
			return nil, err
		}
		if err := parse(data); err != nil {
			problems = append(problems, fmt.Sprintf("%s, %s, life %d: %s", what, stamp(hour*hourMilli), life, err))
		}
	}
	return problems, rows.Err()
}
