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

// BootEvent is what a line of Xen's console ring says of tmem.
type BootEvent string

// The events. BootSilent is any other line, also one of tmem's later ones:
// those appear on hosts without tmem too, when somebody freezes its pools or
// authorises a domain.
const (
	BootSilent      BootEvent = ""
	BootInitialised BootEvent = "initialised"
	BootFailed      BootEvent = "failed"
	// BootRAMLimit: more RAM than Xen maps at once, about 5 TB (4.3 and later).
	BootRAMLimit BootEvent = "ram_limit"
	// BootUnknownWord: this hypervisor knows no parameter of that name (4.10
	// and later).
	BootUnknownWord BootEvent = "unknown_word"
)

// BootLine reads one line of xl dmesg:
//
//	(XEN) tmem: initialized comp=0
//	(XEN) [2019-04-01 10:11:12] TMEM physical RAM limit exceeded, disabling TMEM
//	(XEN) parameter "tmem" unknown!
//
// Lines without Xen's own mark are not believed: guests can write "(d1) tmem:
// initialized" there (init_tmem in xen/common/tmem.c, 4.0.0–4.12;
// xen/arch/x86/setup.c; xen/common/kernel.c).
func BootLine(line string) BootEvent {
	msg, ok := strings.CutPrefix(line, "(XEN) ")
	if !ok {
		return BootSilent
	}
	if stamp, rest, ok := strings.Cut(msg, "] "); ok && strings.HasPrefix(stamp, "[") {
		msg = rest
	}
	switch {
	case strings.HasPrefix(msg, "tmem: initialized "):
		return BootInitialised
	case strings.HasPrefix(msg, "tmem: initialization FAILED"):
		return BootFailed
	case strings.HasPrefix(msg, "TMEM physical RAM limit exceeded"):
		return BootRAMLimit
	case strings.HasPrefix(msg, `parameter "tmem" unknown`):
		return BootUnknownWord
	}
	return BootSilent
}
