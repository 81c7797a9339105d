package capture

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/xen/hypercall"
)

// small is a capture with every kind of entry.
func small() *Capture {
	return &Capture{
		Meta: Meta{Schema: Schema, XTM: "test", Role: Host, Begin: time.Unix(1, 0).UTC(), End: time.Unix(2, 0).UTC()},
		runs: []ran{
			{argv: []string{"xl", "list"}, result: run.Result{Stdout: []byte("Name\n"), Stderr: []byte("hm\n")}},
			{argv: []string{"xl", "top"}, result: run.Result{ExitCode: -1}, failure: failure{word: "no_data", text: "run xl top: no"}},
		},
		looks: map[look]answer{
			{"/proc/xen/capabilities", wayRead}: {data: []byte("control_d\n")},
			{"/proc/xen", wayList}:              {names: []string{"capabilities"}},
			{"/link", wayLink}:                  {target: "/etc"},
			{"/gone", wayRead}:                  {failure: failure{word: "ENOENT", op: "open"}},
			{"/odd\tname", wayExists}:           {exists: true},
		},
		calls: []called{
			{ask: ask{op: 17, main: noBuffer, data: noBuffer}, answer: hypercall.Answer{Value: 4<<16 | 12, Begin: time.Unix(1, 5).UTC(), Took: 3}},
			{
				ask:    ask{35, 0, "12:060000001200", "9000:a5", 4},
				answer: hypercall.Answer{Begin: time.Unix(1, 9).UTC(), Took: time.Microsecond},
				main:   []byte("\x06\x00\x00\x00\x12\x00\x00\x00\x01\x00\x00\x00"), data: bytes.Repeat([]byte{0xa5}, 9000),
			},
			{ask: ask{35, 0, "12:070000001200", noBuffer, 0}, failure: failure{word: "denied", text: "open /dev/xen/privcmd: permission denied"}},
		},
		keys: map[string]kept{
			"/local/domain/0/name":    {value: "Domain-0"},
			"/local/domain/1/name":    {value: "a\tb\xff\n\""},
			"/local/domain/1/\tdata":  {failure: failure{word: "ENOENT", op: "read xenstore"}},
			"/local/domain/2/vm":      {failure: failure{word: "failed", text: "connection lost"}},
			"/local/domain/2/control": {},
		},
	}
}

