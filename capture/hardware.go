package capture

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// MaxFunctions bounds the PCI functions of a host that is recorded: each has
// some twenty files, and a capture holds 50,000.
const MaxFunctions = 1000

// Hardware is where a profile of the hardware is read, so that it is recorded
// with the rest. With redact the files go that say how disks and networks are
// called and connected; they are refused here as a replay refuses what was not
// recorded.
func (r *Recorder) Hardware(redact bool) Seams {
	s := r.Seams()
	if redact {
		s.Files = unnamed{s.Files}
	}
	return s
}

// unnamed refuses the files that are full of names that people gave.
type unnamed struct{ hostfs.Files }

func (u unnamed) ReadFile(path string) ([]byte, error) {
	p := clean(path)
	if slices.Contains([]string{"/proc/self/mountinfo", "/proc/net/route", "/proc/net/ipv6_route"}, p) || strings.HasSuffix(p, "/dm/name") {
		return nil, fmt.Errorf("not recorded with --redact: %s: %w", p, cause.ErrNoData)
	}
	return u.Files.ReadFile(path)
}
