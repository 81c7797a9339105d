package setup

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/units"
	"xtm/xen/tmem"
)

// hostWords are the words that the options come to.
func hostWords(o HostOptions) []Word {
	words := []Word{{xenNormal, "tmem"}}
	if o.Compress {
		words = append(words, Word{xenNormal, "tmem_compress"})
	}
	if o.Dedup {
		words = append(words, Word{xenNormal, "tmem_dedup"})
	}
	if size, ok := o.Dom0Mem.Get(); ok {
		words = append(words, Word{xenNormal, fmt.Sprintf("dom0_mem=%dM,max:%dM", size, size)})
	}
	return words
}

func wordTexts(words []Word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.Text
	}
	return out
}

// words puts what is wanted into the settings.
func (p *Plan) words(h Host, o HostOptions, next Hypervisor) error {
	if o.Dedup && !tmem.For(next.Version).Dedup {
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: next.String() + " has no tmem_dedup", Why: "it came with 4.0.1 and went with 4.8",
			Ways: []string{"without --dedup; --compress is there in every release"},
		}
	}
	every := h.Settings.Value(xenEvery)
	if every.Switch("tmem") == grub.On {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s has tmem already (%s)", xenEvery, whereWord(every, "tmem")),
			Why:  "that reaches the recovery entries too, which should stay free of it",
			Ways: []string{"move the word by hand to " + xenNormal + ", then run this again"},
		}
	}
	if s := every.Switch("tmem"); s != grub.Absent {
		p.Notes = append(p.Notes, finding.Finding{
			Check: "contradiction", Subject: whereWord(every, "tmem"), Verdict: finding.Note,
			Seen: xenEvery + " switches tmem off, and the word in " + xenNormal + " comes after it and wins",
		})
	}
	if err := o.fitDom0(h); err != nil {
		return err
	}
	p.wanted = hostWords(o)
	return p.addWanted()
}

// addWanted puts the words into GRUB's settings that are not there yet.
func (p *Plan) addWanted() error {
	for _, w := range p.wanted {
		edited, err := p.settings.AddWord(w.Variable, w.Text)
		if err != nil {
			return blocked(err)
		}
		if edited != p.settings {
			p.added = append(p.added, w)
		}
		p.settings = edited
	}
	return nil
}

// blocked gives GRUB's refusals the shape of a plan's.
func blocked(err error) error {
	switch e := err.(type) { //nolint:errorlint // AddWord returns them as they are
	case *grub.ConflictError:
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s: %s has %q", e.Where, e.Name, e.Word),
			Why: fmt.Sprintf("that contradicts %q", e.Wanted), Ways: []string{"take it out by hand, then run this again"},
		}
	case *grub.RefusedError:
		return &cause.RefusalError{Kind: cause.Blocked, Seen: e.Where.String(), Why: e.Seen, Ways: []string{e.Advice}}
	}
	return err
}

// whereWord is the line of a parameter in a value, or of the value itself.
func whereWord(v grub.Value, name string) string {
	for _, w := range v.Words {
		key, _, _ := strings.Cut(w.Text, "=")
		if strings.TrimPrefix(key, "no-") == name {
			return w.Where.String()
		}
	}
	if n := len(v.Assigned); n > 0 {
		return v.Assigned[n-1].String()
	}
	return grub.SettingsFile
}

// dom0Mem finds a dom0_mem that is set, by the line that sets it.
func (h Host) dom0Mem() (text, where string, found bool) {
	for _, name := range []string{xenNormal, xenEvery} {
		v := h.Settings.Value(name)
		for _, w := range v.Words {
			if strings.HasPrefix(w.Text, "dom0_mem=") {
				return w.Text, w.Where.String(), true
			}
		}
	}
	return "", "", false
}

// dom0Least is what Dom0 should keep in any case.
const dom0Least units.MiB = 512

// dom0Needs is what Dom0 uses now and a quarter more; false where that is not
// known.
func (h Host) dom0Needs() (units.MiB, bool) {
	total, ok1 := h.Total.Get()
	available, ok2 := h.Available.Get()
	if !ok1 || !ok2 || available > total {
		return dom0Least, false
	}
	used := total - available
	return max(dom0Least, units.MiB((used+used/4+1023)/1024)), true
}

// fitDom0 judges the memory that is wanted for Dom0.
func (o HostOptions) fitDom0(h Host) error {
	size, wanted := o.Dom0Mem.Get()
	if !wanted {
		return nil
	}
	same := Word{xenNormal, fmt.Sprintf("dom0_mem=%dM,max:%dM", size, size)}
	if text, where, found := h.dom0Mem(); found && text != same.Text {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s has %s", where, text), Why: "Dom0's memory is set there already",
			Ways: []string{"leave --dom0-mem away, or change that line by hand"},
		}
	}
	least, known := h.dom0Needs()
	if size >= least || o.Dom0MemSure {
		return nil
	}
	why := fmt.Sprintf("Dom0 should keep %d MiB at least", least)
	if known && least > dom0Least {
		why = fmt.Sprintf("Dom0 uses %d MiB now, and with a quarter more that is %d MiB", int64(h.Total.Or(0)-h.Available.Or(0))/1024, least)
	}
	return &cause.RefusalError{
		Kind: cause.Unsaid, Seen: fmt.Sprintf("--dom0-mem %dM is little", size), Why: why,
		Ways: []string{
			fmt.Sprintf("--dom0-mem %dM", least),
			fmt.Sprintf("name the figure again to have it all the same: --dom0-mem %dM --dom0-mem %dM", size, size),
		},
	}
}

// ParseSize reads a size of memory as Xen's command line takes it, in whole
// MiB: "1024M", "2G".
func ParseSize(s string) (units.MiB, error) {
	digits, factor := strings.TrimRight(s, "mMgG"), int64(1)
	switch {
	case len(s)-len(digits) != 1:
		return 0, fmt.Errorf("%q is no size: want a number with M or G, such as 1024M", s)
	case strings.HasSuffix(strings.ToUpper(s), "G"):
		factor = 1024
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is no size: want a number with M or G, such as 1024M", s)
	}
	return units.MiB(n * factor), nil
}
