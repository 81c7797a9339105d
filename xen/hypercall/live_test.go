//go:build xen && amd64

package hypercall

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"xtm/internal/units"
	"xtm/xen/xenstore"
)

// The tests in this file need a real Dom0: go test -c -tags xen, and run it
// there as root. Package lab/live holds the sources against each other.

func live(t *testing.T) (*Privcmd, *xenstore.Client) {
	t.Helper()
	p, s := &Privcmd{}, xenstore.New(xenstore.Local)
	t.Cleanup(func() { check(t, p.Close()); check(t, s.Close()) })
	return p, s
}

// TestLiveMemory makes the same call from both kinds of memory.
func TestLiveMemory(t *testing.T) {
	for _, kernel := range []bool{true, false} {
		p := &Privcmd{}
		check(t, p.open())
		if !kernel {
			check(t, p.buffer.Close())
			p.buffer = nil
		} else if p.buffer == nil {
			t.Logf("there is no %s", bufferDevice)
		}
		h, err := Probe(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		domains, err := h.domains(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		device := -1
		if p.buffer != nil {
			device = int(p.buffer.Fd())
		}
		m, err := newMemory(smallMemory, device)
		check(t, err)
		got := m.kernelPages(device)
		check(t, m.free())
		// Larger than what Linux 4.18 and 4.19 give of the kernel's pages.
		ring := &readConsole{Incremental: 1, Count: 1 << 20}
		err = sysctlCall(t.Context(), h, "read a lot", sysctlReadConsole, ring, make([]byte, 1<<20), 8)
		t.Logf("Xen %s, sysctl %#x, %d domains, kernel's pages %v, console %d bytes, %v", h.Version, h.sysctl, len(domains), got, ring.Count, err)
		check(t, err)
		check(t, p.Close())
	}
}

// TestLiveErrors are the errnos that the code rests on.
func TestLiveErrors(t *testing.T) {
	p, _ := live(t)
	h, err := Probe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(version, cmd uint32) syscall.Errno {
		var payload [sizeOfPayload]byte
		r := sysctlRequest(version, cmd, &payload, nil, 0)
		a, err := p.Call(t.Context(), &r)
		check(t, err)
		return syscall.Errno(max(0, -a.Value))
	}
	if e := ask(h.sysctl+100, sysctlPhysinfo); e != syscall.EACCES {
		t.Errorf("another version: %v", e)
	}
	if e := ask(h.sysctl, 9999); e != syscall.ENOSYS {
		t.Errorf("no such sysctl: %v", e)
	}
	t.Logf("sysctl 24 on Xen %s: %v", h.Version, ask(h.sysctl, sysctlTmem))
	null := &domainList{Max: 1} // a null buffer
	err = sysctlCall(t.Context(), h, "read to nowhere", sysctlDomainList, null, nil, 8)
	t.Logf("a null buffer: %v", err)
	if err == nil {
		t.Error("Xen wrote to a null buffer")
	}
}

// TestLiveControls changes what can be changed on a host with tmem, and reads
// it back through xl.
func TestLiveControls(t *testing.T) {
	p, _ := live(t)
	h, err := Probe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := h.Listing(t.Context(), true)
	if err != nil || len(l.Clients) == 0 {
		t.Skipf("no tmem clients here: %v", err)
	}
	id := l.Clients[0].ID
	byXL := func() string {
		out, err := exec.Command("xl", "tmem-list", "-a").CombinedOutput()
		check(t, err)
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "C=CI:"+itoa(id)+",") {
				return line
			}
		}
		return string(out)
	}
	expect := func(what, want string, err error) {
		t.Helper()
		if line := byXL(); err != nil || !strings.Contains(line, want) {
			t.Errorf("%s: %v, xl lists %q, want %q", what, err, line, want)
		}
	}
	expect("freeze", "fr:1", h.Freeze(t.Context(), id))
	if c, err := h.Client(t.Context(), id); err != nil || !c.Frozen || c.Migrating {
		t.Errorf("frozen: %+v, %v", c, err)
	}
	expect("thaw", "fr:0", h.Thaw(t.Context(), id))
	expect("compress", "co:1", h.SetCompress(t.Context(), id, true))
	expect("weight", "ww:77", h.SetWeight(t.Context(), id, 77))
	expect("weight keeps compression", "co:1", nil)
	expect("no compress", "co:0", h.SetCompress(t.Context(), id, false))
	expect("compression keeps weight", "ww:77", nil)
	expect("weight", "ww:0", h.SetWeight(t.Context(), id, 0))
	for what, err := range map[string]error{
		"freeze": h.Freeze(t.Context(), 4711), "weight": h.SetWeight(t.Context(), 4711, 1),
	} {
		t.Logf("%s of no client: %v", what, err)
		if err == nil {
			t.Errorf("%s of no client succeeds", what)
		}
	}
	before, err := h.Freeable(t.Context())
	check(t, err)
	got, err := h.Flush(t.Context(), units.MiB(4).KiB())
	check(t, err)
	after, err := h.Freeable(t.Context())
	check(t, err)
	t.Logf("freeable %d MiB, flushed %d KiB, then %d MiB", before, got, after)
}

// TestLiveListingBeyondItsBuffer tells Xen of a buffer that is too short, and
// shows what it writes behind it: that is why there is a guard.
func TestLiveListingBeyondItsBuffer(t *testing.T) {
	p, _ := live(t)
	h, err := Probe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := h.tmem.(late)
	if !ok {
		t.Skipf("Xen %s has no such call", h.Version)
	}
	for _, told := range []int{100, 400, 700, 1000} {
		r := l.list(true, make([]byte, 16<<10))
		r.Struct[payloadAt+12], r.Struct[payloadAt+13] = byte(told), byte(told>>8)
		a, err := p.Call(t.Context(), &r)
		if err != nil || a.Value != 0 {
			t.Skipf("%+v %v", a, err)
		}
		n := len(bytes.TrimRight(r.Data, "\x00"))
		t.Logf("told %d bytes, it wrote %d", told, n)
	}
}

func itoa(id units.DomID) string { b, _ := json.Marshal(id); return string(b) }
