package hypercall

import (
	"bytes"
	"context"
	"fmt"
	"time"
	"unsafe"

	"xtm/internal/cause"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// tmemCalls builds the control operations of tmem for one era. There is one
// type for 4.0–4.7 and one for 4.8–4.12, and each takes operations of its own
// type only: the numbers 5 to 7 set a weight, a cap and compression in the one,
// and read and write a client's record and read its pools in the other.
type tmemCalls interface {
	freeze(client units.DomID, frozen bool) Request
	flush(kib uint32) Request
	list(long bool, buf []byte) Request
	freeable() Request
}

// allClients is the client number that stands for all of them (TMEM_CLI_ID_NULL).
const allClients = 0xffff

// tmemOf picks the calls of the release, by its sysctl version where that tells.
// It is nil where there is no tmem: 4.13 speaks 4.12's version and is without.
func tmemOf(v xen.Version, sysctl uint32) tmemCalls {
	switch {
	case v.AtLeast(4, 13) || sysctl > 0x12:
		return nil
	case sysctl >= 0x0e:
		return late{sysctl}
	case sysctl >= 0x0c:
		return early{func(op earlyOp, client, arg1, arg2 uint32, buf []byte) Request {
			p := sysctlTmem46{Cmd: op, Client: client, Arg1: arg1, Arg2: arg2}
			return sysctlRequest(sysctl, sysctlTmem, &p, buf, unsafe.Offsetof(p.Buf))
		}}
	case shortTmemOp(v):
		return early{func(op earlyOp, client, arg1, arg2 uint32, buf []byte) Request {
			p := tmemOp40{SubOp: op, Client: client, Arg1: arg1, Arg2: arg2}
			return Request{Op: OpTmem, Struct: bytesOf(&p), Data: buf, DataAt: int(unsafe.Offsetof(p.Buf))}
		}}
	default:
		return early{func(op earlyOp, client, arg1, arg2 uint32, buf []byte) Request {
			p := tmemOp402{SubOp: op, Client: client, Arg1: arg1, Arg2: arg2}
			return Request{Op: OpTmem, Struct: bytesOf(&p), Data: buf, DataAt: int(unsafe.Offsetof(p.Buf))}
		}}
	}
}

// shortTmemOp tells whether struct tmem_op has 40 bytes, as in 4.0.0 and 4.0.1.
// The wrong one is refused: its buffer's address is null to Xen.
func shortTmemOp(v xen.Version) bool {
	patch, ok := v.Patch()
	return v.Major == 4 && v.Minor == 0 && ok && patch < 2
}

// early builds the calls of 4.0 to 4.7, which differ in how they travel.
type early struct {
	request func(op earlyOp, client, arg1, arg2 uint32, buf []byte) Request
}

func (t early) freeze(client units.DomID, frozen bool) Request {
	if frozen {
		return t.request(earlyFreeze, uint32(client), 0, 0, nil)
	}
	return t.request(earlyThaw, uint32(client), 0, 0, nil)
}

func (t early) flush(kib uint32) Request { return t.request(earlyFlush, allClients, kib, 0, nil) }
func (t early) freeable() Request        { return t.request(earlyFreeableMB, allClients, 0, 0, nil) }

func (t early) list(long bool, buf []byte) Request {
	return t.request(earlyList, allClients, uint32(len(buf)), flag(long), buf)
}

func (t early) setWeight(client units.DomID, weight uint32) Request {
	return t.request(earlySetWeight, uint32(client), weight, 0, nil)
}

func (t early) setCompress(client units.DomID, on bool) Request {
	return t.request(earlySetCompress, uint32(client), flag(on), 0, nil)
}

// late builds the calls of 4.8 to 4.12.
type late struct{ sysctl uint32 }

func (t late) request(op lateOp, client, length, arg uint32, buf []byte) Request {
	p := sysctlTmem48{Cmd: op, Client: client, Len: length, Arg: arg}
	return sysctlRequest(t.sysctl, sysctlTmem, &p, buf, unsafe.Offsetof(p.Buf))
}

func (t late) freeze(client units.DomID, frozen bool) Request {
	if frozen {
		return t.request(lateFreeze, uint32(client), 0, 0, nil)
	}
	return t.request(lateThaw, uint32(client), 0, 0, nil)
}

func (t late) flush(kib uint32) Request { return t.request(lateFlush, allClients, 0, kib, nil) }
func (t late) freeable() Request        { return t.request(lateFreeableMB, allClients, 0, 0, nil) }

func (t late) list(long bool, buf []byte) Request {
	return t.request(lateList, allClients, uint32(len(buf)), flag(long), buf)
}

func (t late) getClient(client units.DomID, c *tmemClient48) Request {
	return t.request(lateGetClient, uint32(client), 0, 0, bytesOf(c))
}

func (t late) setClient(client units.DomID, c *tmemClient48) Request {
	return t.request(lateSetClient, uint32(client), 0, 0, bytesOf(c))
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// noTmem is the error where tmemOf found none.
func (h *Hypervisor) noTmem() error {
	if h.tmem != nil {
		return nil
	}
	return fmt.Errorf("tmem was removed in Xen 4.13 and this is %s: %w", h.Version, cause.ErrNotSupported)
}

const (
	firstListing = 64 << 10
	maxListing   = 4 << 20
	// longestLine is Xen's own buffer for a line (BSIZE in
	// X:xen/common/tmem_control.c). A listing that ends so far before the end of
	// its buffer has lost no line.
	longestLine = 1024
)

// Listing reads the tmem listing of all clients, in a buffer as large as it
// needs, and tells when it was asked for. Its errors are those of Flush, and of
// tmem.ParseAnswer.
func (h *Hypervisor) Listing(ctx context.Context, long bool) (xen.Listing, time.Time, error) {
	if err := h.noTmem(); err != nil {
		return xen.Listing{}, time.Time{}, err
	}
	for size := firstListing; ; size *= 2 {
		r := h.tmem.list(long, make([]byte, size))
		a, err := h.call(ctx, "read the tmem listing", &r, tmemReasons...)
		if err != nil {
			return xen.Listing{}, a.Begin, err
		}
		text, _, ended := bytes.Cut(r.Data, []byte{0})
		if ended && len(text)+longestLine < size || size >= maxListing {
			l, err := tmem.ParseAnswer(text, size)
			return l, a.Begin, err
		}
	}
}

// Freeable is what tmem could give back at once: its free list and the frames
// with ephemeral data, in whole MiB. It errs as Flush does.
func (h *Hypervisor) Freeable(ctx context.Context) (units.MiB, error) {
	if err := h.noTmem(); err != nil {
		return 0, err
	}
	r := h.tmem.freeable()
	a, err := h.call(ctx, "read how much tmem could give back", &r, tmemReasons...)
	if err != nil {
		return 0, err
	}
	return units.MiB(a.Value), nil
}
