package xl

import (
	"strings"

	"xtm/internal/opt"
	"xtm/xen/tmem"
)

// maxBootMessages bounds what is kept of the console ring.
const maxBootMessages = 64

// dmesg keeps what Xen said of tmem and of memory at boot, and its command line
// where xl info had none.
func (r *reader) dmesg() {
	lines, err := read(r, dmesgCmd, parseDmesg)
	r.gap("boot messages", err)
	r.snap.Host.BootMessages = lines
	for _, l := range lines {
		if _, words, ok := strings.Cut(l, "Command line: "); ok && !r.snap.Host.CommandLine.Has() {
			r.snap.Host.CommandLine = opt.Of(strings.TrimSpace(words))
		}
	}
}

// parseDmesg picks from the console ring:
//
//	(XEN) Command line: tmem console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all
//	(XEN) tmem: initialized comp=0
//	(XEN) [2019-04-01 10:11:12] TMEM physical RAM limit exceeded, disabling TMEM
//	(XEN) WARNING: Only the first 5120 GB of the physical memory map can be accessed by Xen.
//
// (the first two from Xen 4.12.4, then 4.3–4.12's texts). Only lines with Xen's
// own mark count: guests write to the ring too. The tmem lines for each domain
// and pool are left out; a ring of 16 KiB soon loses the boot.
func parseDmesg(b []byte) ([]string, error) {
	var out []string
	for line := range strings.SplitSeq(string(b), "\n") {
		line = strings.TrimRight(line, " \r")
		if len(out) == maxBootMessages || len(line) > maxLine || !strings.HasPrefix(line, "(XEN) ") {
			continue
		}
		msg := strings.TrimPrefix(line, "(XEN) ")
		if stamp, rest, ok := strings.Cut(msg, "] "); ok && strings.HasPrefix(stamp, "[") {
			msg = rest
		}
		if tmem.BootLine(line) != tmem.BootSilent || strings.HasPrefix(msg, "Command line: ") ||
			strings.HasPrefix(msg, "WARNING: Only the first ") || strings.HasPrefix(msg, "Truncating RAM from ") {
			out = append(out, strings.ToValidUTF8(line, "\ufffd"))
		}
	}
	return out, nil
}
