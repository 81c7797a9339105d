package guest

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Hypervisor is the Xen below, as it shows itself to a guest. That it may have
// tmem is not that it has: nothing tells a guest.
type Hypervisor struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
	// Extra is ".4"; "" where Xen denies it (XSM, from 4.7).
	Extra string `json:"extra,omitempty"`
}

// String is "4.12.4".
func (h Hypervisor) String() string { return fmt.Sprintf("%d.%d%s", h.Major, h.Minor, h.Extra) }

// MayHaveTmem tells whether the release's source has tmem: 4.0–4.12.
func (h Hypervisor) MayHaveTmem() bool { return h.Major == 4 && h.Minor <= 12 }

// maxExtra is the room for XENVER_extraversion (xen/include/public/version.h).
const maxExtra = 16

// ReadHypervisor reads /sys/hypervisor/version. Values of captures/xen-4.12, and
// what Xen puts in the place of what it denies:
//
//	major  4
//	minor  12
//	extra  .4
//	extra  <denied>
//
// cause.ErrNoData where this is no Xen guest, or denies its version.
func ReadHypervisor(files hostfs.Files) (Hypervisor, error) {
	var h Hypervisor
	for _, part := range []struct {
		name string
		to   *int
	}{{"major", &h.Major}, {"minor", &h.Minor}} {
		text, err := readWord(files, "/sys/hypervisor/version/"+part.name)
		if err != nil {
			return Hypervisor{}, fmt.Errorf("read Xen's version: %w", err)
		}
		if text == denied {
			return Hypervisor{}, fmt.Errorf("read Xen's version: it is denied: %w", cause.ErrNoData)
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return Hypervisor{}, fmt.Errorf("read Xen's version: %s is %.40q", part.name, text)
		}
		*part.to = int(n)
	}
	extra, err := readWord(files, "/sys/hypervisor/version/extra")
	switch {
	case err != nil && cause.Of(err) != cause.NoData:
		return Hypervisor{}, fmt.Errorf("read Xen's version: %w", err)
	case err == nil && extra != denied && len(extra) <= maxExtra:
		h.Extra = extra
	}
	return h, nil
}

// denied is what Xen answers instead (xen/common/kernel.c, xen_deny).
const denied = "<denied>"

func readWord(files hostfs.Files, p string) (string, error) {
	b, err := files.ReadFile(p)
	return strings.TrimSpace(string(b)), err
}
