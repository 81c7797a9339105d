package hypercall

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"xtm/internal/cause"
)

// RefusedError is the hypervisor's own "no". It wraps cause.ErrNotSupported where
// the release, the build or this domain can never do it (root may ask from any
// domain, but only Dom0 is answered), and cause.ErrNoData where what was asked
// about does not exist. The errno is not wrapped: EPERM stands for both.
type RefusedError struct {
	What  string // "read the tmem listing"
	Errno syscall.Errno
	Why   string
	cause error
}

func (e *RefusedError) Error() string {
	s := e.What + ": Xen answers " + unix.ErrnoName(e.Errno)
	if unix.ErrnoName(e.Errno) == "" {
		s = fmt.Sprintf("%s: Xen answers error %d", e.What, int(e.Errno))
	}
	if e.Why != "" {
		s += ": " + e.Why
	}
	return s
}

func (e *RefusedError) Unwrap() error { return e.cause }

// reason is what an errno of one kind of call means.
type reason struct {
	errno syscall.Errno
	why   string
	cause error
}

// reasons hold for each sysctl (X:xen/common/sysctl.c, 4.0–4.22).
var reasons = []reason{
	{syscall.EACCES, "it speaks another version of the sysctl interface", cause.ErrNotSupported},
	{syscall.ENOSYS, "it has no such call", cause.ErrNotSupported},
	{syscall.EOPNOTSUPP, "it does not do this", cause.ErrNotSupported},
	{syscall.EPERM, "this domain may not ask, for it is not Dom0 or a security policy forbids it", cause.ErrNotSupported},
	{syscall.EFAULT, "it could not reach our memory", nil},
}

// tmemReasons hold for tmem's control operations before those.
var tmemReasons = []reason{
	{syscall.ENODEV, "tmem was not switched on at boot", cause.ErrNotSupported},
	{syscall.ENOSYS, "it was built without tmem", cause.ErrNotSupported},
}

// clientReasons hold for control operations on one domain before those: there
// a plain -1, which is EPERM, means that the domain never used tmem
// (X:xen/common/tmem.c, 4.0–4.7; tmem_control.c, 4.8–4.12).
var clientReasons = append([]reason{
	{syscall.EPERM, noClient, cause.ErrNoData},
	{syscall.ENOENT, noClient, cause.ErrNoData},
}, tmemReasons...)

const noClient = "the domain is no tmem client, or this domain may not ask"

// refused makes an error of an answer below zero; others are nil.
func refused(what string, value int64, first ...reason) error {
	if value >= 0 {
		return nil
	}
	e := &RefusedError{What: what, Errno: syscall.Errno(-value)}
	for _, set := range [][]reason{first, reasons} {
		for _, r := range set {
			if r.errno == e.Errno {
				e.Why, e.cause = r.why, r.cause
				return e
			}
		}
	}
	return e
}
