package tune

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

const settings = `
[[domain]]
name = "*"
weight = 5

[[domain]]
name = "web?"
weight = 100
compress = true

[[domain]]
uuid = "00000000-0000-0000-0000-000000000003"
compress = true

[[domain]]
name = "gone"
weight = 1
`

// A file sets domains by name, pattern and uuid, the later section wins, a second
// run does nothing, and the undo file leads back.
func TestSetByFileAndBack(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		entries, err := ParseSettings([]byte(settings))
		if err != nil {
			t.Fatal(err)
		}
		before := f.look(t, nil)
		plan := before.SetByFile(entries, "it says so")
		var got []string
		for _, c := range plan.Calls {
			got = append(got, c.String())
		}
		want := []string{
			"weight of web1 (domain 1): 0 → 100", "compress of web1 (domain 1): off → on", "weight of db1 (domain 2): 50 → 5",
			"weight of cache1 (domain 3): 100 → 5", "compress of cache1 (domain 3): off → on",
		}
		if diff := cmp.Diff(want, got); diff != "" || plan.Notes[0].Subject != `"gone"` {
			t.Error(diff, plan.Notes)
		}
		r, err := f.Apply(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if again := f.look(t, nil).SetByFile(entries, ""); len(again.Calls) > 0 {
			t.Errorf("again: %v", again.Calls)
		}
		root := hostfs.Root(t.TempDir())
		where, err := writeUndo(root, start, undoFile(r.Done, start))
		if err != nil {
			t.Fatal(err)
		}
		text, err := root.ReadFile(where)
		if err != nil {
			t.Fatal(err)
		}
		if entries, err = ParseSettings(text); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if _, err := f.Apply(t.Context(), f.look(t, nil).SetByFile(entries, "")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, before.Domains), asJSON(t, f.look(t, nil).Domains)); diff != "" {
			t.Error(diff)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseSettingsIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "no [[domain]] section",
		"[[domain]]\nweight = 1":                   "want either name or uuid",
		"[[domain]]\nname = \"a\"\nuuid = \"b\"":   "want either name or uuid",
		"[[domain]]\nname = \"a\"":                 "it sets nothing",
		"[[domain]]\nname = \"[\"\nweight = 1":     "is no pattern",
		"[[domain]]\nname = \"a\"\nweight = -1":    "want 0 to",
		"[[domain]]\nname = \"a\"\nweight = 1e3":   "line 3",
		"[[domain]]\nname = \"a\"\nweigth = 1":     "line 3, column 1: nothing is called \"domain.weigth\" here",
		"[[domain]]\nname = \"a\"\ncap = 1":        "nothing is called",
		"[domain]\nname = \"a\"":                   "parse settings",
		"[[domain]]\nname = \"a\"\ncompress = 1":   "line 3",
		"[[guest]]\nname = \"a\"\nweight = 1":      "nothing is called",
		"[[domain]]\nname = \"a\"\nweight = \"1\"": "line 3",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte(settings))
	f.Add([]byte("[[domain]]\nname = \"\\u0000\\n\"\nweight = 1"))
	f.Add([]byte("[[domain]]\nname = \"\\u0007\\u007f\\u00e9*\"\nweight = 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := ParseSettings(text)
		if err != nil {
			return
		}
		// What is set by it can be undone by the file that it makes.
		for _, e := range entries {
			d := Domain{Ref: Ref{ID: 1, Name: e.Name}}
			w, _ := e.Change.Weight.Get()
			undo := undoFile([]Call{{Op: OpWeight, Domain: d.Ref, From: w}}, start)
			if e.Name == "" {
				continue
			}
			back, err := ParseSettings([]byte(undo))
			if err != nil || !back[0].matches(d) || back[0].Change.Weight.Or(1) != w {
				t.Errorf("%q: %v\n%s", e.Name, err, undo)
			}
		}
	})
}

// The undo of a change lasts before it: where it cannot be kept, nothing is set,
// and it names what was done in the end.
func TestNothingIsSetWithoutItsUndo(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		undos := func(k *Keeper) []string {
			names, err := k.Root.ReadDir(statedir.Path + "/undo")
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
		k := f.keeper(t)
		if err := statedir.Keep(k.Root, statedir.Path+"/undo", "no folder"); err != nil {
			t.Fatal(err)
		}
		s := f.look(t, nil)
		weight := func(w string) Plan { return s.Set(s.Domains, change(t, "weight="+w), "") }
		if r, err := k.Apply(t.Context(), weight("11")); err == nil || len(r.Done) > 0 || len(f.changes()) > 0 {
			t.Errorf("without an undo: %+v, %v, %v", r, err, f.changes())
		}
		k.Root = hostfs.Root(t.TempDir())
		plan := weight("11")
		f.xen.Listing.Clients = f.xen.Listing.Clients[:2]
		r, err := k.Apply(t.Context(), plan)
		if err != nil || len(r.Done) != 2 {
			t.Fatalf("a domain went: %+v, %v", r, err)
		}
		if text, err := k.Root.ReadFile(r.Undo); err != nil || string(text) != undoFile(r.Done, start) {
			t.Errorf("%v:\n%s", err, text)
		}
		k.Root = hostfs.Root(t.TempDir())
		k.Control = &refusing{Control: f.Control, after: 0, times: 1}
		s = f.look(t, nil)
		if r, err := k.Apply(t.Context(), weight("12")); !errors.Is(err, errRefused) || r.Undo != "" || len(undos(k)) > 0 {
			t.Errorf("nothing was done: %+v, %v, %v", r, err, undos(k))
		}
	})
}
