package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	answer = `{"fileinfo":{"8f6d2a3b4c5d6e7f80910a1b2c3d4e5f60718293":[{"archive_name":"debian","name":"linux_4.19.67-2.dsc","size":191128}]},` +
		`"package":"linux","result":[{"hash":"8f6d2a3b4c5d6e7f80910a1b2c3d4e5f60718293"}],"version":"4.19.67-2"}`
	dsc = "Format: 3.0 (quilt)\nSource: linux\nChecksums-Sha1:\n 11 107551896 linux_4.19.67.orig.tar.xz\nChecksums-Sha256:\n d85f 107551896 linux_4.19.67.orig.tar.xz\nFiles:\n 22 1 x\n"
)

func TestSnapshotAnswers(t *testing.T) {
	files, err := parseSnapshot([]byte(answer))
	if err != nil || len(files) != 1 || files[0].Name != "linux_4.19.67-2.dsc" || files[0].Size != 191128 {
		t.Errorf("%+v, %v", files, err)
	}
	for _, bad := range []string{
		"", "{}", strings.Replace(answer, "linux_4.19.67-2.dsc", "../../etc/passwd", 1), strings.Replace(answer, "191128", "-1", 1),
		strings.Replace(answer, `"result":[{"hash":"8f`, `"result":[{"hash":"9f`, 1),
	} {
		if files, err := parseSnapshot([]byte(bad)); err == nil {
			t.Errorf("%q became %+v", bad, files)
		}
	}
	if got := parseDsc([]byte(dsc)); len(got) != 1 || got["linux_4.19.67.orig.tar.xz"] != "d85f" {
		t.Errorf("%v", got)
	}
}

// FuzzSnapshot reads what an archive may answer: names go into paths.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(answer))
	f.Add([]byte(dsc))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseDsc(b)
		files, err := parseSnapshot(b)
		if err != nil {
			return
		}
		for _, x := range files {
			if filepath.Base(x.Name) != x.Name || x.Name[0] == '.' || x.Size <= 0 {
				t.Errorf("%+v", x)
			}
		}
	})
}

// FuzzProgress cuts a log anywhere: the count is that of the whole.
func FuzzProgress(f *testing.F) {
	f.Add("  CC      init/main.o\n  CC [M]  drivers/xen/tmem.o\n  LD      vmlinux\nmake: nothing\n  CHK x\n", 25)
	f.Fuzz(func(t *testing.T, log string, at int) {
		if at < 0 || at > len(log) || len(log) > 10_000 {
			return
		}
		count := func(parts ...string) int {
			p := progress{report: func(Event) {}, now: func() time.Time { return time.Time{} }}
			for _, part := range parts {
				if n, err := p.Write([]byte(part)); err != nil || n != len(part) {
					t.Fatal(n, err)
				}
			}
			return p.done
		}
		if whole, cut := count(log), count(log[:at], log[at:]); whole != cut {
			t.Errorf("%d objects, cut %d", whole, cut)
		}
	})
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.json")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	j.Phases[Fetch] = &entry{Inputs: "x", Done: true, Result: map[string]string{"route": "source"}}
	if err := j.save(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(path); err != nil || !j.Phases[Fetch].Done || j.Phases[Fetch].Result["route"] != "source" {
		t.Errorf("%+v, %v", j, err)
	}
	// Another xtm's journal is no reason to fail, half a journal is.
	for text, fails := range map[string]bool{`{"schema":99,"phases":{"fetch":{"done":true}}}`: false, `{"schema":1,`: true} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := openJournal(path); (err != nil) != fails || err == nil && len(j.Phases) > 0 {
			t.Errorf("%s: %+v, %v", text, j, err)
		}
	}
	// Inputs that run into each other are not the same.
	if hashOf("ab", "c") == hashOf("a", "bc") {
		t.Error("inputs run into each other")
	}
}
