package history

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/needs"
)

// written is a file with a few closed hours and a clean end.
func written(t *testing.T, path string) *machineRoom {
	t.Helper()
	m := newHost(5, 20, 10*time.Minute)
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		appendTo(t, db, m.tick())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDamagedFile: it is renamed, whole, and a new history begins.
func TestDamagedFile(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"the first page is zeros": func(b []byte) []byte { return append(make([]byte, pageSize), b[pageSize:]...) },
		"it was cut off":          func(b []byte) []byte { return b[:len(b)/3] },
		"rubbish from page 2 on": func(b []byte) []byte {
			return append(b[:pageSize:pageSize], bytes.Repeat([]byte("rubbish!"), (len(b)-pageSize)/8)...)
		},
		"another file lies over it": func([]byte) []byte { return []byte("not a database at all, but long enough to look like one") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.db")
			m := written(t, path)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(whole)
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			var said []string
			db := openAt(t, path, Options{
				Say: func(s string) { said = append(said, s) },
				Now: func() time.Time { return begin },
			})
			appendTo(t, db, m.tick())
			appendTo(t, db, m.tick())
			aside := path + ".damaged-20261001T000000Z"
			kept, err := os.ReadFile(aside)
			if err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("what was set aside is not what was there: %v", err)
			}
			if len(said) != 1 || !strings.Contains(said[0], aside) {
				t.Errorf("said %q", said)
			}
			info, err := db.Info(t.Context())
			if err != nil || info.Recorded != 2 {
				t.Errorf("%+v, %v", info, err)
			}
		})
	}
}

// TestForeignFile: what is no history is left alone.
func TestForeignFile(t *testing.T) {
	other := func(statement string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name, file string
		make       func(t *testing.T, path string)
		want       error
	}{
		{"text", "passwd", func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, bytes.Repeat([]byte("root:x:0:0\n"), 100), 0o644); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"another database", "history.db", other(`CREATE TABLE theirs (x)`), errForeign},
		{"a newer one", "history.db", other(fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = 99; CREATE TABLE life (x)`, applicationID)), cause.ErrNotSupported},
	}
	for _, tt := range tests {
		for _, readOnly := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, tt.file)
				tt.make(t, path)
				_, err := Open(t.Context(), path, Options{ReadOnly: readOnly, Say: func(s string) { t.Error(s) }})
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if names, _ := os.ReadDir(dir); len(names) != 1 || names[0].Name() != tt.file {
					t.Errorf("files %v", names)
				}
			})
		}
	}
}

// TestDamagedBlockIsSkipped: one block that cannot be read costs its hour of
// its domain, and is told.
func TestDamagedBlockIsSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	written(t, path)
	db := openAt(t, path, Options{})
	if _, err := db.sql.Exec(`UPDATE domain_block SET data = x'0102030405060708' WHERE id = (SELECT min(id) FROM domain_block)`); err != nil {
		t.Fatal(err)
	}
	r, err := db.Range(t.Context(), Query{From: begin, To: begin.Add(12 * time.Hour)})
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "2026-10-01T00:00:00Z") {
		t.Errorf("%v, notes %q", err, r.Notes)
	}
	problems, err := db.Check(t.Context())
	if err != nil || len(problems) != 1 {
		t.Errorf("%v, problems %q", err, problems)
	}
}

// TestPowerLoss: what SQLite must be told so that a commit survives.
func TestPowerLoss(t *testing.T) {
	db := open(t, Options{})
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "page_size": "8192", "auto_vacuum": "2"} {
		var got string
		if err := db.sql.QueryRow(`PRAGMA ` + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s: %v", pragma, got, want, err)
		}
	}
}

// TestReadWithoutRights: a user who may only read the file reads it, whether
// somebody has it open or not, and leaves nothing behind.
func TestReadWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Unmet(t, "only root can become somebody else")
	}
	for name, writing := range map[string]bool{"nobody writes": false, "somebody writes": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // another user has to get there
				t.Fatal(err)
			}
			path := filepath.Join(dir, "history.db")
			m := written(t, path)
			want := 40
			if writing {
				db := openAt(t, path, Options{})
				appendTo(t, db, m.tick())
				want++
			}
			type result struct {
				points int
				err    error
			}
			done := make(chan result)
			go func() {
				runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
				if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
					done <- result{0, errno}
					return
				}
				db, err := Open(t.Context(), path, Options{ReadOnly: true})
				if err != nil {
					done <- result{0, err}
					return
				}
				defer db.Close()
				r, err := db.Range(t.Context(), Query{From: begin, To: begin.Add(24 * time.Hour)})
				done <- result{len(r.Host), err}
			}()
			if got := <-done; got.err != nil || got.points != want {
				t.Errorf("%d points, %v; want %d", got.points, got.err, want)
			}
		})
	}
}

// TestFull: where there is no room the error says so, nothing breaks, and it
// goes on when there is room again.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		needs.Unmet(t, "a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	m, db := newHost(9, 50, time.Minute), openAt(t, filepath.Join(dir, "history.db"), Options{})
	var err error
	n := int64(0)
	for ; n < 10_000 && err == nil; n++ {
		err = db.Append(t.Context(), m.tick())
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d snapshots: %v", n, err)
	}
	if problems, err := db.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("%v, problems %q", err, problems)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, db, m.tick())
	if info, err := db.Info(t.Context()); err != nil || info.Recorded < n-1 {
		t.Errorf("%d snapshots of %d, %v", info.Recorded, n, err)
	}
}
