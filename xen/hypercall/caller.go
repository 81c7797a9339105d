// Package hypercall reads and controls Xen by asking the hypervisor itself:
// through /dev/xen/privcmd, without Xen's libraries, without starting a
// program. One build serves Xen 4.0 to 4.22, for the interface that the running
// hypervisor speaks is found by asking.
//
// Callers above Caller never see an address: a Request holds plain bytes, and
// says where the address of its second buffer belongs. So a capture can record
// hypercalls, a fake hypervisor can answer them, and only Privcmd has to know
// which memory the hypervisor may touch.
package hypercall

import (
	"context"
	"time"
)

// Op is a hypercall's number (xen/include/public/xen.h, the same since 4.0).
type Op uint64

// The hypercalls that this package issues.
const (
	OpVersion Op = 17
	OpSysctl  Op = 35
	OpTmem    Op = 38
)

// Request is a hypercall whose memory has no addresses yet.
type Request struct {
	Op Op
	// Sub is the sub-command of OpVersion. The other hypercalls have it in
	// Struct.
	Sub uint64
	// Struct is what the hypercall's pointer argument points to; nil is a null
	// pointer. The hypervisor's answer stands in it afterwards.
	Struct []byte
	// Data is a second buffer, whose address goes to Struct[DataAt:DataAt+8]. The
	// hypervisor reads or fills it. Of the address nothing is left afterwards.
	Data   []byte
	DataAt int
}

// Answer is what became of a hypercall.
type Answer struct {
	// Value is the hypercall's result: below zero it is the negative of an
	// errno, and Xen's errnos are Linux's.
	Value int64
	// Begin is when it was issued, Took how long the hypervisor needed.
	Begin time.Time
	Took  time.Duration
}

// Caller issues hypercalls. The error is set only when the hypercall could not
// be issued: fs.ErrNotExist where there is no privcmd device, fs.ErrPermission,
// cause.ErrNotSupported in a build for another architecture, or the context's.
// What the hypervisor refuses is an Answer.
type Caller interface {
	Call(ctx context.Context, r *Request) (Answer, error)
}
