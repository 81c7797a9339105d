package hypercall

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"xtm/xen"
)

// kernel is a fake privcmd driver with a hypervisor behind it. It turns the
// addresses that it gets into places in the locked memory, and fails the test
// when one of them is anywhere else.
type kernel struct {
	t interface{ Errorf(string, ...any) }
	p *Privcmd
	// structSize and dataSize are what the hypervisor will touch.
	structSize, dataSize, dataAt int
	hypervisor                   func(op, sub uint64, s, data []byte) (int64, unix.Errno)
}

func (k *kernel) ioctl(h *registers) (int64, unix.Errno) {
	sub, pointer := uint64(0), h.arg[0]
	if Op(h.op) == OpVersion {
		sub, pointer = h.arg[0], h.arg[1]
	}
	s := k.memory("the structure", pointer, k.structSize)
	var data []byte
	if k.dataSize > 0 && s != nil {
		data = k.memory("the buffer", binary.LittleEndian.Uint64(s[k.dataAt:]), k.dataSize)
	}
	return k.hypervisor(h.op, sub, s, data)
}

// memory is what lies at an address, if all of it is locked.
func (k *kernel) memory(what string, address uint64, size int) []byte {
	if size == 0 {
		if address != 0 {
			k.t.Errorf("%s has no bytes and is at %#x, want null", what, address)
		}
		return nil
	}
	base := k.p.mem.address(0)
	end := base + uint64(len(k.p.mem.bytes))
	if address < base || address+uint64(size) > end || address+uint64(size) < address {
		k.t.Errorf("%s of %d bytes is at %#x, outside of the locked memory %#x–%#x", what, size, address, base, end)
		return nil
	}
	if address%8 != 0 {
		k.t.Errorf("%s is at %#x, which is not aligned", what, address)
	}
	return k.p.mem.bytes[address-base:][:size]
}

// TestEveryAddressIsLocked is the property that keeps the hypervisor out of
// Go's heap, on the code that makes the real hypercalls.
func TestEveryAddressIsLocked(t *testing.T) {
	p := &Privcmd{}
	t.Cleanup(func() { check(t, p.Close()) })
	rapid.Check(t, func(t *rapid.T) {
		r := &Request{
			Op:  rapid.SampledFrom([]Op{OpVersion, OpSysctl, OpTmem}).Draw(t, "op"),
			Sub: rapid.Uint64Range(0, 20).Draw(t, "sub"),
		}
		size := rapid.SampledFrom([]int{0, 16, 40, 44, 56, 136, 1024, 4096, 5000}).Draw(t, "structure")
		if size > 0 {
			r.Struct = rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "bytes")
		}
		if size >= 40 && rapid.Bool().Draw(t, "has data") {
			n := rapid.SampledFrom([]int{1, 20, 4096, 32 << 10, 252 << 10, 300 << 10, 1 << 20}).Draw(t, "data")
			r.Data = bytes.Repeat([]byte{0x5a}, n)
			r.DataAt = rapid.IntRange(0, size-8).Draw(t, "at")
		}
		sentStruct, sentData := bytes.Clone(r.Struct), bytes.Clone(r.Data)
		if r.Data != nil {
			clear(sentStruct[r.DataAt : r.DataAt+8])
		}
		k := &kernel{t: t, p: p, structSize: len(r.Struct), dataSize: len(r.Data), dataAt: r.DataAt}
		k.hypervisor = func(op, sub uint64, s, data []byte) (int64, unix.Errno) {
			if Op(op) != r.Op || r.Op == OpVersion && sub != r.Sub {
				t.Errorf("hypercall %d, %d, want %d, %d", op, sub, r.Op, r.Sub)
			}
			got := bytes.Clone(s)
			if r.Data != nil {
				clear(got[r.DataAt : r.DataAt+8])
			}
			if !bytes.Equal(got, sentStruct) || !bytes.Equal(data, sentData) {
				t.Errorf("the hypervisor sees other bytes than those of the request")
			}
			for i := range s {
				s[i] ^= 0xff
			}
			for i := range data {
				data[i] = byte(i)
			}
			return 42, 0
		}
		p.ioctl = k.ioctl
		a, err := p.Call(context.Background(), r)
		if err != nil || a.Value != 42 || a.Begin.IsZero() {
			t.Fatalf("%+v, %v", a, err)
		}
		for i, b := range r.Struct {
			inAddress := r.Data != nil && i >= r.DataAt && i < r.DataAt+8
			if inAddress && b != 0 || !inAddress && b != sentStruct[i]^0xff {
				t.Fatalf("byte %d of the answer is %#x", i, b)
			}
		}
		for i, b := range r.Data {
			if b != byte(i) {
				t.Fatalf("byte %d of the data is %#x", i, b)
			}
		}
	})
}

