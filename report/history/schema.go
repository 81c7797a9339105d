package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"xtm/internal/cause"
)

const (
	// applicationID marks the file as ours: "xtmh".
	applicationID = 0x78746d68
	// schemaVersion rises with every change of the tables.
	schemaVersion = 1
	// pageSize holds a block of an hour and its neighbours with little waste.
	pageSize = 8192
)

// The places in the file. Snapshots of the hours that are not closed are rows;
// of a closed hour there is a block of all rows and one row that sums it up.
//
//	about         what seldom changes of the host
//	life          a domain from its creation to its end
//	host_row      snap → host
//	domain_row    snap, life → domain
//	host_block    hour → rows of the hour (codec.go)
//	domain_block  hour × 2²⁴ + life → the same
//	host_hour     hour → the last row, with levels and rises (hour.go)
//	domain_hour   life, hour → the same
const lifeBits = 24

// createSchema makes the tables in an empty file.
func createSchema(ctx context.Context, db *sql.DB) error {
	statements := []string{
		`CREATE TABLE IF NOT EXISTS about (about INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, release TEXT NOT NULL,
			source TEXT NOT NULL, tmem TEXT NOT NULL, evidence TEXT NOT NULL, advice TEXT NOT NULL,
			UNIQUE (name, version, release, source, tmem, evidence, advice)) STRICT`,
		`CREATE TABLE IF NOT EXISTS life (life INTEGER PRIMARY KEY, identity TEXT NOT NULL, domid INTEGER NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL,
			type TEXT NOT NULL, guest_path TEXT NOT NULL, first_snap INTEGER NOT NULL, UNIQUE (identity, domid)) STRICT`,
		`CREATE TABLE IF NOT EXISTS host_row (snap INTEGER PRIMARY KEY AUTOINCREMENT, ` + integers(hostTable.rowColumns()) + `) STRICT`,
		`CREATE TABLE IF NOT EXISTS domain_row (snap INTEGER NOT NULL, life INTEGER NOT NULL, ` + integers(domainTable.rowColumns()) +
			`, PRIMARY KEY (snap, life)) STRICT, WITHOUT ROWID`,
		`CREATE TABLE IF NOT EXISTS host_block (hour INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT`,
		`CREATE TABLE IF NOT EXISTS domain_block (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT`,
		`CREATE TABLE IF NOT EXISTS host_hour (hour INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT`,
		`CREATE TABLE IF NOT EXISTS domain_hour (life INTEGER NOT NULL, hour INTEGER NOT NULL, data BLOB NOT NULL,
			PRIMARY KEY (life, hour)) STRICT, WITHOUT ROWID`,
		fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
		fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion),
	}
	// The first of these that writes settles the others.
	for _, s := range []string{
		fmt.Sprintf(`PRAGMA page_size = %d`, pageSize), `PRAGMA auto_vacuum = incremental`, `PRAGMA journal_mode = wal`,
	} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing left to undo
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	return tx.Commit()
}

func integers(columns []string) string { return strings.Join(columns, " INTEGER, ") + " INTEGER" }

// rowColumns are the columns of a row in SQL.
func (t *table) rowColumns() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// insertSQL puts keys and columns into a table.
func insertSQL(verb, table string, columns []string) string {
	return verb + " INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
}

// errForeign means that a file is an SQLite database, but not of ours.
var errForeign = errors.New("this is a database of another program")

// checkSchema tells whether the file is ours and of a version that is known;
// an empty file is neither.
func checkSchema(ctx context.Context, db *sql.DB) (empty bool, err error) {
	var id, version, tables int
	for pragma, to := range map[string]*int{
		`PRAGMA application_id`: &id, `PRAGMA user_version`: &version, `SELECT count(*) FROM sqlite_schema`: &tables,
	} {
		if err := db.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return false, fmt.Errorf("read its schema: %w", err)
		}
	}
	switch {
	case id == 0 && tables == 0:
		return true, nil
	case id != applicationID:
		return false, errForeign
	case version > schemaVersion:
		return false, fmt.Errorf("a newer xtm wrote it (version %d, this one knows %d): %w", version, schemaVersion, cause.ErrNotSupported)
	default:
		return false, nil
	}
}
