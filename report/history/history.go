// Package history keeps snapshots of a host in a file, for as long as it is
// told, and answers how things were: as points over a range, and as the report
// of a range.
//
// The file is an SQLite database. What is kept are the integers that a source
// printed, never ratios, so that every figure of a report can be computed over
// any range; what started again and what is missing stays visible. Not kept are
// the names and parts of single pools, and shared pools.
//
// A program that shows history opens it once, read-only, and asks:
//
//	db, err := history.Open(ctx, path, history.Options{ReadOnly: true})
//	got, err := db.Range(ctx, history.Query{From: from, To: to, Points: 300})
//	for _, p := range got.Host {
//		free, rate := p.Mean(history.Free), p.Rise(history.Evicted) // absent is not 0
//	}
//	r, err := db.Report(ctx, from, to, report.DefaultThresholds())
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"xtm/internal/cause"
	"xtm/internal/units"
	"xtm/report/history/block"
)

// Limits say how much is kept; 0 is all of it. The size wins over the ages.
type Limits struct {
	// Snapshots is how long every snapshot is kept, Hours how long one row an
	// hour.
	Snapshots, Hours time.Duration
	// Size is the most that the file may have, at least LeastSize. Its
	// journal, which is bounded too, comes on top.
	Size units.Bytes
}

// LeastSize is the smallest size that may be asked for: the hour that is not
// closed yet has to fit.
const LeastSize units.Bytes = 16 << 20

// Options say how to open a history.
type Options struct {
	// ReadOnly needs no more than the right to read the file.
	ReadOnly bool
	// Limits of what is kept.
	Limits Limits
	// Say is told what the user has to know, such as that a damaged file was
	// set aside. It may be nil.
	Say func(string)
	// Now gives a file that is set aside its name.
	Now func() time.Time
}

// DB is an open history. One goroutine may use it at a time; several programs
// may have the same file open.
type DB struct {
	path    string
	options Options
	sql     *sql.DB
	// opened is the file itself: another one may come to stand at its path.
	opened os.FileInfo
	codec  block.Codec
	insert inserts
	// overlooked is what could not be read and was left out.
	overlooked []string
}

// Open opens a history. Without ReadOnly, a missing file is created with its
// folder, and a damaged one is renamed and begun anew. A file that is missing
// is cause.ErrNoData to a reader; one of a newer xtm is cause.ErrNotSupported.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if s := o.Limits.Size; s > 0 && s < LeastSize {
		return nil, fmt.Errorf("open history: a size of %s bytes is too small: the least is %s", units.Group(int64(s)), units.Group(int64(LeastSize)))
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	db := &DB{path: path, options: o}
	if o.ReadOnly {
		return db, db.openReader(ctx)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := db.openWriter(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// openWriter opens or creates the file, and sets a damaged one aside.
func (db *DB) openWriter(ctx context.Context) error {
	err := db.connect(ctx, url.Values{
		"_txlock": {"immediate"},
		// A commit is on the disk when it returns: power loss takes no more
		// than the write that it interrupts.
		"_synchronous": {"full"}, "_pragma": {"journal_size_limit(8388608)"},
	})
	if isDamage(err) {
		if err := db.setAside(err); err != nil {
			return err
		}
		return db.openWriter(ctx)
	}
	return err
}

// openReader opens the file as it is. Where nobody writes and the reader may
// not make the files beside it that SQLite shares between programs, it is read
// as one that does not change.
func (db *DB) openReader(ctx context.Context) error {
	if _, err := os.Stat(db.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open history %s: there is none: %w", db.path, cause.ErrNoData)
	}
	err := db.connect(ctx, url.Values{"mode": {"ro"}, "_query_only": {"1"}})
	if code := codeOf(err); code != codeCantOpen && code != codeReadOnly {
		return err
	}
	if _, errWAL := os.Stat(db.path + "-wal"); !errors.Is(errWAL, fs.ErrNotExist) {
		return err
	}
	return db.connect(ctx, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"1"}})
}

// connect opens the file with these settings and looks at its schema.
func (db *DB) connect(ctx context.Context, settings url.Values) (err error) {
	settings["_busy_timeout"] = []string{"10000"}
	settings["_pragma"] = append(settings["_pragma"], "temp_store(memory)", "cache_size(-16384)")
	name := url.URL{Scheme: "file", Path: db.path, RawQuery: settings.Encode()}
	conn, err := sql.Open("sqlite", name.String())
	if err != nil {
		return fmt.Errorf("open history %s: %w", db.path, err)
	}
	conn.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			conn.Close() //nolint:errcheck // the first error is the one to tell
			err = explain("open", db.path, err)
		}
	}()
	empty, err := checkSchema(ctx, conn)
	switch {
	case err != nil:
		return err
	case empty && db.options.ReadOnly:
		return fmt.Errorf("it is empty: %w", cause.ErrNoData)
	case empty:
		if err := createSchema(ctx, conn); err != nil {
			return err
		}
	}
	if db.opened, err = os.Stat(db.path); err != nil {
		return err
	}
	db.sql, db.insert = conn, inserts{}
	return nil
}

// Path is the file's.
func (db *DB) Path() string { return db.path }

// Close ends the use of the file. The last program that closes it leaves one
// file and no journal.
func (db *DB) Close() error {
	if db.sql == nil {
		return nil
	}
	db.insert.close()
	if err := db.sql.Close(); err != nil {
		return explain("close", db.path, err)
	}
	return nil
}