// TestGuardBehindTheMemory looks into the kernel's own list of mappings: what
// Xen writes beyond a listing's buffer must hit nothing.
func TestGuardBehindTheMemory(t *testing.T) {
	for _, size := range []int{1, smallMemory, 5 << 20} {
		m, err := newMemory(size, -1)
		if err != nil {
			t.Fatal(err)
		}
		end := m.address(0) + uint64(len(m.bytes))
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		var locked, guarded uint64
		for line := range strings.Lines(string(maps)) {
			var from, to uint64
			var rights string
			if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil {
				t.Fatal(err)
			}
			if from <= m.address(0) && to == end && rights == "rw-p" {
				locked = to - from
			}
			// Longer than any listing that does not fit, of twice the bound and more.
			// The kernel joins the guard with any inaccessible mapping behind it.
			if from == end && rights == "---p" {
				guarded = to - from
			}
		}
		if locked < uint64(size) || guarded < 2*maxListing {
			t.Errorf("%d bytes: %d can be written, and then %d cannot be touched, want %d", size, locked, guarded, 2*maxListing)
		}
		check(t, m.free())
	}
}

func TestFaultsAreTriedAgain(t *testing.T) {
	for faults, want := range map[int]int64{0: 7, 1: 7, 3: 7, 4: -int64(unix.EFAULT), 1000: -int64(unix.EFAULT)} {
		calls := 0
		p := &Privcmd{}
		p.ioctl = func(*registers) (int64, unix.Errno) {
			if calls++; calls <= faults {
				return -1, unix.EFAULT
			}
			return 7, 0
		}
		a, err := p.Call(t.Context(), &Request{Op: OpSysctl, Struct: make([]byte, 136)})
		if err != nil || a.Value != want || calls > maxFaults {
			t.Errorf("%d faults: %+v, %v after %d calls, want %d", faults, a, err, calls, want)
		}
		check(t, p.Close())
	}
}

// TestFaultDoesNotSpoilTheRequest answers the first try with garbage and a
// fault: the second must see the request as it was.
func TestFaultDoesNotSpoilTheRequest(t *testing.T) {
	p := &Privcmd{}
	t.Cleanup(func() { check(t, p.Close()) })
	r := &Request{Op: OpSysctl, Struct: bytes.Repeat([]byte{1}, 136), Data: []byte{2, 2, 2, 2}, DataAt: 16}
	calls := 0
	k := &kernel{t: t, p: p, structSize: 136, dataSize: 4, dataAt: 16}
	k.hypervisor = func(_, _ uint64, s, data []byte) (int64, unix.Errno) {
		if s[0] != 1 || data[0] != 2 {
			t.Errorf("call %d sees % x and % x", calls, s[:4], data)
		}
		calls++
		if calls == 1 {
			clear(data)
			s[0] = 9
			return -1, unix.EFAULT
		}
		data[3] = 3
		return 0, 0
	}
	p.ioctl = k.ioctl
	if a, err := p.Call(t.Context(), r); err != nil || a.Value != 0 || calls != 2 || !bytes.Equal(r.Data, []byte{2, 2, 2, 3}) {
		t.Errorf("%+v %v after %d calls, data % x", a, err, calls, r.Data)
	}
}

