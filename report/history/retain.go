package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"xtm/internal/units"
)

// retain drops what is older than the limits say as of an hour, and then, the
// oldest first, what does not fit into the size.
func (db *DB) retain(ctx context.Context, now int64) error {
	l := db.options.Limits
	before := func(age time.Duration) int64 {
		if age == 0 {
			return 0
		}
		return now - int64(age/time.Hour)
	}
	err := db.within(ctx, func(tx *sql.Tx) error {
		if err := dropBlocks(ctx, tx, before(l.Snapshots)); err != nil {
			return err
		}
		return dropHours(ctx, tx, before(l.Hours))
	})
	if err != nil {
		return fmt.Errorf("drop what is too old: %w", err)
	}
	if l.Size == 0 {
		return nil
	}
	if err := db.shrink(ctx, l.Size); err != nil {
		return fmt.Errorf("drop what does not fit: %w", err)
	}
	return nil
}

// dropBlocks drops the snapshots of the hours before this one.
func dropBlocks(ctx context.Context, tx *sql.Tx, hour int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM host_block WHERE hour < ?`, hour); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM domain_block WHERE id < ?`, blockID(hour, 0))
	return err
}

// dropHours drops the rows of the hours before this one, and the domains that
// nothing is left of.
func dropHours(ctx context.Context, tx *sql.Tx, hour int64) error {
	done, err := tx.ExecContext(ctx, `DELETE FROM host_hour WHERE hour < ?`, hour)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for _, s := range []string{
		`DELETE FROM domain_hour WHERE life IN (SELECT life FROM life) AND hour < ?`,
		`DELETE FROM life WHERE NOT EXISTS (SELECT 1 FROM domain_hour h WHERE h.life = life.life)
			AND life NOT IN (SELECT life FROM domain_row) AND ? > 0`,
	} {
		if _, err := tx.ExecContext(ctx, s, hour); err != nil {
			return err
		}
	}
	return nil
}

// dayHours is the step in which room is made.
const dayHours = 24

// shrink makes room until the file fits: first the snapshots go, then the
// hours. What it does not need it gives back to the file system.
func (db *DB) shrink(ctx context.Context, most units.Bytes) error {
	for {
		used, file, err := db.sizes(ctx)
		if err != nil {
			return err
		}
		if used <= most {
			if file > most {
				return db.giveBack(ctx)
			}
			return nil
		}
		dropped := false
		for _, step := range []struct {
			oldest string
			drop   func(context.Context, *sql.Tx, int64) error
		}{
			{`SELECT min(hour) FROM host_block`, dropBlocks},
			{`SELECT min(hour) FROM host_hour`, dropHours},
		} {
			var oldest sql.NullInt64
			if err := db.sql.QueryRowContext(ctx, step.oldest).Scan(&oldest); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if !oldest.Valid {
				continue
			}
			if err := db.within(ctx, func(tx *sql.Tx) error { return step.drop(ctx, tx, oldest.Int64+dayHours) }); err != nil {
				return err
			}
			dropped = true
			break
		}
		if !dropped { // what is left is the hour that is not closed
			return db.giveBack(ctx)
		}
	}
}

// sizes are the bytes in use and those of the file, without its journal.
func (db *DB) sizes(ctx context.Context) (used, file units.Bytes, err error) {
	var pages, free, size int64
	for pragma, to := range map[string]*int64{
		`PRAGMA page_count`: &pages, `PRAGMA freelist_count`: &free, `PRAGMA page_size`: &size,
	} {
		if err := db.sql.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return 0, 0, err
		}
	}
	return units.Bytes((pages - free) * size), units.Bytes(pages * size), nil
}

// giveBack returns free pages at the end of the file to the file system.
func (db *DB) giveBack(ctx context.Context) error {
	_, err := db.sql.ExecContext(ctx, `PRAGMA incremental_vacuum`)
	return err
}

// Vacuum closes the hours that are over as of the last snapshot, applies the
// limits and rewrites the file without gaps. For that it needs as much room
// again as the file has.
func (db *DB) Vacuum(ctx context.Context) error {
	var last sql.NullInt64
	if err := db.sql.QueryRowContext(ctx, `SELECT max(hour) FROM host_hour`).Scan(&last); err != nil {
		return explain("vacuum", db.path, err)
	}
	if last.Valid {
		if err := db.retain(ctx, last.Int64+1); err != nil {
			return explain("vacuum", db.path, err)
		}
	}
	for _, s := range []string{`VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := db.sql.ExecContext(ctx, s); err != nil {
			return explain("vacuum", db.path, err)
		}
	}
	return nil
}
