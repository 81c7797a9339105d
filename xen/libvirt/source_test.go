package libvirt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/libvirt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var values = cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Value[") })

// node is the URI of a host with these domains.
func node(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("testdata/node.xml")
	if err != nil {
		t.Fatal(err)
	}
	return "test://" + path
}

func TestRealLibvirtd(t *testing.T) {
	d := startDaemon(t)
	got, err := libvirt.New(d.dial, node(t)).Snapshot(t.Context())
	if err != nil {
		t.Fatalf("%v: %s", err, d.log)
	}
	kib := func(n int64) opt.Value[units.KiB] { return opt.Of(units.KiB(n)) }
	want := []xen.Domain{
		{
			Name: "Domain-0", UUID: "00000000-0000-0000-0000-00000000000f", Type: "pv", State: xen.State{Running: true},
			Current: kib(1045212), StaticMax: kib(1048576), VCPUs: opt.Of(2),
		},
		{
			Name: "web", UUID: "1d9f7584-e679-11f1-971d-5fe415631a83", Type: "pv", State: xen.State{Running: true},
			Current: kib(376892), StaticMax: kib(525312), VCPUs: opt.Of(2),
		},
		{
			Name: "db", UUID: "22f6872a-e679-11f1-b8bf-2183b6966cf5", Type: "pv", State: xen.State{Running: true},
			Current: kib(323448), StaticMax: kib(410624), VCPUs: opt.Of(1),
		},
	}
	// The test driver numbers them as it likes, makes up their CPU time, and calls
	// all of them "linux".
	if diff := cmp.Diff(want, got.Domains, values, cmpopts.IgnoreFields(xen.Domain{}, "ID", "CPUTime"),
		cmpopts.SortSlices(func(a, b xen.Domain) bool { return a.UUID < b.UUID })); diff != "" {
		t.Error(diff)
	}
	for _, d := range got.Domains {
		if !d.ID.Has() || !d.CPUTime.Has() {
			t.Errorf("%+v", d)
		}
	}
	h := got.Host
	if h.Total != kib(16651980) || h.CPUs.Or(0) != 8 || h.CoresPerSocket.Or(0) != 4 || h.ThreadsPerCore.Or(0) != 2 || h.MHz.Or(0) != 2600 || h.Name == "" {
		t.Errorf("host: %+v", h)
	}
	what := map[string]bool{}
	for _, g := range got.Gaps {
		what[g.What] = g.Cause == cause.NotSupported && g.Advice != ""
	}
	if !what["domains that libvirt did not start"] || !what["tmem listing"] || !what["limits of domains"] {
		t.Errorf("gaps: %+v", got.Gaps)
	}
	if got.Source != "libvirt" || got.Tmem.Has() || got.TmemState.Answer != xen.TmemUnknown || got.Begin.IsZero() || got.End.Before(got.Begin) {
		t.Errorf("%+v", got)
	}

	// A test node of one's own has no cells of memory, and so no free memory. In
	// those of the driver's own node 3 MiB are free, in the call's unit, bytes.
	if h.Free.Has() || !slices.ContainsFunc(got.Gaps, func(g xen.Gap) bool { return g.What == "free memory" }) {
		t.Errorf("free memory %v, gaps %+v", h.Free, got.Gaps)
	}
	if got, err := libvirt.New(d.dial, "test:///default").Snapshot(t.Context()); err != nil || got.Host.Free != kib(3<<10) {
		t.Errorf("free memory of the default node: %v, %v", got.Host.Free, err)
	}

	// The same daemon has no Xen driver.
	_, err = libvirt.New(d.dial, libvirt.XenSystem).Snapshot(t.Context())
	if !errors.Is(err, cause.ErrNotSupported) || !strings.Contains(err.Error(), "xen:///system") {
		t.Errorf("xen:///system: %v", err)
	}

	// And then it is killed: nothing listens any more.
	d.kill()
	if _, err := libvirt.New(d.dial, node(t)).Snapshot(t.Context()); err == nil {
		t.Error("a snapshot of a dead libvirtd")
	}
}

// TestRealLibvirtdDies kills it after each number of bytes that it sent: with
// its death every call returns.
func TestRealLibvirtdDies(t *testing.T) {
	for _, after := range []int64{1, 60, 200, 300} {
		d := startDaemon(t)
		var got atomic.Int64
		dial := func(ctx context.Context) (net.Conn, error) {
			c, err := d.dial(ctx)
			if err != nil {
				return nil, err
			}
			return &counted{Conn: c, n: &got, after: after, then: d.kill}, nil
		}
		start := time.Now()
		_, err := libvirt.New(dial, node(t)).Snapshot(t.Context())
		if err == nil || time.Since(start) > 10*time.Second {
			t.Errorf("killed after %d bytes: %v, in %s", after, err, time.Since(start))
		}
	}
}

// counted does something once so many bytes were read.
type counted struct {
	net.Conn
	n     *atomic.Int64
	after int64
	then  func()
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if before := c.n.Load(); before < c.after && c.n.Add(int64(n)) >= c.after {
		c.then()
	}
	return n, err
}

// serve answers connections by hand.
func serve(handle func(net.Conn)) libvirt.Dialer {
	return func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			handle(far)
		}()
		return near, nil
	}
}

func TestServersThatAreNone(t *testing.T) {
	message := func(n uint32) []byte { return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, 60)...) }
	for name, c := range map[string]struct {
		handle  func(net.Conn)
		timeout bool
	}{
		"mute":     {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, true},
		"hangs up": {func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, false},
		"half a header": {func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = c.Write(make([]byte, 3))
		}, false},
		"half a message": {func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = c.Write(message(1000)[:40])
		}, false},
		"a message of no length": {func(c net.Conn) {
			go func() { _, _ = c.Write(message(0)) }()
			_, _ = io.Copy(io.Discard, c)
		}, false},
		"a message that is too short": {func(c net.Conn) {
			go func() { _, _ = c.Write(message(27)) }()
			_, _ = io.Copy(io.Discard, c)
		}, false},
		"another protocol": {func(c net.Conn) {
			go func() { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }()
			_, _ = io.Copy(io.Discard, c)
		}, false},
		"answers to nobody": {func(c net.Conn) {
			go func() {
				for {
					if _, err := c.Write(message(64)); err != nil {
						return
					}
				}
			}()
			_, _ = io.Copy(io.Discard, c)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 10 * time.Second
			if c.timeout {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			start := time.Now()
			_, err := libvirt.New(serve(c.handle), libvirt.XenSystem).Snapshot(ctx)
			if took := time.Since(start); err == nil || took > limit+5*time.Second {
				t.Errorf("%v after %s", err, took)
			}
			if errors.Is(err, context.DeadlineExceeded) != c.timeout {
				t.Errorf("%v, want the deadline: %v", err, c.timeout)
			}
		})
	}
}

// TestDeadlineOfItsOwn asks a mute libvirtd without any deadline.
func TestDeadlineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := serve(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		start := time.Now()
		_, err := libvirt.New(mute, libvirt.XenSystem).Snapshot(context.Background())
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took < time.Second || took > time.Minute {
			t.Errorf("%v after %s", err, took)
		}
		time.Sleep(time.Second) // by then nothing is left of it
	})
}

func TestNoLibvirtd(t *testing.T) {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(t.TempDir(), "none"))
	}
	if _, err := libvirt.New(dial, libvirt.XenSystem).Snapshot(t.Context()); !errors.Is(err, fs.ErrNotExist) || cause.Of(err) != cause.NoData {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	hangs := func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	if _, err := libvirt.New(hangs, libvirt.XenSystem).Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
