package kernelbuild

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

// built is the record of a build that went well.
func built() Record {
	return Record{
		Schema: RecordSchema, State: Checked, Release: "6.1.192-xen", PackageVersion: "6.1.192-xen-1", Architecture: "amd64", Profile: "xen-guest",
		Target:  Target{Release: "6.1.0-56-amd64", Architecture: "amd64", Distribution: "debian"},
		Phases:  []PhaseTime{{Phase: "build", Begin: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC), Seconds: 301.5}},
		Symbols: []SymbolOutcome{{"ZSWAP", "y", "y", true}}, Reproducer: "make bindeb-pkg",
		Packages: []Package{{
			"linux-image-6.1.192-xen_6.1.192-xen-1_amd64.deb", "linux-image-6.1.192-xen", "6.1.192-xen-1", "amd64", Image, 9_000_000, strings.Repeat("0a", 32),
		}},
	}
}

func TestRecord(t *testing.T) {
	dir := hostfs.Root(t.TempDir())
	if err := WriteRecord(dir, "/"+RecordName, built()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecord(dir, "/"+RecordName)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(built(), got, cmpopts.EquateComparable(opt.Value[Owner]{})); diff != "" {
		t.Error(diff)
	}
}

func TestRecordRefuses(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"another schema":        func(r *Record) { r.Schema++ },
		"an unknown state":      func(r *Record) { r.State = "fine" },
		"a release with a path": func(r *Record) { r.Release = "6.1/../../etc" },
		"a file with a path":    func(r *Record) { r.Packages[0].File = "../x_1_amd64.deb" },
		"a name with a space":   func(r *Record) { r.Packages[0].Name = "linux image" },
		"an option for a name":  func(r *Record) { r.Packages[0].Name = "--force-all" },
		"a short hash":          func(r *Record) { r.Packages[0].SHA256 = "00" },
		"an unknown kind":       func(r *Record) { r.Packages[0].Kind = "firmware" },
		"no image":              func(r *Record) { r.Packages[0].Kind = Headers },
		"a version of words":    func(r *Record) { r.Packages[0].Version = "tmem1" },
	} {
		r := built()
		change(&r)
		dir := t.TempDir()
		if err := WriteRecord(hostfs.Root(dir), "/r", r); !errors.Is(err, ErrRecord) {
			t.Errorf("%s was written: %v", name, err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "r"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRecord(hostfs.Root(dir), "/r"); !errors.Is(err, ErrRecord) {
			t.Errorf("%s was read: %v", name, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	b, err := json.Marshal(built())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRecord(again); err != nil {
			t.Errorf("read once, not twice: %v", err)
		}
	})
}
