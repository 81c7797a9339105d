package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// ErrRecorded means that a snapshot is in the history already.
var ErrRecorded = errors.New("this snapshot is in the history already")

// inserts are the statements that write a snapshot, and the domains that are
// known. These are looked up anew each hour: another program may have dropped
// them.
type inserts struct {
	host, domain, find, life *sql.Stmt
	known                    map[identity]life
	hour                     int64
}

func (s *inserts) close() {
	for _, stmt := range []*sql.Stmt{s.host, s.domain, s.find, s.life} {
		if stmt != nil {
			stmt.Close() //nolint:errcheck // it held nothing
		}
	}
}

// identity is what tells one domain's life from another.
type identity struct {
	name string // the uuid, else the name
	id   int64  // -1 is not known
}

// life is a domain's row in the table of that name.
type life struct {
	who
	number, first int64 // the key, and the snapshot that it was first seen in
}

// who is what a domain is called. It is kept once for each life.
type who struct {
	id                          opt.Value[units.DomID]
	uuid, name, kind, guestPath string
}

func (w who) identity() identity {
	key := identity{"uuid " + w.uuid, -1}
	if w.uuid == "" {
		key.name = "name " + w.name
	}
	if id, ok := w.id.Get(); ok {
		key.id = int64(id)
	}
	return key
}

// Append adds a snapshot, closes the hours that are over and drops what is too
// old or too much. When it returns, the snapshot is on the disk. ErrRecorded
// says that it was there, ErrFull that there is no room; a damaged file is set
// aside first.
func (db *DB) Append(ctx context.Context, s xen.Snapshot) error {
	err := db.appendAndClose(ctx, s)
	if isDamage(err) {
		if err := db.setAside(err); err != nil {
			return err
		}
		if err := db.openWriter(ctx); err != nil {
			return err
		}
		err = db.appendAndClose(ctx, s)
	}
	if err != nil && !errors.Is(err, ErrRecorded) {
		return explain("write", db.path, err)
	}
	return err
}

func (db *DB) appendAndClose(ctx context.Context, s xen.Snapshot) error {
	if s.End.IsZero() {
		return errors.New("the snapshot does not say when it was taken")
	}
	if err := db.prepare(ctx); err != nil {
		return err
	}
	if err := db.within(ctx, func(tx *sql.Tx) error { return db.add(ctx, tx, s) }); err != nil {
		return err
	}
	return db.closeHours(ctx, hourOf(s.End.UnixMilli()))
}

// within runs f in a transaction.
func (db *DB) within(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		tx.Rollback() //nolint:errcheck // the first error is the one to tell
		return err
	}
	return tx.Commit()
}

func (db *DB) prepare(ctx context.Context) (err error) {
	if db.insert.host != nil {
		return nil
	}
	in := inserts{known: map[identity]life{}}
	for _, s := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&in.host, insertSQL("INSERT", "host_row", hostTable.rowColumns())},
		{&in.domain, insertSQL("INSERT", "domain_row", append([]string{"snap", "life"}, domainTable.rowColumns()...))},
		{&in.find, `SELECT life, first_snap, uuid, name, type, guest_path FROM life WHERE identity = ? AND domid = ?`},
		{&in.life, `INSERT INTO life (identity, domid, uuid, name, type, guest_path, first_snap) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (identity, domid) DO UPDATE SET name = excluded.name, type = excluded.type, guest_path = excluded.guest_path
			RETURNING life, first_snap`},
	} {
		if *s.to, err = db.sql.PrepareContext(ctx, s.text); err != nil {
			in.close()
			return err
		}
	}
	db.insert = in
	return nil
}

// add writes the rows of one snapshot.
func (db *DB) add(ctx context.Context, tx *sql.Tx, s xen.Snapshot) error {
	if err := checkOrder(ctx, tx, s); err != nil {
		return err
	}
	about, err := aboutOf(ctx, tx, s)
	if err != nil {
		return err
	}
	r := report.Compute(nil, s, report.DefaultThresholds())
	done, err := tx.StmtContext(ctx, db.insert.host).ExecContext(ctx, arguments(nil, hostRow(s, r.Host, about))...)
	if err != nil {
		return err
	}
	snap, err := done.LastInsertId()
	if err != nil {
		return err
	}
	if hour := hourOf(s.End.UnixMilli()); hour != db.insert.hour {
		clear(db.insert.known)
		db.insert.hour = hour
	}
	insert := tx.StmtContext(ctx, db.insert.domain)
	for _, d := range rowsOf(s) {
		l, err := db.lifeOf(ctx, tx, d.who, snap)
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, arguments([]any{snap, l.number}, d.row)...); err != nil {
			return fmt.Errorf("domain %q: %w", d.name, err)
		}
	}
	return nil
}

