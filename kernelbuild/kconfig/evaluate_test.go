package kconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEvaluate covers the rules one by one; whole trees were compared with the
// kernel's own program.
func TestEvaluate(t *testing.T) {
	tree := scanText(t, map[string]string{"Kconfig": `config MODULES
	bool "modules"
	modules
config TRI
	tristate "tri"
config BOOL
	bool "bool"
	depends on TRI
config UNDER
	tristate "under"
	depends on TRI
	default y
config WHERE_HINTED
	tristate "where hinted"
	depends on TRI if HINTED || BOOL
	default y
config ONLY_M
	tristate "only m"
	depends on m
	default y
config SELECTS
	tristate "selects"
	select RAISED if TRI
	imply HINTED
config RAISED
	tristate
	depends on NOTHING
config HINTED
	tristate "hinted"
config RAISED_BOOL
	bool
	default RAISED
config VERSION
	int
	default $(cc-version)
config NEW
	def_bool VERSION >= 80000
config OLDER
	def_bool VERSION < 9
config NAME
	string
	default "deb" if NEW
	default "ian"
config IS_DEB
	def_bool NAME = "deb" && NAME != "ian"
config COMPILER
	bool "compiler"
	depends on $(cc-option,-fnew)
config COMPUTED_BY_COMPILER
	def_bool $(cc-option,-fnew)
choice
	prompt "one"
	default TWO if BOOL
config ONE
	bool "one"
config TWO
	bool "two"
config TWO_DETAIL
	bool "detail of two"
	depends on TWO
	default y
endchoice
choice
	tristate "many"
	optional
config MANY_A
	tristate "a"
config MANY_B
	tristate "b"
endchoice
`})
	for _, tc := range []struct {
		name, config string
		want         map[string]string
	}{
		{"nothing set", "", map[string]string{
			"MODULES": "n", "TRI": "n", "BOOL": "n", "UNDER": "n", "ONLY_M": "n", "VERSION": "", "NEW": "n",
			"NAME": "ian", "IS_DEB": "n", "COMPILER": "n", "ONE": "y", "TWO": "n", "TWO_DETAIL": "n", "MANY_A": "n",
		}},
		{"m limits what is under it", "CONFIG_MODULES=y\nCONFIG_TRI=m\nCONFIG_BOOL=y\n", map[string]string{
			"TRI": "m", "BOOL": "y", "UNDER": "m", "ONLY_M": "m", "ONE": "n", "TWO": "y", "TWO_DETAIL": "y",
		}},
		{"without modules m is y", "CONFIG_TRI=m\n", map[string]string{"TRI": "y", "UNDER": "y", "ONLY_M": "n"}},
		{"a bool is not m", "CONFIG_MODULES=y\nCONFIG_TRI=y\nCONFIG_BOOL=m\n", map[string]string{"BOOL": "n"}},
		{"select against dependencies, imply not", "CONFIG_MODULES=y\nCONFIG_TRI=y\nCONFIG_SELECTS=m\n", map[string]string{
			"RAISED": "m", "RAISED_BOOL": "y", "HINTED": "m",
		}},
		{"depends on … if: m of the condition is not n", "CONFIG_MODULES=y\nCONFIG_HINTED=m\n", map[string]string{"WHERE_HINTED": "n"}},
		{"depends on … if: nothing where the condition is n", "CONFIG_MODULES=y\n", map[string]string{"WHERE_HINTED": "y"}},
		{"depends on … if: limited by what it depends on", "CONFIG_MODULES=y\nCONFIG_HINTED=y\nCONFIG_TRI=m\n", map[string]string{"WHERE_HINTED": "m"}},
		{"a user's no beats imply", "CONFIG_MODULES=y\nCONFIG_SELECTS=y\n# CONFIG_HINTED is not set\n", map[string]string{"HINTED": "n", "RAISED": "n"}},
		{"what a compiler said is kept", "CONFIG_VERSION=120200\nCONFIG_COMPILER=y\nCONFIG_COMPUTED_BY_COMPILER=y\n", map[string]string{
			"VERSION": "120200", "NEW": "y", "OLDER": "n", "NAME": "deb", "IS_DEB": "y", "COMPILER": "y", "COMPUTED_BY_COMPILER": "y",
		}},
		{"the last of a choice", "CONFIG_TWO=y\nCONFIG_ONE=y\n", map[string]string{"ONE": "y", "TWO": "n", "TWO_DETAIL": "n"}},
		{"a choice of modules", "CONFIG_MODULES=y\nCONFIG_MANY_A=m\nCONFIG_MANY_B=m\n", map[string]string{"MANY_A": "m", "MANY_B": "m"}},
		{"one of an optional choice", "CONFIG_MODULES=y\nCONFIG_MANY_B=y\n", map[string]string{"MANY_A": "n", "MANY_B": "y"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, got := tree.Evaluate(config(t, tc.config)), map[string]string{}
			for name := range tc.want {
				got[name] = e.Value(name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
