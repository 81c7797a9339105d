package grub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/edit"
	"xtm/internal/hostfs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// host makes a root with these files; a text that begins with "-> " is a link.
func host(tb testing.TB, files map[string]string) hostfs.Root {
	tb.Helper()
	root := tb.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			tb.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return hostfs.Root(root)
}

const (
	mkconfig = "usr/sbin/grub-mkconfig"
	debian   = "for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n"
)

func load(tb testing.TB, files map[string]string) *Config {
	tb.Helper()
	c, err := Load(host(tb, files))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestValue(t *testing.T) {
	c := load(t, map[string]string{
		mkconfig: debian,
		"etc/default/grub": `GRUB_DEFAULT=0
GRUB_DISTRIBUTOR=` + "`lsb_release -i -s`" + `
BASE="loglvl=all"
GRUB_CMDLINE_XEN="$BASE com1=\"115200 8n1\""
GRUB_CMDLINE_XEN_DEFAULT="tmem \
  dom0_mem=1G"
GRUB_CMDLINE_LINUX="$(cat /etc/words) zswap.enabled=0"
`,
		"etc/default/grub.d/10-a.cfg": "\nGRUB_CMDLINE_XEN_DEFAULT=\"$GRUB_CMDLINE_XEN_DEFAULT vga\"\n",
		"etc/default/grub.d/20-b.cfg": "[ -e /x ] && GRUB_TIMEOUT=3\n",
	})
	const main = SettingsFile
	if got := c.Value(xenDefault).Switch("tmem"); got != On {
		t.Errorf("tmem is %s", got)
	}
	for _, want := range []Value{
		{Name: "GRUB_NOTHING"},
		{Name: "GRUB_DEFAULT", Text: "0", Words: []Word{{"0", Where{main, 1}}}, Assigned: []Where{{main, 1}}},
		{Name: "GRUB_DISTRIBUTOR", Text: "…", Assigned: []Where{{main, 2}}, Dynamic: main + ":2: a command or a sum gives the value"},
		{
			Name: "GRUB_CMDLINE_XEN", Text: `loglvl=all com1="115200 8n1"`,
			Words: []Word{{"loglvl=all", Where{main, 3}}, {"com1=115200 8n1", Where{main, 4}}}, Assigned: []Where{{main, 4}},
		},
		{
			Name: xenDefault, Text: "tmem   dom0_mem=1G vga",
			Words:    []Word{{"tmem", Where{main, 5}}, {"dom0_mem=1G", Where{main, 6}}, {"vga", Where{SettingsFolder + "/10-a.cfg", 2}}},
			Assigned: []Where{{main, 5}, {SettingsFolder + "/10-a.cfg", 2}},
		},
		{
			Name: "GRUB_CMDLINE_LINUX", Text: "… zswap.enabled=0", Words: []Word{{"zswap.enabled=0", Where{main, 7}}},
			Assigned: []Where{{main, 7}}, Dynamic: main + ":7: a command or a sum gives the value",
		},
		{
			Name: "GRUB_TIMEOUT", Text: "…", Assigned: []Where{{SettingsFolder + "/20-b.cfg", 1}},
			Dynamic: SettingsFolder + "/20-b.cfg:1: it is assigned only under a condition",
		},
	} {
		if diff := cmp.Diff(want, c.Value(want.Name), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestChainedEditsAreOneChangeAFile(t *testing.T) {
	before := "GRUB_CMDLINE_XEN_DEFAULT=\"loglvl=all\"\nGRUB_CMDLINE_LINUX=\"\"\n"
	c := load(t, map[string]string{mkconfig: debian, "etc/default/grub": before})
	first := c
	var err error
	for _, word := range []string{"tmem", "tmem_compress", "dom0_mem=1024M,max:1024M"} {
		if c, err = c.AddWord(xenDefault, word); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = c.AddWord("GRUB_CMDLINE_LINUX", "tmem"); err != nil {
		t.Fatal(err)
	}
	want := []edit.Change{{
		Path: SettingsFile, Old: []byte(before),
		New: []byte("GRUB_CMDLINE_XEN_DEFAULT=\"loglvl=all tmem tmem_compress dom0_mem=1024M,max:1024M\"\nGRUB_CMDLINE_LINUX=\"tmem\"\n"),
	}}
	if diff := cmp.Diff(want, c.Changes()); diff != "" {
		t.Error(diff)
	}
	if len(first.Changes()) != 0 || first.Diff() != "" {
		t.Error("the first Config has changed")
	}
	for _, word := range []string{"tmem", "tmem_compress", "dom0_mem=1024M,max:1024M"} {
		if c, err = c.RemoveWord(xenDefault, word); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = c.RemoveWord("GRUB_CMDLINE_LINUX", "tmem"); err != nil {
		t.Fatal(err)
	}
	if d := c.Diff(); d != "" {
		t.Error(d)
	}
}

func TestDropInComesAndGoes(t *testing.T) {
	files := map[string]string{mkconfig: debian, "etc/default/grub": "GRUB_CMDLINE_XEN_DEFAULT=`cat x`\nGRUB_CMDLINE_LINUX=`cat y`\n"}
	root := host(t, files)
	c, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.AddWord(xenDefault, "tmem"); err != nil {
		t.Fatal(err)
	}
	if c, err = c.AddWord("GRUB_CMDLINE_LINUX", "tmem"); err != nil {
		t.Fatal(err)
	}
	if c, err = c.AddWord(xenDefault, "tmem_compress"); err != nil {
		t.Fatal(err)
	}
	text := dropInHead + "GRUB_CMDLINE_XEN_DEFAULT=\"${GRUB_CMDLINE_XEN_DEFAULT} tmem tmem_compress\"\n" +
		"GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} tmem\"\n"
	if diff := cmp.Diff([]edit.Change{{Path: DropIn, New: []byte(text)}}, c.Changes()); diff != "" {
		t.Error(diff)
	}
	write(t, root, c.Changes())
	if c, err = Load(root); err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"tmem_compress", "tmem"} {
		if c, err = c.RemoveWord(xenDefault, w); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]edit.Change{{Path: DropIn, Old: []byte(text), New: []byte(dropInHead + "GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} tmem\"\n")}}, c.Changes()); diff != "" {
		t.Error(diff)
	}
	if c, err = c.RemoveWord("GRUB_CMDLINE_LINUX", "tmem"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]edit.Change{{Path: DropIn, Old: []byte(text)}}, c.Changes()); diff != "" {
		t.Error(diff)
	}
	// And once more in the same Config.
	if c, err = c.AddWord(xenDefault, "tmem"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]edit.Change{{Path: DropIn, Old: []byte(text), New: []byte(dropInHead + "GRUB_CMDLINE_XEN_DEFAULT=\"${GRUB_CMDLINE_XEN_DEFAULT} tmem\"\n")}}, c.Changes()); diff != "" {
		t.Error(diff)
	}
}

// TestRemoveWord starts from files as a user may have left them in the
// meantime.
func TestRemoveWord(t *testing.T) {
	for _, tt := range []struct {
		name         string
		before, want map[string]string // below /etc/default
		err          string
	}{
		{"not there", map[string]string{"/grub": "A=1\n"}, nil, ""},
		{"first of three", map[string]string{"/grub": "X=\"tmem a b\"\n"}, map[string]string{"/grub": "X=\"a b\"\n"}, ""},
		{"twice", map[string]string{"/grub": "X='tmem a tmem'\n"}, map[string]string{"/grub": "X='a'\n"}, ""},
		{"only, side by side", map[string]string{"/grub": "X='tmem tmem'\n"}, map[string]string{"/grub": "X=''\n"}, ""},
		{"continued", map[string]string{"/grub": "X=\"a \\\n  tmem \\\n  b\"\n"}, map[string]string{"/grub": "X=\"a \\\n  \\\n  b\"\n"}, ""},
		{"through another variable", map[string]string{"/grub": "B='tmem b'\nX=\"$X $B\"\n"}, nil, "read /etc/default/grub:2: the edit would change B too (edit the line by hand)"},
		{"a shared variable", map[string]string{"/grub": "B='tmem b'\nX=\"a $B\"\n"}, nil, "read /etc/default/grub:2: the edit would change B too (edit the line by hand)"},
		{"in two files", map[string]string{"/grub": "X=\"a tmem\"\n", "/grub.d/1.cfg": "X=\"$X tmem c\"\n"}, map[string]string{"/grub": "X=\"a\"\n", "/grub.d/1.cfg": "X=\"$X c\"\n"}, ""},
		{"only the certain one", map[string]string{"/grub": "X=\"$(f) tmem a\"\n"}, map[string]string{"/grub": "X=\"$(f) a\"\n"}, ""},
		{"our line, which the user has added to", map[string]string{"/grub": "X=\"tmem more\" # added by xtm\n"}, map[string]string{"/grub": "X=\"more\" # added by xtm\n"}, ""},
		{"our line has become void", map[string]string{"/grub": "X=\"tmem\" # added by xtm\nA=1\nX=\"b\"\n"}, map[string]string{"/grub": "A=1\nX=\"b\"\n"}, ""},
		{"a user's line that is void stays", map[string]string{"/grub": "X=\"tmem\"\n", "/grub.d/1.cfg": "X=\"b tmem\"\n"}, map[string]string{"/grub": "X=\"tmem\"\n", "/grub.d/1.cfg": "X=\"b\"\n"}, ""},
		{"our line moved to the top", map[string]string{"/grub": "X=\"tmem\" # added by xtm\nA=1"}, map[string]string{"/grub": "A=1"}, ""},
		{"our line alone", map[string]string{"/grub": "X=\"tmem\" # added by xtm"}, map[string]string{"/grub": ""}, ""},
		{"an emptied value of the user's", map[string]string{"/grub": "X=\"tmem\" # mine\n"}, map[string]string{"/grub": "X=\"\" # mine\n"}, ""},
		{"our drop-in, changed", map[string]string{"/grub": "X=`f`\n", "/grub.d/xtm.cfg": "X=\"${X} tmem\"\nX=\"${X} tmem\""}, map[string]string{"/grub": "X=`f`\n"}, ""},
		{"a condition is shown the value", map[string]string{"/grub": "X=\"tmem\"\n[ -n \"$X\" ] && A=1\n"}, nil, "read /etc/default/grub:1: the edit would change what a command or a condition is shown of X too (edit the line by hand)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{mkconfig: debian}
			for n, text := range tt.before {
				files["etc/default"+n] = text
			}
			root := host(t, files)
			c, err := Load(root)
			if err != nil {
				t.Fatal(err)
			}
			c, err = c.RemoveWord("X", "tmem")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("%v\nwant %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want == nil {
				want = tt.before
			}
			write(t, root, c.Changes())
			if diff := cmp.Diff(want, settings(t, root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusesWordsThatAreNotPlain(t *testing.T) {
	c := load(t, map[string]string{"etc/default/grub": "X=\"\"\n"})
	for _, word := range []string{"", "a b", "a\"", "$x", "a\\", "a'b", "é", "a\n", "#a", "a;b"} {
		if _, err := c.AddWord("X", word); err == nil {
			t.Errorf("added %q", word)
		}
	}
	for _, name := range []string{"", "A B", "1A", "A=B"} {
		if _, err := c.AddWord(name, "tmem"); err == nil {
			t.Errorf("name %q", name)
		}
	}
}

func TestConflictsAndRefusalsSayWhere(t *testing.T) {
	c := load(t, map[string]string{"etc/default/grub": "\nX=\"tmem=off\"\nY=$(f)\n[ -e / ] && Z=a\nZ=\"$Z'\"\n"})
	_, err := c.AddWord("X", "tmem")
	if ce, ok := errors.AsType[*ConflictError](err); !ok || ce.Where != (Where{SettingsFile, 2}) || ce.Word != "tmem=off" {
		t.Errorf("%#v", err)
	}
	_, err = c.AddWord("Y", "tmem")
	if re, ok := errors.AsType[*RefusedError](err); !ok || re.Where != (Where{SettingsFile, 3}) {
		t.Errorf("%#v", err)
	}
	_, err = c.AddWord("Z", "tmem")
	if re, ok := errors.AsType[*RefusedError](err); !ok || re.Where != (Where{SettingsFile, 5}) {
		t.Errorf("%#v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	root := host(t, map[string]string{"etc/default/grub/file": ""})
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "/etc/default/grub") {
		t.Errorf("a folder: %v", err)
	}
	root = host(t, map[string]string{"etc/default/grub": strings.Repeat("A=1\n", maxSource/4+1)})
	if _, err := Load(root); err == nil || err.Error() != "read /etc/default/grub:1: the file is larger than 256 KiB (this is no settings file)" {
		t.Errorf("%v", err)
	}
}

// FuzzConfig never runs a shell. It checks what must hold for any file: an edit
// is idempotent, and taken back it leaves the same bytes.
func FuzzConfig(f *testing.F) {
	dirs, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, dir := range dirs {
		a, _ := os.ReadFile(filepath.Join(dir, "etc/default/grub"))
		var b []byte
		drops, _ := filepath.Glob(filepath.Join(dir, "etc/default/grub.d/*.cfg"))
		for _, d := range drops {
			b, _ = os.ReadFile(d)
		}
		f.Add(a, b)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := &Config{dropIns: true, docs: []*document{
			{path: SettingsFile, src: a, was: a}, {path: SettingsFolder + "/50.cfg", src: b, was: b},
		}}
		for _, d := range c.docs {
			if d.parse() != nil {
				return
			}
		}
		c.follow()
		c.Value(xenDefault)
		after, err := c.AddWord(xenDefault, "tmem")
		if err != nil || after == c {
			return
		}
		if again, err := after.AddWord(xenDefault, "tmem"); err != nil || again != after {
			t.Fatalf("a second time: %v", err)
		}
		undone, err := after.RemoveWord(xenDefault, "tmem")
		if err != nil {
			t.Fatalf("take it back: %v\n%s", err, after.Diff())
		}
		if d := undone.Diff(); d != "" {
			t.Fatalf("taken back, the files differ:\n%s", d)
		}
	})
}

// used is the processor time that this process has had: other work of the
// machine does not count.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLargeFilesTakeNoTime bounds what a file of the largest size may cost.
func TestLargeFilesTakeNoTime(t *testing.T) {
	for name, text := range map[string]string{
		"assignments":   strings.Repeat("X=$Y\n", maxSource/6),
		"words":         "X=\"" + strings.Repeat("tmem ", maxSource/5-2) + "\"\n",
		"doubling":      "X=aaaa\n" + strings.Repeat("X=$X$X\n", 100),
		"reads":         "X=" + strings.Repeat("a", maxSource/2) + "\n" + strings.Repeat("f $X\n", maxSource/12),
		"deep":          strings.Repeat("{ ", 5000) + "X=a" + strings.Repeat("; }", 5000) + "\n",
		"functions":     "f() { f; f; X=a; }\nf\n",
		"unknown parts": "X=\"" + strings.Repeat("$Y ", maxSource/4) + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			begin := used(t)
			c := load(t, map[string]string{mkconfig: debian, "etc/default/grub": text})
			for _, edit := range []func(string, string) (*Config, error){c.AddWord, c.RemoveWord} {
				if edited, err := edit("X", "tmem"); err == nil {
					edited.Value("X")
				}
			}
			if d := used(t) - begin; d > 20*time.Second {
				t.Errorf("%s", d)
			} else {
				t.Logf("%s", d)
			}
		})
	}
}