// checkOrder refuses what was recorded already, and recordings of another host
// or out of their order. A live clock may go back: that is kept as it comes.
func checkOrder(ctx context.Context, tx *sql.Tx, s xen.Snapshot) error {
	var end int64
	var host string
	err := tx.QueryRowContext(ctx, `SELECT end_ms, name FROM host_row JOIN about USING (about) ORDER BY snap DESC LIMIT 1`).Scan(&end, &host)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case end == s.End.UnixMilli():
		return ErrRecorded
	case s.Recorded != "" && host != s.Host.Name:
		return fmt.Errorf("it is of host %q, and this was recorded on %q: keep another history for it", host, s.Host.Name)
	case s.Recorded != "" && end > s.End.UnixMilli():
		return fmt.Errorf("it goes on to %s, and this was recorded before that: recordings go in by their order", stamp(end))
	}
	return nil
}

func stamp(ms int64) string { return milli(ms).Format("2006-01-02T15:04:05Z") }

// aboutOf finds or makes the row of what seldom changes.
func aboutOf(ctx context.Context, tx *sql.Tx, s xen.Snapshot) (int64, error) {
	names := []string{"name", "version", "release", "source", "tmem", "evidence", "advice"}
	version := ""
	if s.Host.Version.Known() {
		version = s.Host.Version.String()
	}
	args := []any{
		s.Host.Name, version, s.Host.Release, s.Source, string(s.TmemState.Answer), s.TmemState.Evidence, s.TmemState.Advice,
	}
	if _, err := tx.ExecContext(ctx, insertSQL("INSERT OR IGNORE", "about", names), args...); err != nil {
		return 0, err
	}
	var about int64
	err := tx.QueryRowContext(ctx, `SELECT about FROM about WHERE `+strings.Join(names, " = ? AND ")+` = ?`, args...).Scan(&about)
	return about, err
}

// lifeOf finds or makes the domain's life.
func (db *DB) lifeOf(ctx context.Context, tx *sql.Tx, w who, snap int64) (life, error) {
	key := w.identity()
	if l, ok := db.insert.known[key]; ok && l.who == w {
		return l, nil
	}
	l := life{who: w}
	was := who{id: w.id}
	err := tx.StmtContext(ctx, db.insert.find).QueryRowContext(ctx, key.name, key.id).
		Scan(&l.number, &l.first, &was.uuid, &was.name, &was.kind, &was.guestPath)
	if err == nil && was == w {
		db.insert.known[key] = l
		return l, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return l, err
	}
	err = tx.StmtContext(ctx, db.insert.life).
		QueryRowContext(ctx, key.name, key.id, w.uuid, w.name, w.kind, w.guestPath, snap).Scan(&l.number, &l.first)
	if err != nil {
		return l, fmt.Errorf("domain %q: %w", w.name, err)
	}
	if l.first != snap { // what this transaction made may yet be undone
		db.insert.known[key] = l
	}
	return l, nil
}

// namedRow is a domain's row with its names.
type namedRow struct {
	who
	row row
}

// rowsOf makes a row of each domain, and of each client that no domain list
// has. Two under one identity cannot be told apart: the first stays.
func rowsOf(s xen.Snapshot) []namedRow {
	list, _ := s.Tmem.Get()
	byID, byPosition := map[units.DomID]*xen.TmemClient{}, map[int]*xen.TmemClient{}
	for i := range list.Clients {
		c := &list.Clients[i]
		if p, ok := c.Position.Get(); ok {
			byPosition[p] = c
		} else {
			byID[c.ID] = c
		}
	}
	out, seen := make([]namedRow, 0, len(s.Domains)), map[identity]bool{}
	add := func(d xen.Domain, c *xen.TmemClient) {
		w := who{id: d.ID, uuid: d.UUID, name: d.Name, kind: d.Type}
		if g, ok := d.Guest.Get(); ok {
			w.guestPath = g.Path
		}
		if !seen[w.identity()] {
			seen[w.identity()] = true
			out = append(out, namedRow{w, domainRow(d, c, s.Tmem)})
		}
	}
	for i, d := range s.Domains {
		c := byPosition[i]
		if id, ok := d.ID.Get(); ok {
			c = byID[id]
			delete(byID, id)
		}
		add(d, c)
	}
	for i := range list.Clients {
		if c := &list.Clients[i]; byID[c.ID] == c {
			add(xen.Domain{ID: opt.Of(c.ID)}, c)
		}
	}
	return out
}

// arguments are the values of an insert; absent ones are NULL.
func arguments(first []any, values ...[]int64) []any {
	for _, list := range values {
		for _, v := range list {
			if v == absent {
				first = append(first, nil)
			} else {
				first = append(first, v)
			}
		}
	}
	return first
}
