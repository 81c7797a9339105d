package hypercall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The devices, in the order in which Xen's own library tries them
// (X:tools/libs/call/linux.c, 4.7). Before Linux 3.3 only xenfs has one.
var privcmdDevices = [...]string{"/dev/xen/privcmd", "/proc/xen/privcmd"}

// bufferDevice gives memory that cannot go away, from Linux 4.18 on.
const bufferDevice = "/dev/xen/hypercall"

// ioctlHypercall is IOCTL_PRIVCMD_HYPERCALL: _IOC(_IOC_NONE, 'P', 0, 48)
// (include/uapi/xen/privcmd.h, the same since Linux 2.6.37).
const ioctlHypercall = 0x305000

// maxFaults is how often a hypercall that could not reach its memory is issued
// in all: locked pages may be missing for the moment in which they are moved.
const maxFaults = 4

// registers is struct privcmd_hypercall.
type registers struct {
	op  uint64
	arg [5]uint64
}

// Privcmd is the Caller of the running machine. Its zero value is ready: the
// device is opened at the first call. It is safe for concurrent use; calls wait
// for each other.
type Privcmd struct {
	mu     sync.Mutex
	dev    *os.File
	mem    memory
	buffer *os.File // bufferDevice; nil where there is none
	// ioctl is the system call; a test puts a fake hypervisor here.
	ioctl func(*registers) (int64, unix.Errno)
}

var _ Caller = (*Privcmd)(nil)

// Call implements Caller. A hypercall takes microseconds and cannot be stopped,
// so that ctx is looked at before it only.
func (p *Privcmd) Call(ctx context.Context, r *Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(); err != nil {
		return Answer{}, err
	}
	if err := p.room(r); err != nil {
		return Answer{}, err
	}
	a := Answer{Begin: time.Now()}
	for range maxFaults {
		a.Value = p.issue(r)
		if a.Value != -int64(unix.EFAULT) {
			break
		}
	}
	a.Took = time.Since(a.Begin)
	p.collect(r)
	return a, nil
}

// Close gives back device and memory; the next Call opens them again.
func (p *Privcmd) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.mem.free()
	for _, f := range []*os.File{p.dev, p.buffer} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	p.dev, p.buffer = nil, nil
	return err
}

func (p *Privcmd) open() error {
	if p.dev != nil || p.ioctl != nil {
		return nil
	}
	var first error
	for _, path := range privcmdDevices {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			p.dev = f
			break
		}
		if first == nil {
			first = err
		}
	}
	if p.dev == nil {
		return first
	}
	if f, err := os.OpenFile(bufferDevice, os.O_RDWR, 0); err == nil {
		p.buffer = f
	}
	return nil
}

// room sees to memory for both buffers of a request.
func (p *Privcmd) room(r *Request) error {
	if len(r.Data) > 0 && (r.DataAt < 0 || r.DataAt+8 > len(r.Struct)) {
		return fmt.Errorf("issue hypercall %d: no place for an address at byte %d of %d", r.Op, r.DataAt, len(r.Struct))
	}
	need := dataAt(r) + len(r.Data)
	if need <= len(p.mem.bytes) {
		return nil
	}
	device := -1
	if p.buffer != nil {
		device = int(p.buffer.Fd())
	}
	m, err := newMemory(max(need, smallMemory), device)
	if err != nil {
		return err
	}
	err = p.mem.free()
	p.mem = m
	return err
}

// dataAt is where the second buffer lies in the memory: on pages of its own.
func dataAt(r *Request) int { return roundUp(len(r.Struct)) }

// buffers are the parts of the memory that a request takes.
func (p *Privcmd) buffers(r *Request) (inStruct, inData []byte) {
	return p.mem.bytes[:len(r.Struct)], p.mem.bytes[dataAt(r) : dataAt(r)+len(r.Data)]
}

// issue copies a request into the memory, puts the addresses in and issues it.
func (p *Privcmd) issue(r *Request) int64 {
	h := registers{op: uint64(r.Op)}
	pointer := &h.arg[0]
	if r.Op == OpVersion {
		h.arg[0], pointer = r.Sub, &h.arg[1]
	}
	inStruct, inData := p.buffers(r)
	copy(inStruct, r.Struct)
	copy(inData, r.Data)
	if len(r.Struct) > 0 {
		*pointer = p.mem.address(0)
	}
	if len(r.Data) > 0 {
		binary.LittleEndian.PutUint64(inStruct[r.DataAt:], p.mem.address(dataAt(r)))
	}
	value, errno := p.call(&h)
	if errno != 0 {
		return -int64(errno)
	}
	return value
}

// collect copies the answer back, without the address.
func (p *Privcmd) collect(r *Request) {
	inStruct, inData := p.buffers(r)
	copy(r.Struct, inStruct)
	copy(r.Data, inData)
	if len(r.Data) > 0 {
		clear(r.Struct[r.DataAt : r.DataAt+8])
	}
}

func (p *Privcmd) call(h *registers) (int64, unix.Errno) {
	if p.ioctl != nil {
		return p.ioctl(h)
	}
	value, _, errno := unix.Syscall(unix.SYS_IOCTL, p.dev.Fd(), ioctlHypercall, uintptr(unsafe.Pointer(h)))
	runtime.KeepAlive(p.dev)
	return int64(value), errno
}
