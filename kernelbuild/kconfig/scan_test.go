package kconfig

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
)

// slice scans one of the trees in testdata.
func slice(tb testing.TB, release string) *Tree {
	tb.Helper()
	tree, err := Scan(hostfs.Root("testdata/linux-"+release), X86())
	if err != nil {
		tb.Fatal(err)
	}
	if tree.OddCount > 0 || len(tree.Missing) > 0 {
		tb.Fatalf("%s: odd lines %+v, missing %+v", release, tree.Odd, tree.Missing)
	}
	return tree
}

// scanText scans a tree of one or more files: "name\ntext", the first is /Kconfig.
func scanText(tb testing.TB, files map[string]string) *Tree {
	tb.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := Scan(hostfs.FromFS(fsys), X86())
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

func TestSlices(t *testing.T) {
	for _, tc := range []struct {
		release, symbol string
		typ             Type
		prompted        bool
		at              string
	}{
		{"3.13", "XEN_TMEM", TristateType, false, "drivers/xen/Kconfig:18"},
		{"4.19", "XEN_TMEM", TristateType, false, "drivers/xen/Kconfig:17"},
		{"4.19", "CLEANCACHE", Bool, true, "mm/Kconfig:1"},
		{"3.13", "BLOCK", Bool, true, "init/Kconfig:9"},
		{"6.1", "FRONTSWAP", Bool, false, "mm/Kconfig:20"},
		{"6.1", "DEBUG_INFO", Bool, false, "lib/Kconfig.debug:4"},
		{"7.2", "OLD_ZPOOL", Bool, false, "mm/Kconfig:1"},
	} {
		s := slice(t, tc.release).Symbols[tc.symbol]
		if s == nil {
			t.Errorf("%s: %s is missing", tc.release, tc.symbol)
			continue
		}
		if s.Type != tc.typ || s.Prompted() != tc.prompted || s.Pos().String() != tc.at {
			t.Errorf("%s: %s is %s, prompted %v, at %s", tc.release, tc.symbol, s.Type, s.Prompted(), s.Pos())
		}
	}
	for release, absent := range map[string][]string{
		"3.13": {"NOT_AN_OPTION"},
		"5.10": {"XEN_TMEM", "XEN_SELFBALLOONING"},
		"6.1":  {"XEN_TMEM", "CLEANCACHE"},
		"7.2":  {"XEN_TMEM", "CLEANCACHE", "FRONTSWAP"},
	} {
		tree := slice(t, release)
		for _, name := range absent {
			if tree.Symbols[name] != nil {
				t.Errorf("%s defines %s", release, name)
			}
		}
	}
}

func TestGrammar(t *testing.T) {
	tree := scanText(t, map[string]string{
		"Kconfig": `mainmenu "odd forms"
name := plain
files := drivers
compiled := $(shell,cc --version)
$(error-if,$(failure,command -v cc),no compiler)
source "$(files)/*/Kconfig"
rsource "near/Kconfig"
osource "not/there"
source "lost/Kconfig"
menu 'a menu'
	visible if SHOW # but a comment
	depends on A && \
		!B || C=m
config LONG
	tristate "told \"so\"" if D != "x y" && E >= 0x10
	prompt "again"
	default m if !(A || B)
	default "$(cc-option,-fx "y")"
	imply OTHER if A
	range 1 $(max)
  if A
menuconfig IN_IF
	def_tristate y
	help

	  config HIDDEN
	      deeper

	  still help
config AFTER
	int
	default 5
	frobnicate the kernel
  endif
comment "a remark"
	depends on LONG
endmenu
config OTHER
	bool "other"
config OTHER
	default y
`,
		"drivers/a/Kconfig": "config DRIVER_A\n\thex \"a\"\n\tdefault 0x10\n",
		"drivers/b/Kconfig": "config DRIVER_B\r\n\tbool \"b\"\r\n\tdepends on NET\r\n",
		"near/Kconfig":      "config NEAR\n\tdef_bool y\nsource \"Kconfig\"\n",
	})
	depends := func(name string, i int) string { return tree.Symbols[name].Defs[i].Depends.String() }
	long := tree.Symbols["LONG"].Defs[0]
	got := []string{
		depends("LONG", 0), long.Visible.String(),
		long.Prompts[0].Text, long.Prompts[0].If.String(), long.Defaults[0].If.String(), long.Defaults[1].Value.Name,
		depends("IN_IF", 0), depends("AFTER", 0), depends("DRIVER_B", 0), depends("OTHER", 1),
		tree.Symbols["OTHER"].ImpliedBy[0].If.String(),
	}
	want := []string{
		"A && !B || C=m", "SHOW", `told "so"`, `D!="x y" && E>=0x10`, "!(A || B)", `$(cc-option,-fx "y")`,
		"(A && !B || C=m) && A", "(A && !B || C=m) && A", "NET", "y",
		"(A && !B || C=m) && A",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if tree.Symbols["HIDDEN"] != nil {
		t.Error("a help text was read as an entry")
	}
	var odd, missing []string
	for _, l := range tree.Odd {
		odd = append(odd, l.Pos.String()+" "+l.Text)
	}
	for _, l := range tree.Missing {
		missing = append(missing, l.Pos.String()+" "+l.Text)
	}
	if diff := cmp.Diff([]string{"near/Kconfig:0 source of Kconfig goes round in circles", "Kconfig:33 frobnicate the kernel"}, odd); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Kconfig:9 lost/Kconfig"}, missing); diff != "" {
		t.Error(diff)
	}
}

func TestScanNeedsARoot(t *testing.T) {
	if _, err := Scan(hostfs.FromFS(fstest.MapFS{}), X86()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	big := fstest.MapFS{"Kconfig": {Data: make([]byte, maxFile+1)}}
	if _, err := Scan(hostfs.FromFS(big), X86()); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
}

func TestExpressionDepthIsBounded(t *testing.T) {
	tree := scanText(t, map[string]string{"Kconfig": "config A\n\tdepends on " + strings.Repeat("!(", 5000) + "B\n"})
	if tree.OddCount != 1 || tree.Symbols["A"].Defs[0].Depends != nil {
		t.Errorf("%d odd lines", tree.OddCount)
	}
}

func FuzzKconfig(f *testing.F) {
	for _, release := range []string{"3.13", "4.19", "6.1", "7.2"} {
		for _, name := range []string{"Kconfig", "arch/x86/Kconfig", "lib/Kconfig.debug", "drivers/xen/Kconfig", "mm/Kconfig"} {
			b, err := os.ReadFile("testdata/linux-" + release + "/" + name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(b))
		}
	}
	f.Add("config A\n\tselect A\n\tdepends on A\nchoice\nconfig B\n\ttristate\"b\"\nendchoice\n")
	f.Add("config A\n\tdepends on B if !C\n\tdepends on (D = E || F) if (G && H)\n")
	f.Add("if \"$(\nconfig A\n bool \"$(x\" \\\n if A<=1")
	f.Fuzz(func(t *testing.T, text string) {
		tree := scanText(t, map[string]string{"Kconfig": text})
		config, err := ReadConfig([]byte("CONFIG_A=m\nCONFIG_MODULES=y\nCONFIG_B=\"x\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		var requests []Request
		for name, s := range tree.Symbols {
			for _, d := range s.Defs {
				reread, rest, err := parseExpr(words(d.Depends.String()))
				if len(d.Depends.String()) < 1000 && !macro(text) && (err != nil || len(rest) > 0 || reread.String() != d.Depends.String()) {
					t.Fatalf("%s: %q comes back as %q: %v", name, d.Depends, reread, err)
				}
			}
			requests = append(requests, Request{Symbol: name, Value: "y"}, Request{Symbol: name, Value: "n"})
		}
		answers, err := tree.Explain(config, requests)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			if a.Impossible && a.Outcome == Holds {
				t.Errorf("%+v holds and is impossible", a)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	for b.Loop() {
		slice(b, "4.19")
	}
}
