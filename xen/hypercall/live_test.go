//go:build xen && amd64

package hypercall

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xenstore"
	"xtm/xen/xl"
)

// The tests in this file need a real Dom0: go test -c -tags xen, and run it
// there as root.

func live(t *testing.T) (*Privcmd, *xenstore.Client) {
	t.Helper()
	p, s := &Privcmd{}, xenstore.New(xenstore.Local)
	t.Cleanup(func() { check(t, p.Close()); check(t, s.Close()) })
	return p, s
}

// TestLiveAgreesWithXL reads the host in both ways, xl before and after, for
// guests go on meanwhile.
func TestLiveAgreesWithXL(t *testing.T) {
	p, s := live(t)
	byXL := xl.New(run.New(os.Environ()), hostfs.Host)
	before, err := byXL.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := New(p, s, hostfs.Host).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after, err := byXL.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	for _, g := range before.Gaps {
		t.Logf("xl's gap: %+v", g)
	}
	compareHosts(t, before.Host, got.Host, after.Host)
	if got.TmemState.Answer != before.TmemState.Answer || got.Tmem.Has() != before.Tmem.Has() {
		t.Errorf("tmem: %+v, xl: %+v", got.TmemState, before.TmemState)
	}
	if len(got.Domains) != len(before.Domains) {
		t.Fatalf("%d domains, xl has %d", len(got.Domains), len(before.Domains))
	}
	for i, d := range got.Domains {
		compareDomains(t, before.Domains[i], d, after.Domains[i])
	}
	compareTmem(t, before.Tmem, got.Tmem, after.Tmem)
}

// between fails unless v lies between a and b, give or take a step.
func between[T ~int | ~int64](t *testing.T, what string, a, v, b opt.Value[T], step T) {
	t.Helper()
	x, okA := a.Get()
	y, okV := v.Get()
	z, okB := b.Get()
	if okA != okV || okB != okV || y < min(x, z)-step || y > max(x, z)+step {
		t.Errorf("%s: %v, xl says %v and then %v", what, v, a, b)
	}
}

func compareHosts(t *testing.T, a, h, b xen.Host) {
	t.Helper()
	between(t, "total", a.Total, h.Total, b.Total, 1024)
	between(t, "free", a.Free, h.Free, b.Free, 1024)
	between(t, "outstanding", a.Outstanding, h.Outstanding, b.Outstanding, 1024)
	between(t, "CPUs", a.CPUs, h.CPUs, b.CPUs, 0)
	between(t, "nodes", a.Nodes, h.Nodes, b.Nodes, 0)
	between(t, "cores", a.CoresPerSocket, h.CoresPerSocket, b.CoresPerSocket, 0)
	between(t, "threads", a.ThreadsPerCore, h.ThreadsPerCore, b.ThreadsPerCore, 0)
	type same struct {
		name, release, commandLine, hwCaps, virtCaps, boot string
		version                                            xen.Version
		mhz                                                float64
	}
	of := func(h xen.Host) same {
		return same{
			h.Name, h.Release, h.CommandLine.Or(""), h.HWCaps, strings.Join(h.VirtCaps, " "), strings.Join(h.BootMessages, "\n"),
			h.Version, h.MHz.Or(0),
		}
	}
	if of(a) != of(h) {
		t.Errorf("host: %+v\nxl:   %+v", of(h), of(a))
	}
}

func compareDomains(t *testing.T, a, d, b xen.Domain) {
	t.Helper()
	if a.ID != d.ID || a.Name != d.Name || a.UUID != d.UUID || a.Unlimited != d.Unlimited || a.VCPUs != d.VCPUs ||
		a.StaticMax != d.StaticMax || a.Type != d.Type || a.PCI != d.PCI || a.State.Paused != d.State.Paused {
		t.Errorf("domain: %+v\nxl:     %+v", d, a)
	}
	between(t, d.Name+": current", a.Current, d.Current, b.Current, 0)
	between(t, d.Name+": limit", a.Limit, d.Limit, b.Limit, 0)
	between(t, d.Name+": target", a.Target, d.Target, b.Target, 0)
	between(t, d.Name+": CPU time", a.CPUTime, d.CPUTime, b.CPUTime, 100*time.Millisecond)
	between(t, d.Name+": uptime", a.Uptime, d.Uptime, b.Uptime, time.Second)
}

func compareTmem(t *testing.T, a, l, b opt.Value[xen.Listing]) {
	t.Helper()
	x, ok := a.Get()
	if !ok {
		return
	}
	y, _ := l.Get()
	z, _ := b.Get()
	if len(x.Clients) != len(y.Clients) || y.Truncated != "" {
		t.Fatalf("%d clients, xl has %d; truncated %q", len(y.Clients), len(x.Clients), y.Truncated)
	}
	g, h, i := x.Host.Or(xen.TmemHost{}), y.Host.Or(xen.TmemHost{}), z.Host.Or(xen.TmemHost{})
	between(t, "tmem calls", g.Calls, h.Calls, i.Calls, 0)
	between(t, "ephemeral puts", g.EphemeralPuts, h.EphemeralPuts, i.EphemeralPuts, 0)
	for n := range y.Clients {
		between(t, "gets", x.Clients[n].EphemeralGets, y.Clients[n].EphemeralGets, z.Clients[n].EphemeralGets, 0)
		between(t, "puts", x.Clients[n].PersistentPuts, y.Clients[n].PersistentPuts, z.Clients[n].PersistentPuts, 0)
	}
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

// TestLiveSpeed is the price of a snapshot, with what children take, and where
// it goes.
func TestLiveSpeed(t *testing.T) {
	p, s := live(t)
	cost := func(n int, do func() error) (wall, cpu time.Duration) {
		used := func() time.Duration {
			var sum time.Duration
			for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
				var u syscall.Rusage
				check(t, syscall.Getrusage(who, &u))
				sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
			}
			return sum
		}
		begin, before := time.Now(), used()
		for range n {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(begin) / time.Duration(n), (used() - before) / time.Duration(n)
	}
	src := New(p, s, hostfs.Host)
	wall, cpu := cost(30, func() error { _, err := src.Snapshot(t.Context()); return err })
	wallH, cpuH := cost(30, func() error { _, err := New(p, noStore{}, hostfs.Host).Snapshot(t.Context()); return err })
	t.Logf("without xenstore %v, CPU %v", wallH, cpuH)
	byXL := xl.New(run.New(os.Environ()), hostfs.Host)
	wallXL, cpuXL := cost(1, func() error { _, err := byXL.Snapshot(t.Context()); return err })
	wallTop, cpuTop := cost(3, func() error { return exec.Command("xentop", "-b", "-i", "1").Run() })
	t.Logf("hypercall %v, CPU %v; xl %v, CPU %v: %.1f times, CPU %.1f times; xentop %v, CPU %v: %.1f times, CPU %.1f times",
		wall, cpu, wallXL, cpuXL, float64(wallXL)/float64(wall), float64(cpuXL)/float64(cpu),
		wallTop, cpuTop, float64(wallTop)/float64(wall), float64(cpuTop)/float64(cpu))
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

type noStore struct{}

func (noStore) Read(context.Context, string) (string, error) { return "", errors.New("not asked") }
