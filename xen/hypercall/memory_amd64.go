package hypercall

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4096
	// smallMemory is what a first mapping holds. Linux 4.18 and 4.19 give a
	// file 64 pages of /dev/xen/hypercall (drivers/xen/privcmd-buf.c).
	smallMemory = 64 * pageSize
	// guard follows the memory and cannot be touched. It is longer than any
	// tmem listing: all releases write a listing that does not fit beyond the
	// length they were told (X:xen/common/tmem_control.c, tmemc_list: a C line
	// is not tested against it, and what is left of the length then wraps).
	guard = 16 << 20
)

// memory is where the hypervisor may read and write: mapped outside of Go's
// heap, which may lack pages and whose stacks move. It is in place as long as it
// is mapped, for Xen walks the page tables and does not wait for a page
// (X:tools/libs/call/linux.c).
type memory struct {
	all   unsafe.Pointer // with the guard
	bytes []byte         // without
}

const readWrite = unix.PROT_READ | unix.PROT_WRITE

// newMemory maps at least size bytes: pages of the kernel's where device, an
// open /dev/xen/hypercall, gives that many, else locked ones of our own. A
// device below zero is none.
func newMemory(size, device int) (memory, error) {
	size = roundUp(size)
	all, err := unix.MmapPtr(-1, 0, nil, uintptr(size+guard), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return memory{}, fmt.Errorf("reserve %d bytes for the hypervisor: %w", size+guard, err)
	}
	m := memory{all, unsafe.Slice((*byte)(all), size)}
	if !m.kernelPages(device) {
		err = m.lockedPages()
	}
	if err != nil {
		return memory{}, errors.Join(fmt.Errorf("lock %d bytes for the hypervisor: %w", size, err), m.free())
	}
	return m, nil
}

// kernelPages puts pages of the device in place. They are mapped elsewhere
// first: a mapping at a fixed address that fails leaves a hole, which another
// thread may have filled by then.
func (m *memory) kernelPages(device int) bool {
	if device < 0 {
		return false
	}
	size := uintptr(len(m.bytes))
	p, err := unix.MmapPtr(device, 0, nil, size, readWrite, unix.MAP_SHARED)
	if err != nil {
		return false
	}
	if _, err = unix.MremapPtr(p, size, m.all, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED); err != nil {
		_ = unix.MunmapPtr(p, size) // they were a try only
		return false
	}
	return true
}

func (m *memory) lockedPages() error {
	_, err := unix.MmapPtr(-1, 0, m.all, uintptr(len(m.bytes)), readWrite,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_LOCKED|unix.MAP_FIXED)
	if err != nil {
		return err
	}
	// A child would share the pages until one of us writes, and then the
	// address could lead to the other's.
	if err := unix.Madvise(m.bytes, unix.MADV_DONTFORK); err != nil {
		return err
	}
	// MAP_LOCKED does not fail where a page could not be had.
	for i := 0; i < len(m.bytes); i += pageSize {
		m.bytes[i] = 0
	}
	return nil
}

func (m *memory) free() error {
	if m.all == nil {
		return nil
	}
	err := unix.MunmapPtr(m.all, uintptr(len(m.bytes)+guard))
	*m = memory{}
	return err
}

// address is where a part of the memory begins.
func (m *memory) address(at int) uint64 { return uint64(uintptr(unsafe.Pointer(&m.bytes[at]))) }

// roundUp returns whole pages.
func roundUp(n int) int { return (n + pageSize - 1) &^ (pageSize - 1) }
