package hypercall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

const (
	// domainBatch is how many domains are asked for at a time.
	domainBatch = 128
	// The lengths that an entry can have: 80 in 4.0, 112 in 4.22, and room for
	// more.
	shortestEntry, longestEntry = 80, 160
	// lastDomID is the highest number of a domain; from 0x7ff0 on are Xen's own
	// (DOMID_FIRST_RESERVED).
	lastDomID = 0x7fef
	// marker fills the buffer, so that it shows how much of it Xen wrote.
	marker = 0xa5
)

// domains lists all domains in order of their numbers.
func (h *Hypervisor) domains(ctx context.Context) ([]xen.Domain, error) {
	const what = "read the list of domains"
	var out []xen.Domain
	for first := 0; first <= lastDomID; {
		list := domainList{First: uint16(first), Max: domainBatch}
		buf := bytes.Repeat([]byte{marker}, domainBatch*longestEntry)
		if err := sysctlCall(ctx, h, what, sysctlDomainList, &list, buf, unsafe.Offsetof(list.Buffer)); err != nil {
			return nil, err
		}
		batch, err := parseDomains(buf, int(list.Num), h.sysctl)
		if err == nil && len(batch) > 0 && int(batch[0].ID.Or(0)) < first {
			err = errors.New("a domain comes twice")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		out = append(out, batch...)
		if len(batch) < domainBatch {
			break
		}
		first = int(batch[len(batch)-1].ID.Or(0)) + 1
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: there is none, not even Dom0", what)
	}
	return out, nil
}

// parseDomains reads n entries from a buffer that was full of markers.
func parseDomains(buf []byte, n int, version uint32) ([]xen.Domain, error) {
	size, err := stride(buf, n)
	if err != nil {
		return nil, err
	}
	out := make([]xen.Domain, n)
	for i := range out {
		d, err := parseDomain(buf[i*size:(i+1)*size], version)
		if err != nil {
			return nil, fmt.Errorf("entry %d of %d, %d bytes each: %w", i+1, n, size, err)
		}
		if i > 0 && d.ID.Or(0) <= out[i-1].ID.Or(0) {
			return nil, fmt.Errorf("entry %d of %d, %d bytes each: domain %d is not behind domain %d",
				i+1, n, size, d.ID.Or(0), out[i-1].ID.Or(0))
		}
		out[i] = d
	}
	return out, nil
}

// stride finds how long an entry is. It cannot be known: 4.10.0 and 4.10.1 speak
// the same interface version and have entries of 96 and 104 bytes. Xen copies
// whole entries, so that the last byte it wrote is the end of the last one; an
// entry has fields of 8 bytes, so that at most the last 7 can look untouched.
func stride(buf []byte, n int) (int, error) {
	if n == 0 {
		return 0, nil
	}
	written := len(buf)
	for written > 0 && buf[written-1] == marker {
		written--
	}
	written = (written + 7) &^ 7
	size := 0
	if n > 0 && written%n == 0 {
		size = written / n
	}
	if size < shortestEntry || size > longestEntry || size%8 != 0 {
		return 0, fmt.Errorf("%d entries in %d bytes: Xen's entries cannot be told apart", n, written)
	}
	return size, nil
}

// domain is what an entry says in any release.
type domain struct {
	id                 uint16
	flags              uint32
	totPages, maxPages uint64
	// known is false where the entry has a length that no release read so far
	// has: what comes behind max_pages cannot be placed then.
	known   bool
	cpuTime uint64 // ns
	vcpus   uint32
	handle  [16]byte
}

// entry reads the layout that entries of this length have.
func entry(b []byte) domain {
	switch len(b) {
	case 80:
		d := decode[domainInfo40](b)
		return domain{d.Domain, d.Flags, d.TotPages, d.MaxPages, true, d.CPUTime, d.OnlineVCPUs, d.Handle}
	case 88:
		d := decode[domainInfo42](b)
		return domain{d.Domain, d.Flags, d.TotPages, d.MaxPages, true, d.CPUTime, d.OnlineVCPUs, d.Handle}
	case 96, 104, 112:
		d := decode[domainInfo43](b)
		return domain{d.Domain, d.Flags, d.TotPages, d.MaxPages, true, d.CPUTime, d.OnlineVCPUs, d.Handle}
	default:
		d := decode[domainInfo43](b)
		return domain{id: d.Domain, flags: d.Flags, totPages: d.TotPages, maxPages: d.MaxPages}
	}
}

// The flags of an entry (XEN_DOMINF_* in xen/include/public/domctl.h).
const (
	flagDying    = 1 << 0
	flagHVM      = 1 << 1
	flagShutdown = 1 << 2
	flagPaused   = 1 << 3
	flagBlocked  = 1 << 4
	flagRunning  = 1 << 5
	// reasonAt is where the reason of a shutdown stands; reasonCrash is one.
	reasonAt    = 16
	reasonCrash = 3
)

// noLimit is max_pages of a domain that Xen does not limit: UINT_MAX
// (X:xen/common/domain.c).
const noLimit = 1<<32 - 1

// maxVCPUs is more than Xen gives a domain (8,192 in XEN_LEGACY_MAX_VCPUS and
// MAX_VIRT_CPUS).
const maxVCPUs = 1 << 13

func parseDomain(b []byte, version uint32) (xen.Domain, error) {
	e := entry(b)
	if e.id > lastDomID || e.totPages > maxPages || e.maxPages > maxPages || e.known && (e.vcpus > maxVCPUs || e.cpuTime > 1<<62) {
		return xen.Domain{}, fmt.Errorf("domain %d with %d of %d pages and %d VCPUs cannot be", e.id, e.totPages, e.maxPages, e.vcpus)
	}
	d := xen.Domain{
		ID: opt.Of(units.DomID(e.id)),
		State: xen.State{
			Running: e.flags&flagRunning != 0, Blocked: e.flags&flagBlocked != 0, Paused: e.flags&flagPaused != 0,
			Shutdown: e.flags&flagShutdown != 0, Dying: e.flags&flagDying != 0,
			Crashed: e.flags&flagShutdown != 0 && e.flags>>reasonAt&0xff == reasonCrash,
		},
		Current: kib(e.totPages), Unlimited: e.maxPages >= noLimit,
		Type: typeOf(e, version),
	}
	if !d.Unlimited {
		d.Limit = kib(e.maxPages)
	}
	if e.known {
		h := e.handle
		d.UUID = fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:])
		d.VCPUs = opt.Of(int(e.vcpus))
		d.CPUTime = opt.Of(time.Duration(e.cpuTime))
	}
	return d, nil
}

// typeOf is "pv", "hvm", or "" where the flag cannot tell hvm from pvh: from
// 4.10 on a PVH guest is an HVM one to Xen. (The PVH of 4.4 to 4.9, which the
// toolstack calls pv, is another thing.) Dom0 runs without devices of an
// emulator's, so that it is pvh.
func typeOf(e domain, version uint32) string {
	switch {
	case e.flags&flagHVM == 0:
		return "pv"
	case e.id == 0:
		return "pvh"
	case version < 0x10:
		return "hvm"
	default:
		return ""
	}
}
