package guest

import (
	"slices"
	"strings"

	"xtm/internal/grub"
	"xtm/internal/hostfs"
)

// BootLine is the command line that the kernel was started with.
type BootLine struct {
	Text string `json:"text"`
	// Args are its parameters up to "--", behind which init's begin.
	Args []grub.Arg `json:"-"`
}

// ReadBootLine reads /proc/cmdline.
func ReadBootLine(files hostfs.Files) (BootLine, error) {
	b, err := files.ReadFile("/proc/cmdline")
	if err != nil {
		return BootLine{}, err
	}
	return parseBootLine(string(b)), nil
}

// parseBootLine splits a command line. That of captures/xen-4.12-builtin:
//
//	console=hvc0 rdinit=/init lab.role=nomod tmem lab.name=plain1
func parseBootLine(text string) BootLine {
	args := grub.LinuxArgs(text)
	if i := slices.Index(args, grub.Arg{Key: "--"}); i >= 0 {
		args = args[:i]
	}
	return BootLine{strings.TrimSpace(text), args}
}

// Has tells whether the kernel takes a word as given: "tmem" is switched on by
// "tmem=0" too, and by "tmemory". What looks like a parameter of a module that
// the era has ("tmem.frontswap=0") never reaches it.
func (l BootLine) Has(word string, e Era) bool {
	return slices.ContainsFunc(l.Args, func(a grub.Arg) bool {
		key := strings.ReplaceAll(a.Key, "-", "_")
		if param, is := strings.CutPrefix(key, "tmem."); is &&
			slices.ContainsFunc(e.Params, func(p Param) bool { return p.Name == param }) {
			return false
		}
		return strings.HasPrefix(key, word)
	})
}

// Param is the value that the command line gives a boolean parameter of a
// module, and whether it gives one. The last one wins; one without a value means
// yes.
func (l BootLine) Param(module, name string) (value, given bool) {
	for _, a := range l.Args {
		if strings.ReplaceAll(a.Key, "-", "_") != module+"."+name {
			continue
		}
		if !a.HasValue {
			value, given = true, true
		} else if v, ok := kernelBool(a.Value); ok {
			value, given = v, true
		}
	}
	return value, given
}