func TestPrivcmdRefusesNonsense(t *testing.T) {
	p := &Privcmd{ioctl: func(*registers) (int64, unix.Errno) { t.Error("it was issued"); return 0, 0 }}
	t.Cleanup(func() { check(t, p.Close()) })
	for _, at := range []int{-1, 129, 1 << 40} {
		if _, err := p.Call(t.Context(), &Request{Op: OpSysctl, Struct: make([]byte, 136), Data: []byte{1}, DataAt: at}); err == nil {
			t.Errorf("an address at byte %d of 136 was accepted", at)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Call(ctx, &Request{Op: OpVersion}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}

func TestPrivcmdWithoutDevice(t *testing.T) {
	if _, err := os.Stat(privcmdDevices[0]); err == nil {
		t.Skip("there is a privcmd device here")
	}
	p := &Privcmd{}
	if _, err := p.Call(t.Context(), &Request{Op: OpVersion}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), privcmdDevices[0]) {
		t.Errorf("%v", err)
	}
	check(t, p.Close())
}

func TestPrivcmdFromManyGoroutines(t *testing.T) {
	p := &Privcmd{}
	t.Cleanup(func() { check(t, p.Close()) })
	k := &kernel{t: t, p: p, structSize: 136, dataSize: 8, dataAt: 16}
	k.hypervisor = func(_, _ uint64, s, data []byte) (int64, unix.Errno) {
		copy(data, s[:8])
		return int64(s[0]), 0
	}
	p.ioctl = k.ioctl
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				r := &Request{Op: OpSysctl, Struct: bytes.Repeat([]byte{byte(i)}, 136), Data: make([]byte, 8), DataAt: 16}
				if a, err := p.Call(t.Context(), r); err != nil || a.Value != int64(i) || r.Data[0] != byte(i) {
					t.Errorf("goroutine %d got %+v, %v, % x", i, a, err, r.Data)
				}
			}
		})
	}
	wg.Wait()
}

// TestHypervisorThroughPrivcmd reads a host through the real marshalling code.
func TestHypervisorThroughPrivcmd(t *testing.T) {
	from := readVectors(t)["4.17.0"]
	p := &Privcmd{}
	t.Cleanup(func() { check(t, p.Close()) })
	k := &kernel{t: t, p: p}
	p.ioctl = func(h *registers) (int64, unix.Errno) {
		k.structSize, k.dataSize, k.dataAt = 136, 0, 0
		if Op(h.op) == OpVersion {
			k.structSize = map[uint64]int{versionExtra: 16, versionCommandLine: 1024}[h.arg[0]]
			return k.ioctl(h)
		}
		if cmd := k.memory("the structure", h.arg[0], 136)[0]; cmd == sysctlDomainList {
			k.dataSize, k.dataAt = domainBatch*longestEntry, from["buffer of domains"].n
		}
		return k.ioctl(h)
	}
	k.hypervisor = func(op, sub uint64, s, data []byte) (int64, unix.Errno) {
		switch {
		case Op(op) == OpVersion && sub == versionNumber:
			return 4<<16 | 17, 0
		case Op(op) == OpVersion:
			copy(s, ".7\x00")
			return 0, 0
		case s[0] == sysctlPhysinfo:
			copy(s, from["answer physinfo"].b)
			return 0, 0
		}
		copy(s[payloadAt+16:], from["answer domains"].b[payloadAt+16:])
		copy(data, from["domain entry"].b)
		return 0, 0
	}
	h, err := Probe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	domains, err := h.domains(t.Context())
	if err != nil || len(domains) != 1 || domains[0].ID.Or(0) != 7 || h.Version != (xen.Version{Major: 4, Minor: 17, Extra: ".7"}) {
		t.Errorf("Xen %s, %+v, %v", h.Version, domains, err)
	}
	if h.begin.IsZero() || h.end.Before(h.begin) || time.Since(h.begin) > time.Hour {
		t.Errorf("from %s to %s", h.begin, h.end)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