func packedBytes(tb testing.TB, c *Capture) []byte {
	tb.Helper()
	e, err := c.encode()
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.pack(&b, "small.tar.gz", e); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// A packed capture that ends early, wherever, is refused.
func TestEveryCutIsRefused(t *testing.T) {
	whole := packedBytes(t, small())
	if _, err := readTarGz(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := readTarGz(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("the first %d of %d bytes opened", n, len(whole))
		}
	}
}

// A folder that lacks any of its files is refused: so is one that was being
// written, in whatever order.
func TestEveryMissingFileIsNoticed(t *testing.T) {
	e, err := small().encode()
	if err != nil {
		t.Fatal(err)
	}
	for name := range e {
		less := maps.Clone(e)
		delete(less, name)
		if _, err := OpenFS(mapFS(less)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func mapFS(e entries) fstest.MapFS {
	m := fstest.MapFS{}
	for name, b := range e {
		m[name] = &fstest.MapFile{Data: b}
	}
	return m
}

// What a later xtm adds within the schema is left aside and named.
func TestUnknownEntriesAreNamed(t *testing.T) {
	e, err := small().encode()
	if err != nil {
		t.Fatal(err)
	}
	e["dials/001"], e["later.tsv"] = []byte("x"), []byte("y")
	e["run.tsv"] = bytes.ReplaceAll(bytes.ReplaceAll(e["run.tsv"], []byte("\n"), []byte("\tnew\n")), []byte("text\tnew"), []byte("text\tcolumn"))
	e["root.tsv"] = append(e["root.tsv"], "/x\tmtime\tok\t17\n"...)
	c, err := OpenFS(mapFS(e))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"dials/001", "later.tsv"}; !slices.Equal(c.Ignored, want) {
		t.Errorf("ignored %q, want %q", c.Ignored, want)
	}
	c.Ignored = nil
	if diff := Diff(small(), c); diff != "" {
		t.Error(diff)
	}
	e["meta.json"] = []byte(`{"schema": 2}`)
	if _, err := OpenFS(mapFS(e)); !errors.Is(err, cause.ErrNotSupported) || !strings.Contains(err.Error(), "schema 2") {
		t.Errorf("schema 2: %v", err)
	}
}

// entry is a member of a tar file.
type entry struct {
	tar.Header
	content string
}

func tarGz(tb testing.TB, list ...entry) []byte {
	tb.Helper()
	var plain bytes.Buffer
	t := tar.NewWriter(&plain)
	for _, e := range list {
		e.Size = int64(len(e.content))
		e.Mode = 0o600
		if err := t.WriteHeader(&e.Header); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(t, e.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(bytes.ReplaceAll(plain.Bytes(), []byte("XXX.sparse."), []byte("GNU.sparse."))); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// plain are the members of a harmless capture below a folder.
func plain(folder string) []entry {
	var list []entry
	e, _ := (&Capture{Meta: Meta{Schema: 1}}).encode()
	for _, name := range slices.Sorted(maps.Keys(e)) {
		list = append(list, entry{tar.Header{Typeflag: tar.TypeReg, Name: folder + name}, string(e[name])})
	}
	return list
}

func TestHostileArchives(t *testing.T) {
	file := func(name string) entry { return entry{tar.Header{Typeflag: tar.TypeReg, Name: name}, "x"} }
	special := func(kind byte, target string) entry {
		return entry{tar.Header{Typeflag: kind, Name: "root/x", Linkname: target}, ""}
	}
	for name, c := range map[string]struct {
		more entry
		want string
	}{
		"climbing":        {file("../x"), `entry "../x": the name leads out`},
		"climbing inside": {file("root/../../x"), `entry "root/../../x": the name leads out`},
		"absolute":        {file("/etc/passwd"), `entry "/etc/passwd": the name leads out`},
		"odd":             {file("root//x"), `entry "root//x": the name leads out`},
		"climbing folder": {entry{tar.Header{Typeflag: tar.TypeDir, Name: "../x/"}, ""}, `entry "../x/": the name leads out`},
		"symbolic link":   {special(tar.TypeSymlink, "/etc/passwd"), `entry "root/x": type '2'`},
		"hard link":       {special(tar.TypeLink, "meta.json"), `entry "root/x": type '1'`},
		"device":          {special(tar.TypeBlock, ""), `entry "root/x": type '4'`},
		"fifo":            {special(tar.TypeFifo, ""), `entry "root/x": type '6'`},
		// tarGz makes GNU of XXX: the writer would leave such records out.
		"sparse": {entry{tar.Header{Typeflag: tar.TypeReg, Name: "root/x", Format: tar.FormatPAX, PAXRecords: map[string]string{
			"XXX.sparse.major": "0", "XXX.sparse.minor": "1", "XXX.sparse.numblocks": "1", "XXX.sparse.map": "99999999,1", "XXX.sparse.size": "100000000",
		}}, "x"}, `entry "root/x": a sparse file`},
		"twice":            {file("meta.json"), `entry "meta.json" stands twice`},
		"twice, with dot":  {file("./run.tsv"), `entry "run.tsv" stands twice`},
		"not in the table": {file("root/etc/passwd"), `root/etc/passwd is in no table`},
		"run not in table": {file("run/xl.out"), `run/xl.out is in no table`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readTarGz(bytes.NewReader(tarGz(t, append(plain(""), c.more)...)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("in a folder", func(t *testing.T) {
		for _, folder := range []string{"", "./", "host-2026/", "./host/"} {
			list := append([]entry{{tar.Header{Typeflag: tar.TypeDir, Name: cmp.Or(folder, "./")}, ""}}, plain(folder)...)
			if _, err := readTarGz(bytes.NewReader(tarGz(t, list...))); err != nil {
				t.Errorf("%q: %v", folder, err)
			}
		}
		_, err := readTarGz(bytes.NewReader(tarGz(t, append(plain("host/"), file("other/x"))...)))
		if want := `entry "other/x" lies beside the folder "host/"`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	})
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A file that unpacks to more than may be is refused after a bounded read.
func TestBombs(t *testing.T) {
	t.Run("one entry", func(t *testing.T) {
		pr, pw := io.Pipe()
		go func() {
			w := tar.NewWriter(pw)
			_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "root/x", Size: 1 << 40})
			_, _ = io.CopyN(w, zeros{}, 1<<40) // ends with the reader
		}()
		_, err := readTar(pr)
		pr.Close()
		if want := `entry "root/x": more than 67108864 bytes`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	})
	t.Run("behind the end", func(t *testing.T) {
		var b bytes.Buffer
		z := tar.NewWriter(&b)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := readTar(io.MultiReader(&b, zeros{}))
		if !errors.Is(err, errTooLong) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("many entries", func(t *testing.T) {
		e := entries{}
		for i := range maxEntries {
			e[string(rune('a'+i%26))+time.Duration(i).String()] = nil
		}
		if err := e.tooMuch("x", 0, 0); err == nil {
			t.Error("no error")
		}
	})
}

func TestOpenRefusesOtherThings(t *testing.T) {
	dir := t.TempDir()
	garbage := make([]byte, 10<<20)
	rand.New(rand.NewSource(1)).Read(garbage)
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, p := range []string{dir, write("garbage", garbage), write("text", []byte("G=Tt:0\n")), write("empty", nil)} {
		if _, err := Open(p); !errors.Is(err, ErrNotCapture) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := Open(write("gz", append([]byte{0x1f, 0x8b}, garbage...))); err == nil {
		t.Error("garbage behind gzip's mark opened")
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

// A folder with links in it is refused, wherever they lead.
func TestFolderWithLinks(t *testing.T) {
	for _, target := range []string{"/etc/passwd", "../../etc/passwd", "meta.json"} {
		dir := filepath.Join(t.TempDir(), "c")
		if err := small().Write(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, "root", "x")); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), `entry "root/x"`) {
			t.Errorf("link to %s: %v", target, err)
		}
	}
}

// What can be opened can be written, and is the same when it is opened again.
func FuzzReadTar(f *testing.F) {
	unpack := func(b []byte) []byte {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			f.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			f.Fatal(err)
		}
		return plain
	}
	f.Add(unpack(packedBytes(f, small())))
	f.Add(unpack(tarGz(f, plain("./host/")...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := readTar(bytes.NewReader(b))
		if err != nil {
			return
		}
		c, err := decode(e)
		if err != nil {
			return
		}
		c.Ignored = nil
		again, err := readTarGz(bytes.NewReader(packedBytes(t, c)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := Diff(c, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
