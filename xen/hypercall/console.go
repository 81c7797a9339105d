package hypercall

import (
	"context"
	"unsafe"
)

const (
	consoleChunk = 32 << 10
	// maxConsole bounds what is read of the console ring, whose size is set on
	// Xen's command line (conring_size) and 16 KiB or more by default.
	maxConsole = 4 << 20
)

// console reads the console ring, which xl dmesg prints, and leaves it as it is.
func (h *Hypervisor) console(ctx context.Context) ([]byte, error) {
	var out []byte
	index := uint32(0)
	for len(out) < maxConsole {
		// From index on; an index that scrolled away means the oldest text.
		ask := readConsole{Incremental: 1, Index: index, Count: consoleChunk}
		buf := make([]byte, consoleChunk)
		if err := sysctlCall(ctx, h, "read the console ring", sysctlReadConsole, &ask, buf, unsafe.Offsetof(ask.Buffer)); err != nil {
			return nil, err
		}
		n := min(int(ask.Count), len(buf))
		if n == 0 {
			break
		}
		out = append(out, buf[:n]...)
		index = ask.Index
	}
	return out, nil
}
