package hypercall

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"xtm/internal/cause"
	"xtm/xen"
)

// Hypervisor is the running Xen, once the interface that it speaks is known.
type Hypervisor struct {
	Version xen.Version

	caller Caller
	// sysctl is the interface version that it takes; layouts go by it, and not
	// by the release, which a distribution may have patched.
	sysctl   uint32
	physical physical
	tmem     tmemCalls
	// begin and end are when the first hypercall was issued and the last
	// answered.
	begin, end time.Time
}

// The sysctl versions whose layouts are known: Xen 4.0 to 4.22.
const (
	oldestSysctl = 0x07
	newestSysctl = 0x16
)

// sysctlOf is the version that a release speaks, by its minor number
// (XEN_SYSCTL_INTERFACE_VERSION in xen/include/public/sysctl.h, read at all
// release tags from 4.0.0 to 4.22.0).
var sysctlOf = [...]uint32{
	0: 0x07, 1: 0x08, 2: 0x09, 3: 0x0a, 4: 0x0a, 5: 0x0b, 6: 0x0c, 7: 0x0d, 8: 0x0e, 9: 0x0f, 10: 0x10, 11: 0x11,
	12: 0x12, 13: 0x12, 14: 0x13, 15: 0x13, 16: 0x14, 17: 0x15, 18: 0x15, 19: 0x15, 20: 0x15, 21: 0x16, 22: 0x16,
}

// Probe finds out which Xen runs and how to talk to it. The error is
// cause.ErrNotSupported where no known version of the sysctl interface is taken,
// as in a newer release or a vendor's own, and where this is not Dom0, else what
// Caller says.
func Probe(ctx context.Context, c Caller) (*Hypervisor, error) {
	h := &Hypervisor{caller: c}
	if err := h.version(ctx); err != nil {
		return nil, err
	}
	for _, v := range h.candidates() {
		h.sysctl = v
		err := h.physinfo(ctx)
		if r, ok := errors.AsType[*RefusedError](err); ok && r.Errno == syscall.EACCES {
			continue
		}
		if err != nil {
			return nil, err
		}
		h.tmem = tmemOf(h.Version, v)
		return h, nil
	}
	return nil, fmt.Errorf("talk to Xen %s: it takes no version of the sysctl interface from %#x to %#x: %w",
		h.Version, oldestSysctl, newestSysctl, cause.ErrNotSupported)
}

// candidates are the versions to try: the release's own, then the others from
// the newest on. A version that is not Xen's is refused before anything is done
// (X:xen/common/sysctl.c, do_sysctl).
func (h *Hypervisor) candidates() []uint32 {
	var out []uint32
	own := uint32(newestSysctl)
	if v := h.Version; v.Major == 4 && v.Minor < len(sysctlOf) {
		own = sysctlOf[v.Minor]
	}
	out = append(out, own)
	for v := uint32(newestSysctl); v >= oldestSysctl; v-- {
		if v != own {
			out = append(out, v)
		}
	}
	return out
}

// The sub-commands of xen_version (xen/include/public/version.h, 4.0–4.22).
const (
	versionNumber      = 0
	versionExtra       = 1
	versionCommandLine = 9
)

func (h *Hypervisor) version(ctx context.Context) error {
	v, err := h.call(ctx, "read Xen's version", &Request{Op: OpVersion, Sub: versionNumber})
	if err != nil {
		return err
	}
	h.Version = xen.Version{Major: int(v.Value >> 16), Minor: int(v.Value & 0xffff)}
	extra, err := h.versionText(ctx, "read Xen's extra version", versionExtra, 16)
	h.Version.Extra = extra
	return err
}

// CommandLine is Xen's own, at most 1,023 bytes of it. It is "" where a security
// policy denies it.
func (h *Hypervisor) CommandLine(ctx context.Context) (string, error) {
	s, err := h.versionText(ctx, "read Xen's command line", versionCommandLine, 1024)
	return strings.TrimSpace(s), err
}

// versionText reads a text that ends in a NUL. Xen writes "<denied>" to those
// who may not read it (X:xen/common/version.c, xen_deny, from 4.7 on).
func (h *Hypervisor) versionText(ctx context.Context, what string, sub uint64, size int) (string, error) {
	r := &Request{Op: OpVersion, Sub: sub, Struct: make([]byte, size)}
	if _, err := h.call(ctx, what, r); err != nil {
		return "", err
	}
	if s := text(r.Struct); s != "<denied>" {
		return s, nil
	}
	return "", nil
}

// text is a string up to its NUL, with what is not UTF-8 replaced.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(s, "\ufffd")
}

// call issues a request and turns a refusal into an error.
func (h *Hypervisor) call(ctx context.Context, what string, r *Request, meanings ...reason) (Answer, error) {
	a, err := h.caller.Call(ctx, r)
	if err != nil {
		return a, fmt.Errorf("%s: %w", what, err)
	}
	if h.begin.IsZero() {
		h.begin = a.Begin
	}
	h.end = a.Begin.Add(a.Took)
	return a, refused(what, a.Value, meanings...)
}

// sysctlCall issues a sysctl; payload holds the answer afterwards. The address of
// data goes to byte at of the payload.
func sysctlCall[T any](ctx context.Context, h *Hypervisor, what string, cmd uint32, payload *T, data []byte, at uintptr) error {
	r := sysctlRequest(h.sysctl, cmd, payload, data, at)
	_, err := h.call(ctx, what, &r)
	*payload = decode[T](r.Struct[payloadAt:])
	return err
}

func sysctlRequest[T any](version, cmd uint32, payload *T, data []byte, at uintptr) Request {
	s := sysctl{Cmd: cmd, Version: version}
	copy(s.Payload[:], bytesOf(payload))
	return Request{Op: OpSysctl, Struct: bytesOf(&s), Data: data, DataAt: payloadAt + int(at)}
}
