package statedir_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

type record struct {
	Schema int    `json:"schema"`
	Word   string `json:"word"`
}

const file = statedir.Path + "/sub/x.json"

func TestKeptIsRead(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	was := record{1, "tmem"}
	if err := statedir.Keep(root, file, was); err != nil {
		t.Fatal(err)
	}
	b, err := root.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var is record
	if err := statedir.Parse(b, 1, &is); err != nil || is != was {
		t.Errorf("got %+v, %v", is, err)
	}
	for dir, mode := range map[string]os.FileMode{"/var/lib": 0o755, statedir.Path: 0o700, statedir.Path + "/sub": 0o700} {
		if fi, err := os.Stat(string(root) + dir); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", dir, fi.Mode(), err)
		}
	}
	for range 2 { // the second finds none
		if err := statedir.Forget(root, file); err != nil {
			t.Error(err)
		}
	}
	if found, err := root.Exists(file); found || err != nil {
		t.Errorf("it is still there, %v", err)
	}
}

func TestParseIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema": 2, "word": "w", "new": 1}`: "schema 2, and this xtm knows 1",
		`{"word": "w"}`:                        "schema 0",
		`{"schema": 1, "new": 1}`:              `unknown field "new"`,
		`{"schema": 1`:                         "unexpected EOF",
		``:                                     "EOF",
	} {
		if err := statedir.Parse([]byte(text), 1, &record{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOneRunAtATime(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	unlock, err := statedir.Lock(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := statedir.Lock(root); !errors.Is(err, statedir.ErrLocked) {
		t.Error(err)
	}
	unlock()
	if unlock, err = statedir.Lock(root); err != nil {
		t.Fatal(err)
	}
	unlock()
}
