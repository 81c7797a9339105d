package kconfig

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// story writes an answer in one line, its chain after it.
func story(a Answer) string {
	s := fmt.Sprintf("%s=%s %s %s", a.Symbol, a.Value, a.Outcome, a.Becomes)
	if a.Impossible {
		s += " impossible"
	}
	for _, c := range a.Chain {
		s += fmt.Sprintf("; %s%s is %s needs %s (%s, line %d)", strings.Repeat(">", c.Depth), c.Symbol, c.Value, c.Needs, c.Pos, c.Line)
	}
	return s
}

func explain(tb testing.TB, tree *Tree, c *Config, requests ...Request) []string {
	tb.Helper()
	answers, err := tree.Explain(c, requests)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, a := range answers {
		out = append(out, story(a))
	}
	return out
}

var tmem = []Request{
	{Symbol: "CLEANCACHE", Value: "y"},
	{Symbol: "FRONTSWAP", Value: "y"},
	{Symbol: "ZSWAP", Value: "n"},
	{Symbol: "XEN_SELFBALLOONING", Value: "y"},
	{Symbol: "XEN_TMEM", Value: "m", Computed: true},
}

func TestTmemByRelease(t *testing.T) {
	all := []string{
		"CLEANCACHE=y holds y", "FRONTSWAP=y holds y", "ZSWAP=n holds n",
		"XEN_SELFBALLOONING=y holds y", "XEN_TMEM=m holds m",
	}
	for _, tc := range []struct {
		release, config string
		want            []string
	}{
		{"3.13", "config-4.19.0-6-amd64", all},
		{"4.19", "config-4.19.0-6-amd64", all},
		{"5.10", "config-4.19.0-6-amd64", []string{
			"CLEANCACHE=y holds y", "FRONTSWAP=y holds y", "ZSWAP=n holds n",
			"XEN_SELFBALLOONING=y undefined  impossible", "XEN_TMEM=m undefined  impossible",
		}},
		// Turning ZSWAP off takes away FRONTSWAP, which only ZSWAP selects.
		{"6.1", "config-6.1.0-56-amd64", []string{
			"CLEANCACHE=y undefined  impossible",
			"FRONTSWAP=y computed n; ZSWAP is n needs y (mm/Kconfig:9, line 12)",
			"ZSWAP=n holds n",
			"XEN_SELFBALLOONING=y undefined  impossible", "XEN_TMEM=m undefined  impossible",
		}},
		{"7.2", "config-6.1.0-56-amd64", []string{
			"CLEANCACHE=y undefined  impossible", "FRONTSWAP=y undefined  impossible", "ZSWAP=n holds n",
			"XEN_SELFBALLOONING=y undefined  impossible", "XEN_TMEM=m undefined  impossible",
		}},
	} {
		if diff := cmp.Diff(tc.want, explain(t, slice(t, tc.release), read(t, tc.config), tmem...)); diff != "" {
			t.Errorf("%s: %s", tc.release, diff)
		}
	}
}

