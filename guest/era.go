package guest

import "slices"

// Driver is the shape of Xen's tmem driver (drivers/xen/tmem.c) in a kernel's
// source.
type Driver string

// The shapes. A module becomes built in only in a kernel without modules.
const (
	NoDriver Driver = "none"
	BuiltIn  Driver = "built in"
	AsModule Driver = "module"
)

// Part is one of the three things that a guest does with tmem.
type Part string

// The parts.
const (
	Cleancache     Part = "cleancache"     // clean file pages go to an ephemeral pool
	Frontswap      Part = "frontswap"      // swapped pages go to a persistent pool
	Selfballooning Part = "selfballooning" // the kernel gives back memory that it has not committed
)

// Parts are all parts, in the order in which they are told.
var Parts = []Part{Cleancache, Frontswap, Selfballooning}

// Symbol is a symbol of the kernel's configuration that tmem needs.
type Symbol struct {
	Name string // without CONFIG_
	// For are the parts that do not work without it.
	For []Part
}

// Word is a parameter without a module's name on the kernel's command line. Any
// value means the same, and so does any word that begins with it: __setup
// compares no further (obsolete_checksetup, init/main.c).
type Word struct {
	Name string
	// If and Unless name a symbol with and without which the word is read.
	If, Unless string
	// Default is what holds without the word.
	Default string
	Meaning string
}

// Param is a parameter of module tmem, also "tmem.NAME" on the command line. All
// are booleans that cannot be changed later.
type Param struct {
	Name    string
	Needs   string // the symbol without which there is none
	Default bool
	Meaning string
}

// Era is what a range of mainline kernels can do with tmem; a distribution may
// have patched them. Facts from drivers/xen/{tmem,xen-selfballoon}.c,
// drivers/xen/Kconfig, mm/{cleancache,frontswap}.c of Linux 3.0–6.6.
type Era struct {
	// From is the first version; the next era's ends this one.
	From Version
	// Kernels names the range: "3.5–3.9".
	Kernels string
	Driver  Driver
	// Parts are what the kernel can be configured to do.
	Parts   []Part
	Symbols []Symbol
	Words   []Word
	Params  []Param
	// CleancacheCounters and FrontswapCounters are where the kernel counts; nil
	// where it has none.
	CleancacheCounters, FrontswapCounters *CounterPlace
	// Zswap: the kernel has zswap, the other user of frontswap.
	Zswap bool
}

// Has tells whether this era's kernels can be configured for a part.
func (e Era) Has(p Part) bool { return slices.Contains(e.Parts, p) }

// EraOf is what kernels of a version can do. An unknown version is of the
// zero era, which has no driver and no name.
func EraOf(v Version) Era {
	if !v.Known() {
		return Era{Driver: NoDriver}
	}
	last := eras[0]
	for _, e := range eras {
		if v.Compare(e.From) >= 0 {
			last = e
		}
	}
	return last
}

// The words and what they do.
var (
	wordTmem = Word{Name: "tmem", Default: "off", Meaning: "switches the driver on"}
	wordNoCC = Word{Name: "nocleancache", If: "CLEANCACHE", Default: "on", Meaning: "keeps cleancache off"}
	wordNoFS = Word{Name: "nofrontswap", If: "FRONTSWAP", Default: "on", Meaning: "keeps frontswap off"}
	wordSelf = Word{Name: "selfballooning", Unless: "FRONTSWAP", Default: "off", Meaning: "starts selfballooning"}
	wordNoSB = Word{Name: "noselfballooning", If: "FRONTSWAP", Default: "on", Meaning: "keeps selfballooning off"}
	wordNoSS = Word{Name: "noselfshrink", If: "FRONTSWAP", Default: "on", Meaning: "keeps frontswap's selfshrinking off"}
)

