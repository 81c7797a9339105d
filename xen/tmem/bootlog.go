package tmem

import "strings"

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
	msg := xenMessage(line)
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

// xenMessage is what a line of the console ring says in Xen's own words,
// without mark and time; "" is a line of somebody else's.
func xenMessage(line string) string {
	msg, ok := strings.CutPrefix(line, "(XEN) ")
	if !ok {
		return ""
	}
	if stamp, rest, ok := strings.Cut(msg, "] "); ok && strings.HasPrefix(stamp, "[") {
		return rest
	}
	return msg
}

const (
	// maxBootMessages bounds what is kept of the console ring.
	maxBootMessages = 64
	// maxBootMessage bounds a line of it.
	maxBootMessage = 8 << 10
)

// BootMessages picks from Xen's console ring, which xl dmesg prints, what it
// said at boot of tmem, of memory, and its command line:
//
//	(XEN) Command line: tmem console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all
//	(XEN) tmem: initialized comp=0
//	(XEN) [2019-04-01 10:11:12] TMEM physical RAM limit exceeded, disabling TMEM
//	(XEN) WARNING: Only the first 5120 GB of the physical memory map can be accessed by Xen.
//
// (the first two from Xen 4.12.4, then 4.3–4.12's texts). Only lines with Xen's
// own mark count: guests write to the ring too. The tmem lines for each domain
// and pool are left out; a ring of 16 KiB soon loses the boot.
func BootMessages(ring []byte) []string {
	var out []string
	for line := range strings.SplitSeq(string(ring), "\n") {
		line = strings.TrimRight(line, " \r")
		if len(out) == maxBootMessages || len(line) > maxBootMessage {
			continue
		}
		if msg := xenMessage(line); BootLine(line) != BootSilent || strings.HasPrefix(msg, "Command line: ") ||
			strings.HasPrefix(msg, "WARNING: Only the first ") || strings.HasPrefix(msg, "Truncating RAM from ") {
			out = append(out, strings.ToValidUTF8(line, "\ufffd"))
		}
	}
	return out
}
