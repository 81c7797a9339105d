package grub

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"xtm/internal/cause"
)

func TestAssign(t *testing.T) {
	const xenCfg = "if [ \"$XEN_OVERRIDE_GRUB_DEFAULT\" = \"\" ]; then\n\tXEN_OVERRIDE_GRUB_DEFAULT=1\nfi\n" +
		"if [ \"$XEN_OVERRIDE_GRUB_DEFAULT\" = \"1\" ]; then\n\tGRUB_DEFAULT=$(printf '%s' Xen)\nfi\n"
	tests := []struct {
		name  string
		files map[string]string
		path  string // that is changed; "" is none
		text  string
		fails bool
	}{
		{
			"a drop-in",
			map[string]string{mkconfig: debian, "etc/default/grub": "GRUB_DEFAULT=0\n"},
			KernelDropIn, kernelDropInHead + "GRUB_DEFAULT=saved\n", false,
		},
		{
			"Debian's xen.cfg sets it too",
			map[string]string{mkconfig: debian, "etc/default/grub": "GRUB_DEFAULT=0\n", "etc/default/grub.d/xen.cfg": xenCfg},
			KernelDropIn, kernelDropInHead + "GRUB_DEFAULT=saved\n", false,
		},
		{
			"no drop-ins are read",
			map[string]string{mkconfig: "", "etc/default/grub": "GRUB_DEFAULT=0"},
			SettingsFile, "GRUB_DEFAULT=0\nGRUB_DEFAULT=saved # added by xtm", false,
		},
		{"it has the value", map[string]string{mkconfig: debian, "etc/default/grub": "GRUB_DEFAULT=\"saved\"\n"}, "", "", false},
		{
			"a later file has the last word",
			map[string]string{mkconfig: debian, "etc/default/grub": "GRUB_DEFAULT=0\n", "etc/default/grub.d/zzz.cfg": "GRUB_DEFAULT=2\n"},
			"", "", true,
		},
		{"another variable depends on it", map[string]string{mkconfig: "", "etc/default/grub": "GRUB_DEFAULT=0\nexit\n"}, "", "", true},
		{"there is no file", map[string]string{mkconfig: ""}, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, tt.files)
			edited, err := c.Assign("GRUB_DEFAULT", "saved")
			if _, refused := errors.AsType[*RefusedError](err); refused != tt.fails || err != nil && !refused {
				t.Fatalf("%v", err)
			}
			if tt.fails {
				return
			}
			changes := edited.Changes()
			switch {
			case tt.path == "" && len(changes) > 0:
				t.Errorf("changed: %s", edited.Diff())
			case tt.path != "" && (len(changes) != 1 || changes[0].Path != tt.path || string(changes[0].New) != tt.text):
				t.Errorf("want %s with %q:\n%s", tt.path, tt.text, edited.Diff())
			}
			undone, err := edited.Unassign("GRUB_DEFAULT", "saved")
			if err != nil || len(undone.Changes()) > 0 {
				t.Errorf("taken back: %v\n%s", err, undone.Diff())
			}
		})
	}
	if _, err := load(t, tests[0].files).Assign("GRUB_DEFAULT", "a b"); err == nil {
		t.Error("a value with a blank is taken")
	}
}

// TestUnassignWhatIsOnDisk: the lines of an earlier run, around which somebody
// has written.
func TestUnassignWhatIsOnDisk(t *testing.T) {
	c := load(t, map[string]string{
		mkconfig: debian, "etc/default/grub": "GRUB_DEFAULT=saved # added by xtm\n# mine\n",
		"etc/default/grub.d/zz-xtm-kernel.cfg": kernelDropInHead + "GRUB_DEFAULT=saved\n",
	})
	undone, err := c.Unassign("GRUB_DEFAULT", "saved")
	if err != nil {
		t.Fatal(err)
	}
	changes := undone.Changes()
	if len(changes) != 2 || string(changes[0].New) != "# mine\n" || changes[1].Path != KernelDropIn || changes[1].New != nil {
		t.Errorf("%s", undone.Diff())
	}
	c = load(t, map[string]string{mkconfig: debian, "etc/default/grub": "", "etc/default/grub.d/zz-xtm-kernel.cfg": "GRUB_DEFAULT=saved\n"})
	if undone, err = c.Unassign("GRUB_DEFAULT", "saved"); err != nil || undone != c {
		t.Errorf("a file that xtm did not write was changed: %v\n%s", err, undone.Diff())
	}
}

// FuzzAssign checks for any file that a value is there once it is assigned, and
// that the same bytes are there when it is taken back.
func FuzzAssign(f *testing.F) {
	dirs, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		f.Fatal(err)
	}
	for i, dir := range dirs {
		a, _ := os.ReadFile(filepath.Join(dir, "etc/default/grub"))
		f.Add(a, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, a []byte, dropIns bool) {
		c := &Config{dropIns: dropIns, docs: []*document{{path: SettingsFile, src: a, was: a}}}
		if c.docs[0].parse() != nil || bytes.Contains(a, []byte(lineMark)) {
			return
		}
		c.follow()
		after, err := c.Assign("GRUB_DEFAULT", "saved")
		if err != nil || after == c {
			return
		}
		if v := after.Value("GRUB_DEFAULT"); v.Text != "saved" || v.Dynamic != "" {
			t.Fatalf("%+v\n%s", v, after.Diff())
		}
		undone, err := after.Unassign("GRUB_DEFAULT", "saved")
		if err != nil {
			t.Fatalf("take it back: %v\n%s", err, after.Diff())
		}
		if d := undone.Diff(); d != "" {
			t.Fatalf("taken back, the files differ:\n%s", d)
		}
	})
}

// TestSpec: what an entry is called boots it, and still does when a newer kernel
// has come in front.
func TestSpec(t *testing.T) {
	for _, name := range []string{"debian12-guest.cfg", "debian12-host.cfg", "debian12-host-tmem-saved.cfg"} {
		m := menu(t, name)
		for e := range m.All() {
			spec, err := m.Spec(e)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if e.Conditional {
				continue
			}
			for _, entries := range [][]Entry{m.Entries, append([]Entry{{Title: "newer", ID: "newer"}}, m.Entries...)} {
				got, err := Menu{Entries: entries, Default: spec}.Boots(nil)
				if err != nil || got.Line != e.Line {
					t.Errorf("%s: %q boots line %d, not %d: %v", name, spec, got.Line, e.Line, err)
				}
			}
		}
	}
	twins := Menu{Entries: []Entry{{Title: "a", Path: "0"}, {Title: "a", Path: "1"}, {Title: "7", Path: "2"}, {Title: "b > c", Path: "3"}}}
	for i, want := range []string{"", "", "", "b >> c"} {
		spec, err := twins.Spec(twins.Entries[i])
		if spec != want || want == "" && !errors.Is(err, cause.ErrNotSupported) {
			t.Errorf("%q is called %q: %v", twins.Entries[i].Title, spec, err)
		}
	}
	if _, err := twins.Spec(Entry{Title: "x", Path: "9"}); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("an entry of another menu: %v", err)
	}
}