// The symbols and what fails without each.
var (
	symCleancache = Symbol{"CLEANCACHE", []Part{Cleancache, Selfballooning}}
	symFrontswap  = Symbol{"FRONTSWAP", []Part{Frontswap}}
	symXen        = Symbol{"XEN", Parts}
	symTmem       = Symbol{"XEN_TMEM", Parts}
	symBalloon    = Symbol{"XEN_BALLOON", []Part{Selfballooning}}
	symSelf       = Symbol{"XEN_SELFBALLOONING", []Part{Selfballooning}}
	symSwap       = Symbol{"SWAP", []Part{Frontswap, Selfballooning}}
	symbols       = []Symbol{symXen, symTmem, symCleancache, symFrontswap, symSwap, symBalloon, symSelf}
)

var moduleParams = []Param{
	{"cleancache", "CLEANCACHE", true, "registers cleancache"},
	{"frontswap", "FRONTSWAP", true, "registers frontswap; off, it keeps selfballooning and selfshrinking off too"},
	{"selfballooning", "CLEANCACHE", true, "starts selfballooning"},
	{"selfshrinking", "XEN_SELFBALLOONING", true, "starts frontswap's selfshrinking"},
}

// eras in order. The driver left in 5.3, cleancache in 5.17, frontswap in 6.6.
var eras = []Era{
	{Kernels: "before 3.0", Driver: NoDriver},
	{
		From: Version{3, 0}, Kernels: "3.0", Driver: BuiltIn, Parts: []Part{Cleancache},
		Symbols: []Symbol{symXen, symCleancache}, Words: []Word{wordTmem, wordNoCC},
		CleancacheCounters: &sysfsCleancache,
	},
	{
		From: Version{3, 1}, Kernels: "3.1–3.3", Driver: BuiltIn, Parts: []Part{Cleancache, Selfballooning},
		Symbols: []Symbol{symXen, symTmem, symCleancache, {"SWAP", []Part{Selfballooning}}, symBalloon, symSelf},
		Words:   []Word{wordTmem, wordNoCC, wordSelf}, CleancacheCounters: &sysfsCleancache,
	},
	{
		From: Version{3, 4}, Kernels: "3.4", Driver: BuiltIn, Parts: []Part{Cleancache, Selfballooning},
		Symbols: []Symbol{symXen, symTmem, symCleancache, {"SWAP", []Part{Selfballooning}}, symBalloon, symSelf},
		Words:   []Word{wordTmem, wordNoCC, wordSelf}, CleancacheCounters: &debugCleancache,
	},
	{
		From: Version{3, 5}, Kernels: "3.5–3.9", Driver: BuiltIn, Parts: Parts, Symbols: symbols,
		Words:              []Word{wordTmem, wordNoCC, wordNoFS, wordSelf, wordNoSB, wordNoSS},
		CleancacheCounters: &debugCleancache, FrontswapCounters: &debugFrontswap,
	},
	{
		From: Version{3, 10}, Kernels: "3.10", Driver: AsModule, Parts: Parts, Symbols: symbols,
		Words: []Word{wordTmem}, Params: moduleParams,
		CleancacheCounters: &debugCleancache, FrontswapCounters: &debugFrontswap,
	},
	{
		From: Version{3, 11}, Kernels: "3.11–5.2", Driver: AsModule, Parts: Parts, Symbols: symbols,
		Words: []Word{wordTmem}, Params: moduleParams,
		CleancacheCounters: &debugCleancache, FrontswapCounters: &debugFrontswap, Zswap: true,
	},
	{
		From: Version{5, 3}, Kernels: "5.3–5.16", Driver: NoDriver,
		CleancacheCounters: &debugCleancache, FrontswapCounters: &debugFrontswap, Zswap: true,
	},
	{
		From: Version{5, 17}, Kernels: "5.17–6.5", Driver: NoDriver, FrontswapCounters: &debugFrontswap, Zswap: true,
	},
	{From: Version{6, 6}, Kernels: "6.6 and later", Driver: NoDriver, Zswap: true},
}
