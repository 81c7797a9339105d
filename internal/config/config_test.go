package config_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/config"
	"xtm/internal/hostfs"
)

// example is a whole file; it says what is the default anyway.
const example = `[history]
path = "/var/lib/xtm/history.db"
snapshots = "90d"    # every snapshot is kept so long
hours = "3y"         # one row an hour is kept so long
max_size = "1GiB"    # the oldest goes before the file grows beyond
`

func TestExampleIsTheDefault(t *testing.T) {
	c, err := config.Parse([]byte(example))
	if err != nil || c != config.Default() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestParse(t *testing.T) {
	c, err := config.Parse([]byte("[history]\nsnapshots = \"36h\"\nmax_size = \"64 MiB\"\n"))
	if err != nil || c.History.Snapshots.Duration != 36*time.Hour || c.History.MaxSize.Bytes != 64<<20 ||
		c.History.Hours != config.Default().History.Hours {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"[history]\npaht = \"/x\"\n":                           `line 2, column 1: nothing is called "history.paht"`,
		"[histroy]\n":                                          `nothing is called "histroy"`,
		"[history]\nsnapshots = \"soon\"\n":                    `"soon" is not a time`,
		"[history]\nsnapshots = \"-1d\"\n":                     "is not a time",
		"[history]\nsnapshots = \"9999999999y\"\n":             "is not a time",
		"[history]\nhours = \"1d\"\n":                          "are kept shorter",
		"[history]\nmax_size = \"1 GB\"\n":                     "is not a size",
		"[history]\npath = \"history.db\"\n":                   "not absolute",
		"[history]\nmax_size = 1000000000\n":                   "is not a size",
		"[history]\nsnapshots = 90\n":                          "is not a time",
		"[history]\nsnapshots = \"90d\"\nsnapshots = \"1d\"\n": "line 3",
	} {
		if _, err := config.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

func TestRead(t *testing.T) {
	root := t.TempDir()
	if c, err := config.Read(hostfs.Root(root)); err != nil || c != config.Default() {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	path := filepath.Join(root, config.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("[history]\nx = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Read(hostfs.Root(root)); err == nil || !strings.HasPrefix(err.Error(), config.Path+": line 2") {
		t.Error(err)
	}
	if _, err := config.Read(refuses{}); err == nil {
		t.Error("a file that cannot be read was taken for none")
	}
}

type refuses struct{ hostfs.Files }

func (refuses) ReadFile(path string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("[history]\nmax_size = \"0B\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse(text)
		if err == nil && (c.History.Snapshots.Duration <= 0 || c.History.MaxSize.Bytes <= 0 || c.History.Path == "") {
			t.Errorf("%+v", c)
		}
	})
}
