// Package hypercalltest is a hypervisor for tests: it answers hypercalls as a
// release of Xen would, in its layouts and with its errors.
package hypercalltest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/tmem/tmemtest"
)

// Domain is a domain as the hypervisor knows it.
type Domain struct {
	ID              units.DomID
	Flags           uint32 // XEN_DOMINF_*
	Pages, MaxPages uint64
	CPUTime         time.Duration
	VCPUs           uint32
	UUID            string
}

// Xen is a fake hypervisor. Its fields may be set between calls.
type Xen struct {
	Version     xen.Version
	CommandLine string
	Console     string

	CPUs, Nodes, KHz         uint32
	Total, Free, Outstanding uint64 // pages
	HWCaps                   [8]uint32
	Capabilities             uint32
	Domains                  []Domain

	// TmemOn is that it was booted with tmem, TmemBuilt that it was built so
	// (4.7–4.12). Listing is what it lists; control operations change it.
	TmemOn, TmemBuilt bool
	Listing           xen.Listing
	FreeableMB        int64
	Dedup             bool // compression cannot be changed then, up to 4.7
	// Migrating are domains that are migrated just now (4.8 and later tell).
	Migrating map[units.DomID]bool

	// SysctlVersion is the interface it speaks; New sets the release's.
	SysctlVersion uint32
	// Denied makes it answer EPERM, as to a domain that is not Dom0.
	Denied bool

	mu  sync.Mutex
	now time.Time
	log []string
}

var _ hypercall.Caller = (*Xen)(nil)

// New returns a hypervisor of a release from "4.0.0" to "4.22": without tmem's
// being on, with Dom0 only. Its clock begins at start.
func New(release string, start time.Time) *Xen {
	v, err := xen.ParseVersion(release)
	if err != nil || v.Major != 4 || v.Minor >= len(interfaceVersion) {
		panic("hypercalltest: no such release: " + release)
	}
	return &Xen{
		Version: v, SysctlVersion: interfaceVersion[v.Minor], TmemBuilt: v.Before(4, 12), now: start,
		CPUs: 2, Nodes: 1, KHz: 2600273, Total: 687999, Free: 283284, Capabilities: 0x2,
		HWCaps:  [8]uint32{0x178bfbfd, 0x82982203, 0x20100800, 1},
		Domains: []Domain{{ID: 0, Flags: 0x20, Pages: 261303, MaxPages: 262144, CPUTime: 56 * time.Second, VCPUs: 2}},
	}
}

// Log is what was done so far, in words: "physinfo", "weight of 3 is 100".
func (x *Xen) Log() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.log)
}

func (x *Xen) did(format string, args ...any) { x.log = append(x.log, fmt.Sprintf(format, args...)) }

