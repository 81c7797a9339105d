package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"xtm/internal/cause"
)

const (
	codeCantOpen = sqlite3.SQLITE_CANTOPEN
	codeReadOnly = sqlite3.SQLITE_READONLY
)

// ErrFull means that the disk, or what the user may have of it, is full.
var ErrFull = errors.New("no room left for history")

// codeOf is SQLite's primary result code, or 0.
func codeOf(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// isDamage tells that the file's content is the trouble. A short read is a file
// that was cut off.
func isDamage(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	return codeOf(err) == sqlite3.SQLITE_CORRUPT || codeOf(err) == sqlite3.SQLITE_NOTADB || e.Code() == sqlite3.SQLITE_IOERR_SHORT_READ
}

// explain adds the file and what the user can make of the code.
func explain(verb, path string, err error) error {
	switch codeOf(err) {
	case sqlite3.SQLITE_FULL:
		err = fmt.Errorf("%w: %w", ErrFull, err)
	case codeReadOnly, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		err = fmt.Errorf("%w: %w", cause.ErrNeedsRoot, err)
	case codeCantOpen:
		if f, errOpen := os.Open(path); errors.Is(errOpen, fs.ErrPermission) {
			err = fmt.Errorf("%w: %w", cause.ErrNeedsRoot, err)
		} else if errOpen == nil {
			f.Close() //nolint:errcheck // it was only tried
		}
	}
	return fmt.Errorf("%s history %s: %w", verb, path, err)
}

// setAside renames a damaged file, with its journal, so that a new one can
// begin. Nothing is deleted. It only touches what is or was a history: a file
// with SQLite's mark, or one whose name says so.
func (db *DB) setAside(damage error) error {
	if db.sql != nil {
		db.Close() //nolint:errcheck // it is damaged
		db.sql = nil
	}
	if !looksLikeHistory(db.path) {
		return fmt.Errorf("%s is no history and was left alone: %w", db.path, damage)
	}
	now, err := os.Stat(db.path)
	if err != nil {
		return fmt.Errorf("set aside damaged history: %w", err)
	}
	if db.opened != nil && !os.SameFile(db.opened, now) {
		return nil // another program did it already
	}
	aside := db.path + ".damaged-" + db.options.Now().UTC().Format("20060102T150405Z")
	for i := 2; exists(aside); i++ {
		aside = fmt.Sprintf("%s.damaged-%s-%d", db.path, db.options.Now().UTC().Format("20060102T150405Z"), i)
	}
	// The database goes last: until then a new start finds all of it.
	for _, part := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(db.path+part, aside+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set aside damaged history: %w", err)
		}
	}
	db.opened = nil
	db.options.Say(fmt.Sprintf("history %s was damaged (%s); it is now %s, and a new history begins", db.path, plain(damage), aside))
	return nil
}

// plain is an error without the file's name, which the sentence has already.
func plain(err error) string {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Error()
	}
	return err.Error()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// looksLikeHistory tells by mark or name.
func looksLikeHistory(path string) bool {
	if strings.HasSuffix(path, ".db") {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only read
	head := make([]byte, 16)
	_, err = io.ReadFull(f, head)
	return err == nil && bytes.Equal(head, []byte("SQLite format 3\x00"))
}
