package kernelbuild

import (
	"fmt"
	"slices"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/kernelbuild/kconfig"
)

// Installed is a kernel that is there, running or not.
type Installed struct {
	Release string
	Config  *kconfig.Config
	// Loaded tells whether the module tmem is loaded; absent where this is not
	// the running kernel.
	Loaded opt.Value[bool]
	// Booted tells whether the boot command line has the word tmem, likewise.
	Booted opt.Value[bool]
}

// Way is what it takes to have tmem under a kernel.
type Way string

// The ways, from nothing to do to nothing that helps.
const (
	WayReady    Way = "ready"    // the module is loaded, or built in and switched on
	WayModprobe Way = "modprobe" // loading the module suffices
	WayBoot     Way = "boot"     // built in: the word tmem on the command line
	WayBuild    Way = "build"    // this release can have it, this configuration does not
	WayOlder    Way = "older"    // no configuration of this release has it
)

// Support is what an installed kernel can do for tmem.
type Support struct {
	Release  string            `json:"release"`
	Way      Way               `json:"way"`
	Findings []finding.Finding `json:"findings"`
}

// Lacking lists the symbols whose value is not what tmem wants.
func (s Support) Lacking() []string {
	var out []string
	for _, f := range s.Findings {
		if f.Verdict.Problem() {
			out = append(out, f.Subject)
		}
	}
	return out
}

// Check tells what an installed kernel has of what tmem needs, what lacks, and
// whether loading the module would do.
func Check(k Installed) (Support, error) {
	series, err := SeriesOf(k.Release)
	if err != nil {
		return Support{}, fmt.Errorf("check kernel: %w", err)
	}
	s := Support{Release: k.Release, Way: way(k, series)}
	for _, w := range wanted() {
		s.Findings = append(s.Findings, w.judge(k, series))
	}
	f := finding.Finding{Check: "kernel-tmem-way", Subject: k.Release, Verdict: finding.Good}
	switch s.Way {
	case WayReady:
		f.Seen = "tmem is switched on in the kernel; whether Xen has it, xtm status tells"
	case WayModprobe:
		f.Verdict, f.Seen, f.Commands = finding.Note, "the module is there and not loaded", []string{"modprobe tmem"}
	case WayBoot:
		f.Verdict, f.Seen = finding.Note, "tmem is built in and off"
		f.Advice = "Add the word tmem to the kernel's command line; xtm enable-tmem does."
	case WayBuild:
		f.Verdict, f.Seen = finding.Bad, "Linux "+series.String()+" can have tmem, and this configuration does not"
		f.Advice, f.Commands = "Build it with what lacks.", []string{"xtm kernel plan --profile tmem"}
	case WayOlder:
		last, _ := LastSeries("XEN_TMEM")
		f.Verdict, f.Seen = finding.Bad, "Linux "+series.String()+" has no tmem in any configuration; "+last.String()+" was the last with it"
		f.Advice = "Run a kernel of " + last.String() + " or older, such as Debian 10's 4.19; or do without: --profile xen-guest has zswap and pressure figures."
	}
	s.Findings = append(s.Findings, f)
	return s, nil
}

// way finds the shortest way to tmem. CLEANCACHE or FRONTSWAP must be there
// besides the driver: it has nothing to do otherwise.
func way(k Installed, series Series) Way {
	hooks := k.Config.Text("CLEANCACHE") == "y" || k.Config.Text("FRONTSWAP") == "y"
	switch tmem := k.Config.Text("XEN_TMEM"); {
	case tmem == "m" && hooks && k.Loaded.Or(false), tmem == "y" && hooks && k.Booted.Or(false):
		return WayReady
	case tmem == "m" && hooks:
		return WayModprobe
	case tmem == "y" && hooks:
		return WayBoot
	}
	if last, _ := LastSeries("XEN_TMEM"); series.After(last) {
		return WayOlder
	}
	return WayBuild
}

// wish is a symbol that tmem wants, and what is lost without it.
type wish struct {
	symbol string
	values []string // any of them will do; "" is absent
	loss   string
	fatal  bool // nothing works without it
}

func wanted() []wish {
	return []wish{
		{"XEN", []string{"y"}, "the kernel does not run under Xen as a guest with its own drivers", true},
		{"XEN_TMEM", []string{"m", "y"}, "there is no driver for tmem", true},
		{"CLEANCACHE", []string{"y"}, "no ephemeral pools, and no selfballooning", false},
		{"FRONTSWAP", []string{"y"}, "no persistent pools", false},
		{"SWAP", []string{"y"}, "no swap, so nothing for persistent pools", false},
		{"XEN_BALLOON", []string{"y"}, "memory cannot be given back", false},
		{"XEN_SELFBALLOONING", []string{"y"}, "the guest gives nothing back by itself", false},
		{"ZSWAP", []string{"", "n"}, "once enabled, zswap competes with tmem for swapped pages; zswap.enabled=0 on the command line keeps it off", false},
	}
}

func (w wish) judge(k Installed, series Series) finding.Finding {
	value, _ := k.Config.Get(w.symbol)
	f := finding.Finding{Check: "kernel-symbol", Subject: w.symbol, Verdict: finding.Warning}
	f.Seen = "is " + value
	if value == "" {
		f.Seen = "is not in the configuration"
	}
	if slices.Contains(w.values, value) {
		f.Verdict = finding.Good
		return f
	}
	f.Seen += ": " + w.loss
	if w.fatal {
		f.Verdict = finding.Bad
	}
	if last, ok := LastSeries(w.symbol); ok && series.After(last) {
		f.Advice = "The last release with it is " + last.String() + "."
	}
	return f
}