// Call implements hypercall.Caller. Each call takes a millisecond.
func (x *Xen) Call(ctx context.Context, r *hypercall.Request) (hypercall.Answer, error) {
	if err := ctx.Err(); err != nil {
		return hypercall.Answer{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	a := hypercall.Answer{Begin: x.now, Took: time.Millisecond}
	x.now = x.now.Add(a.Took)
	a.Value = x.answer(r)
	return a, nil
}

// no is the answer of a refusal.
func no(e syscall.Errno) int64 { return -int64(e) }

func (x *Xen) answer(r *hypercall.Request) int64 {
	switch r.Op {
	case hypercall.OpVersion:
		return x.version(r)
	case hypercall.OpSysctl:
		return x.sysctl(r)
	case hypercall.OpTmem:
		return x.tmemOp(r)
	}
	x.did("unknown hypercall %d", r.Op)
	return no(syscall.ENOSYS)
}

func (x *Xen) version(r *hypercall.Request) int64 {
	var s string
	switch r.Sub {
	case 0:
		return int64(x.Version.Major)<<16 | int64(x.Version.Minor)
	case 1:
		s = x.Version.Extra
	case 9:
		s = x.CommandLine
		if x.Denied && x.Version.AtLeast(4, 7) {
			s = "<denied>"
		}
	default:
		x.did("unknown version sub-command %d", r.Sub)
		return no(syscall.ENOSYS)
	}
	if size := map[uint64]int{1: 16, 9: 1024}[r.Sub]; len(r.Struct) < size {
		x.did("a buffer of %d bytes is too short for version sub-command %d", len(r.Struct), r.Sub)
		return no(syscall.EFAULT)
	}
	clear(r.Struct)
	copy(r.Struct[:len(r.Struct)-1], s)
	return 0
}

func (x *Xen) sysctl(r *hypercall.Request) int64 {
	if len(r.Struct) != 136 {
		x.did("a sysctl of %d bytes", len(r.Struct))
		return no(syscall.EFAULT)
	}
	if get32(r.Struct, 4) != x.SysctlVersion {
		return no(syscall.EACCES)
	}
	if x.Denied {
		return no(syscall.EPERM)
	}
	p := r.Struct[8:]
	// The address is in the payload: at 8 in those with a list or a text, at 48
	// in tmem's.
	data := func(at int) []byte {
		if r.DataAt != 8+at {
			return nil
		}
		return r.Data
	}
	switch cmd := get32(r.Struct, 0); {
	case cmd == 1:
		return x.readConsole(p, data(8))
	case cmd == 3:
		x.physinfo(p)
		return 0
	case cmd == 6:
		return x.domainList(p, data(8))
	case cmd == 24 && x.Version.AtLeast(4, 6) && x.Version.Before(4, 13):
		return x.sysctlTmem(p, data(48))
	default:
		x.did("unknown sysctl %d", cmd)
		return no(syscall.ENOSYS)
	}
}

func (x *Xen) physinfo(p []byte) {
	x.did("physinfo")
	at := physinfoOf(x.SysctlVersion)
	clear(p)
	put32(p, 0, 1) // threads per core
	put32(p, 4, x.CPUs)
	put32(p, 8, x.CPUs)
	if at.nodes >= 0 {
		put32(p, at.nodes, x.Nodes)
	}
	put32(p, at.maxNode, x.Nodes-1)
	put32(p, at.kHz, x.KHz)
	put64(p, at.total, x.Total)
	put64(p, at.free, x.Free)
	if at.outstanding >= 0 {
		put64(p, at.outstanding, x.Outstanding)
	}
	for i, w := range x.HWCaps {
		put32(p, at.hwCap+4*i, w)
	}
	put32(p, at.capabilities, x.Capabilities)
}

func (x *Xen) domainList(p, buf []byte) int64 {
	first, most := units.DomID(get16(p, 0)), int(get32(p, 4))
	x.did("domains from %d on", first)
	at := entryOf(x.Version)
	n := 0
	for _, d := range x.Domains {
		if d.ID < first || n == most {
			continue
		}
		if len(buf) < (n+1)*at.size {
			return no(syscall.EFAULT)
		}
		b := buf[n*at.size : (n+1)*at.size]
		clear(b)
		put16(b, 0, uint16(d.ID))
		put32(b, 4, d.Flags)
		put64(b, 8, d.Pages)
		put64(b, 16, d.MaxPages)
		put64(b, at.cpuTime, uint64(d.CPUTime))
		put32(b, at.vcpus, d.VCPUs)
		put32(b, at.vcpus+4, d.VCPUs-1)
		if x.Version.Before(4, 1) {
			put32(b, 76, 0xffff82c4) // padding: what lay on Xen's stack
		}
		h := handle(d.UUID)
		copy(b[at.handle:], h[:])
		n++
	}
	put32(p, 16, uint32(n))
	return 0
}

func (x *Xen) readConsole(p, buf []byte) int64 {
	from := 0
	if p[1] != 0 {
		from = min(int(get32(p, 4)), len(x.Console))
	}
	x.did("console from %d on", from)
	n := min(len(x.Console)-from, int(get32(p, 16)))
	if n > len(buf) {
		return no(syscall.EFAULT)
	}
	copy(buf, x.Console[from:from+n])
	put32(p, 4, uint32(from+n))
	put32(p, 16, uint32(n))
	return 0
}

// client finds a tmem client.
func (x *Xen) client(id uint32) *xen.TmemClient {
	for i := range x.Listing.Clients {
		if c := &x.Listing.Clients[i]; uint32(c.ID) == id {
			return c
		}
	}
	return nil
}

// list writes the listing into the caller's buffer.
func (x *Xen) list(id, length, long uint32, buf []byte) int64 {
	if id != 0xffff {
		x.did("list of %d", id)
		return no(syscall.EPERM)
	}
	x.did("list of all in %d bytes, long %d", length, long)
	if int(length) > len(buf) {
		return no(syscall.EFAULT)
	}
	l := x.Listing
	if !l.Host.Has() {
		l.Host = opt.Of(xen.TmemHost{Calls: opt.Of[int64](0)})
	}
	clear(buf[:length])
	copy(buf[:length-1], tmemtest.RenderInto(l, int(length)))
	return 0
}
