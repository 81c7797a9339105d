package guest

import (
	"slices"
	"strings"
)

// Support is whether a kernel, as it was configured, can do something with tmem.
type Support struct {
	Era Era `json:"-"`
	// Answers are for each part: yes, no, or could not tell.
	Answers map[Part]Answer `json:"answers"`
	// Missing are the symbols that are not set, in the order in which they are
	// told; NotKnown those of which nothing tells.
	Missing  []string `json:"missing,omitempty"`
	NotKnown []string `json:"not_known,omitempty"`
	// Source is what the answer rests on.
	Source string `json:"source"`
}

// Whole is the answer for all parts that kernels of this era can have: yes, no
// (symbols are missing), or could not tell.
func (s Support) Whole() Answer {
	switch {
	case s.Era.Driver == NoDriver && s.Era.Kernels != "", len(s.Missing) > 0:
		return No
	case s.Era.Driver == NoDriver, len(s.NotKnown) > 0:
		return CouldNotTell
	default:
		return Yes
	}
}

// Support judges the kernel by its configuration; where there is none, by what
// it shows when it runs.
func (s State) Support() Support {
	release, _ := s.Release.Get()
	sup := Support{Era: EraOf(release.Version), Answers: map[Part]Answer{}, Source: "Linux " + release.Text}
	for _, p := range Parts {
		switch {
		case sup.Era.Has(p):
			sup.Answers[p] = Yes
		case sup.Era.Kernels == "":
			sup.Answers[p] = CouldNotTell
		default:
			sup.Answers[p] = No
		}
	}
	if len(sup.Era.Symbols) > 0 {
		sup.Source = "what the running kernel shows"
		if c, ok := s.Config.Get(); ok {
			sup.Source = c.Source
		}
	}
	for _, symbol := range sup.Era.Symbols {
		answer := s.symbol(symbol.Name)
		switch answer {
		case No:
			sup.Missing = append(sup.Missing, symbol.Name)
		case CouldNotTell:
			sup.NotKnown = append(sup.NotKnown, symbol.Name)
		}
		for _, p := range symbol.For {
			if sup.Era.Has(p) && (answer == No || answer == CouldNotTell && sup.Answers[p] == Yes) {
				sup.Answers[p] = answer
			}
		}
	}
	return sup
}

// symbol tells whether a symbol is set: by the configuration, else by what is
// only there where it is, else by what is not there although its place is.
func (s State) symbol(name string) Answer {
	if c, ok := s.Config.Get(); ok {
		return answer(c.Set(name))
	}
	m, _ := s.Module.Get()
	b, hasBalloon := s.Balloon.Get()
	switch name {
	case "XEN":
		if s.Hypervisor.Has() || hasBalloon {
			return Yes
		}
	case "XEN_TMEM":
		switch m.Presence {
		case Loaded, InKernel, OnDisk:
			return Yes
		case Absent:
			// A driver of the time before modules is in no list of them.
			if r, _ := s.Release.Get(); r.AtLeast(3, 10) {
				return No
			}
		}
	case "CLEANCACHE", "FRONTSWAP":
		if name == "CLEANCACHE" && s.Counters.Cleancache.Has() || name == "FRONTSWAP" && s.Counters.Frontswap.Has() {
			return Yes
		}
		if m.Params != nil {
			_, there := m.Params[strings.ToLower(name)]
			return answer(there)
		}
	case "XEN_BALLOON":
		if hasBalloon {
			return Yes
		}
	case "XEN_SELFBALLOONING":
		if hasBalloon {
			return answer(b.HasSelfballooning())
		}
	case "SWAP":
		if areas, ok := s.Swaps.Get(); ok && len(areas) > 0 {
			return Yes
		}
	}
	return CouldNotTell
}

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// Registered tells whether the kernel offers pages to the driver, those of the
// file cache (Cleancache) or of swap (Frontswap), and why. That a pool takes them is another question: the kernel says "enabled" on a host
// without tmem too.
func (s State) Registered(p Part) (Answer, string) {
	sup := s.Support()
	era := sup.Era
	if a := sup.Answers[p]; a != Yes {
		if a == No {
			return No, "this kernel cannot"
		}
		return CouldNotTell, "it is not known whether this kernel can"
	}
	line, hasLine := s.BootLine.Get()
	module, hasModule := s.Module.Get()
	if era.Driver == AsModule && module.Presence != InKernel {
		switch {
		case !hasModule:
			return CouldNotTell, "it is not known whether module tmem is loaded: " + s.why("module")
		case module.Presence != Loaded:
			return No, "module tmem is not loaded"
		}
		return byParameter(module, p)
	}
	switch {
	case !hasLine:
		return CouldNotTell, "the kernel's command line is not known"
	case !line.Has("tmem", era):
		return No, `tmem is built in and "tmem" is not on the kernel's command line`
	case era.Driver == AsModule:
		return byParameter(module, p)
	}
	off := map[Part]string{Cleancache: "nocleancache", Frontswap: "nofrontswap"}[p]
	if line.Has(off, era) {
		return No, off + " is on the kernel's command line"
	}
	return Yes, `"tmem" is on the kernel's command line`
}

func byParameter(m Module, p Part) (Answer, string) {
	if on, known := m.Params[string(p)]; known && !on {
		return No, "module tmem has " + string(p) + "=N"
	}
	return Yes, "module tmem is " + string(m.Presence)
}

// BootWords are the words that this kernel reads on its command line; none where
// its driver is a module. A word that depends on a symbol that is not known is
// among them.
func (s State) BootWords() []Word {
	sup := s.Support()
	if m, _ := s.Module.Get(); sup.Era.Driver == AsModule && m.Presence != InKernel {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(sup.Era.Words), func(w Word) bool {
		return w.If != "" && s.symbol(w.If) == No || w.Unless != "" && s.symbol(w.Unless) == Yes
	})
}

// ModuleParams are the parameters that this kernel's module has.
func (s State) ModuleParams() []Param {
	return slices.DeleteFunc(slices.Clone(s.Support().Era.Params), func(p Param) bool { return s.symbol(p.Needs) == No })
}

// configNames lists symbols as an administrator greps for them.
func configNames(symbols []string) string {
	out := slices.Clone(symbols)
	for i, s := range out {
		out[i] = "CONFIG_" + s
	}
	return strings.Join(out, ", ")
}
