package tmem

import (
	"strings"

	"xtm/xen"
)

// Enabled tells whether Xen's command line, as xl info's xen_commandline has
// it, switches tmem on in this release, and which word decided; "" is none, and
// then tmem is off.
//
// A boolean parameter is on by its name alone, off with "no-" before it or with
// a word for no behind "="; the last one wins. What is behind " -- " is Dom0's.
// The words of an unknown release are those of the newest
// (xen/common/kernel.c, parse_params; xen/arch/x86/setup.c).
func Enabled(cmdline string, v xen.Version) (on bool, word string) {
	if !v.Known() {
		v = xen.Version{Major: 4, Minor: 12}
	}
	f := For(v)
	cmdline, _, _ = strings.Cut(cmdline, " -- ")
	for w := range strings.SplitSeq(cmdline, " ") {
		name, value, _ := strings.Cut(w, "=")
		name, negated := strings.CutPrefix(name, "no-")
		if name != "tmem" {
			continue
		}
		if yes, ok := boolean(value, f); ok {
			on, word = yes != negated, w
		}
	}
	return on, word
}

// boolean reads the value of a boolean parameter; ok is false where the
// release refuses it.
func boolean(value string, f Features) (yes, ok bool) {
	switch value {
	case "no", "off", "false", "0":
		return false, true
	case "disable":
		return !f.DisableWord, true
	case "", "yes", "on", "true", "enable", "1":
		return true, true
	}
	return true, !f.ClosedBooleans
}
