package hypercalltest

import (
	"encoding/binary"
	"strconv"
	"strings"

	"xtm/xen"
)

// What follows is written down a second time on purpose, as offsets from the
// tables of the public headers: a wrong structure in the package under test
// would agree with itself.

// interfaceVersion is XEN_SYSCTL_INTERFACE_VERSION by minor release.
var interfaceVersion = []uint32{
	7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17, 18, 18, 19, 19, 20, 21, 21, 21, 21, 22, 22,
}

// physinfo are the offsets in the payload of XEN_SYSCTL_physinfo; −1 is no such
// field.
type physinfo struct {
	nodes, maxNode, kHz, total, free, outstanding, hwCap, capabilities int
}

func physinfoOf(version uint32) physinfo {
	switch {
	case version == 7:
		return physinfo{-1, 12, 16, 24, 32, -1, 48, 96}
	case version < 10:
		return physinfo{16, 20, 24, 32, 40, -1, 56, 88}
	case version < 16:
		return physinfo{16, 20, 24, 32, 40, 56, 64, 96}
	case version < 21:
		return physinfo{16, 20, 24, 32, 40, 56, 72, 28}
	default:
		return physinfo{16, 20, 24, 40, 48, 64, 80, 28}
	}
}

// entry are the offsets in xen_domctl_getdomaininfo, and its length.
type entry struct{ cpuTime, vcpus, handle, size int }

func entryOf(v xen.Version) entry {
	patch, _ := v.Patch()
	switch m := v.Minor; {
	case m < 2:
		return entry{40, 48, 60, 80}
	case m == 2:
		return entry{48, 56, 68, 88}
	case m < 10, m == 10 && patch == 0:
		return entry{56, 64, 76, 96}
	case m < 16:
		return entry{56, 64, 76, 104}
	default:
		return entry{56, 64, 76, 112}
	}
}

func put16(b []byte, at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
func put64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
func get16(b []byte, at int) uint16    { return binary.LittleEndian.Uint16(b[at:]) }
func get32(b []byte, at int) uint32    { return binary.LittleEndian.Uint32(b[at:]) }

// handle is a uuid's bytes.
func handle(uuid string) [16]byte {
	var out [16]byte
	digits := strings.ReplaceAll(uuid, "-", "")
	for i := range out {
		if 2*i+2 <= len(digits) {
			n, _ := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
			out[i] = byte(n)
		}
	}
	return out
}
