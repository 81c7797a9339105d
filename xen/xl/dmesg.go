package xl

import (
	"strings"

	"xtm/internal/opt"
	"xtm/xen/tmem"
)

// dmesg keeps what Xen said of tmem and of memory at boot, and its command line
// where xl info had none.
func (r *reader) dmesg() {
	lines, err := read(r, dmesgCmd, bootMessages)
	r.gap("boot messages", err)
	r.snap.Host.BootMessages = lines
	for _, l := range lines {
		if _, words, ok := strings.Cut(l, "Command line: "); ok && !r.snap.Host.CommandLine.Has() {
			r.snap.Host.CommandLine = opt.Of(strings.TrimSpace(words))
		}
	}
}

func bootMessages(ring []byte) ([]string, error) { return tmem.BootMessages(ring), nil }