func TestApplyChangesWhatTheRequestsSay(t *testing.T) {
	c := read(t, "config-4.19.0-6-amd64")
	changes, err := slice(t, "4.19").Apply(c, tmem)
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{{"CLEANCACHE", "n", "y"}, {"XEN_SELFBALLOONING", "", "y"}, {"ZSWAP", "y", "n"}}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Error(diff)
	}
	if c.Text("XEN_TMEM") != "m" {
		t.Error("a computed symbol was written")
	}
}

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		name, release string
		set           string // changes to Debian's configuration of the release
		request       Request
		want          string
	}{
		{
			"a dependency that is off", "4.19", "# CONFIG_XEN_BALLOON is not set\nCONFIG_CLEANCACHE=y\n",
			Request{Symbol: "XEN_SELFBALLOONING", Value: "y"},
			"XEN_SELFBALLOONING=y dependency n; XEN_BALLOON is n needs y (drivers/xen/Kconfig:4, line 19)",
		},
		{
			"a chain of dependencies", "4.19", "# CONFIG_HYPERVISOR_GUEST is not set\n",
			Request{Symbol: "XEN_BLKDEV_FRONTEND", Value: "m"},
			"XEN_BLKDEV_FRONTEND=m dependency n; XEN is n needs y (arch/x86/xen/Kconfig:1, line 6); " +
				">HYPERVISOR_GUEST is n needs y (arch/x86/Kconfig:29, line 4); " +
				">PARAVIRT is n needs y (arch/x86/Kconfig:38, line 5)",
		},
		{
			"computed, and nothing makes it so", "4.19", "# CONFIG_FRONTSWAP is not set\n",
			Request{Symbol: "XEN_TMEM", Value: "m", Computed: true},
			"XEN_TMEM=m computed n; CLEANCACHE is n needs y (mm/Kconfig:1, line 12); FRONTSWAP is n needs y (mm/Kconfig:5, line 13)",
		},
		{
			"a wish that the tree never asks", "4.19", "",
			Request{Symbol: "XEN_TMEM", Value: "n"},
			"XEN_TMEM=n computed m",
		},
		{
			"no modules: built in, and more than the wish", "4.19", "# CONFIG_MODULES is not set\n",
			Request{Symbol: "XEN_TMEM", Value: "m", Computed: true},
			"XEN_TMEM=m holds y",
		},
		{
			"a module of a bool", "4.19", "",
			Request{Symbol: "CLEANCACHE", Value: "m"},
			"CLEANCACHE=m wrong_type n impossible",
		},
		{
			"a word for a string", "4.19", "",
			Request{Symbol: "BUILD_SALT", Value: "x"},
			"BUILD_SALT=x wrong_type 4.19.0-6-amd64 impossible",
		},
		{"a string", "4.19", "", Request{Symbol: "BUILD_SALT", Value: `""`}, `BUILD_SALT="" holds `},
		{
			"selected by another", "4.19", "",
			Request{Symbol: "CRYPTO_LZO", Value: "n"},
			"CRYPTO_LZO=n forced y; ZSWAP is y needs n (mm/Kconfig:10, line 14)",
		},
		{
			"computed, and right as long as ZSWAP stays", "6.1", "",
			Request{Symbol: "FRONTSWAP", Value: "y"},
			"FRONTSWAP=y holds y",
		},
		{"off and undefined", "7.2", "", Request{Symbol: "FRONTSWAP", Value: "n"}, "FRONTSWAP=n holds "},
		{
			"the result of a choice", "6.1", "",
			Request{Symbol: "DEBUG_INFO", Value: "n"},
			"DEBUG_INFO=n computed y; DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT is y needs n (lib/Kconfig.debug:17, line 22)",
		},
		{
			"a member of a choice, the others go off", "6.1", "",
			Request{Symbol: "DEBUG_INFO_NONE", Value: "y"},
			"DEBUG_INFO_NONE=y holds y",
		},
		{
			"the chosen member off: the default takes its place", "6.1", "",
			Request{Symbol: "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT", Value: "n"},
			"DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=n holds n",
		},
		{
			"the default of a choice off, with nothing instead", "6.1", "# CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT is not set\n",
			Request{Symbol: "DEBUG_INFO_NONE", Value: "n"},
			"DEBUG_INFO_NONE=n chosen y",
		},
		{
			"depends on … if of 7.x", "7.2", "# CONFIG_ZSWAP is not set\n# CONFIG_CRYPTO is not set\nCONFIG_EXPERT=y\n",
			Request{Symbol: "ZSWAP", Value: "y"},
			"ZSWAP=y dependency n; CRYPTO is n needs m (crypto/Kconfig:1, line 10); EXPERT is y needs n (init/Kconfig:1, line 25)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := "config-4.19.0-6-amd64"
			if tc.release >= "6" {
				name = "config-6.1.0-56-amd64"
			}
			c := read(t, name)
			if _, err := c.Merge(config(t, tc.set)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.want}, explain(t, slice(t, tc.release), c, tc.request)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImpossibleThroughADependency(t *testing.T) {
	tree := scanText(t, map[string]string{"Kconfig": `config A
	bool "a"
	depends on LOST && B
config B
	bool "b"
config C
	bool
	default y if LOST || B
config LOOP
	bool "loop"
	depends on POOL
config POOL
	bool "pool"
	depends on LOOP
`})
	got := explain(t, tree, config(t, ""), Request{Symbol: "A", Value: "y"}, Request{Symbol: "C", Value: "y", Computed: true}, Request{Symbol: "LOOP", Value: "y"})
	want := []string{
		"A=y dependency n impossible; LOST is n needs m (:0, line 0); B is n needs y (Kconfig:4, line 0)",
		"C=y computed n; LOST is n needs m (:0, line 0); B is n needs y (Kconfig:4, line 0)",
		"LOOP=y dependency n; POOL is n needs y (Kconfig:12, line 0)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
