package hypercall

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// vectors are what gcc made of the public headers of each release: structures
// filled with known values, by release and name. An offset has no bytes.
type vectors map[string]map[string]vector

type vector struct {
	n int
	b []byte
}

func readVectors(tb testing.TB) vectors {
	tb.Helper()
	text, err := os.ReadFile("testdata/abi.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	out := vectors{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			tb.Fatal(err)
		}
		b, err := hex.DecodeString(f[3])
		if err != nil {
			tb.Fatal(err)
		}
		v := vector{n: n}
		if len(b) > 0 {
			v.b = append(b, make([]byte, n-len(b))...)
		}
		if out[f[0]] == nil {
			out[f[0]] = map[string]vector{}
		}
		out[f[0]][f[1]] = v
	}
	if len(out) != 25 {
		tb.Fatalf("%d releases in testdata/abi.tsv, want 25", len(out))
	}
	return out
}

// sent keeps the last requests and answers them with zero.
type sent struct{ requests []Request }

func (s *sent) Call(_ context.Context, r *Request) (Answer, error) {
	c := *r
	c.Struct, c.Data = bytes.Clone(r.Struct), bytes.Clone(r.Data)
	s.requests = append(s.requests, c)
	return Answer{Begin: time.Unix(1, 0)}, nil
}

func (s *sent) last() Request { return s.requests[len(s.requests)-1] }

func TestRequestsAreThoseOfTheHeaders(t *testing.T) {
	for release, want := range readVectors(t) {
		t.Run(release, func(t *testing.T) {
			v, err := xen.ParseVersion(release)
			if err != nil {
				t.Fatal(err)
			}
			version := uint32(want["sysctl version"].n)
			if got := sysctlOf[v.Minor]; got != version {
				t.Errorf("sysctl version %#x, want %#x", got, version)
			}
			s := &sent{}
			h := &Hypervisor{Version: v, caller: s, sysctl: version, tmem: tmemOf(v, version)}
			ctx := t.Context()
			checked := 0
			check := func(what, buffer string) {
				t.Helper()
				checked++
				r := s.last()
				if !bytes.Equal(r.Struct, want[what].b) && len(r.Struct)+len(want[what].b) > 0 {
					t.Errorf("%s: %s", what, cmp.Diff(hex.Dump(want[what].b), hex.Dump(r.Struct)))
				}
				if (len(r.Data) > 0) != (buffer != "") || buffer != "" && r.DataAt != want[buffer].n {
					t.Errorf("%s: %d bytes of data at %d, want some at %d", what, len(r.Data), r.DataAt, want[buffer].n)
				}
			}
			_ = h.physinfo(ctx) // all zero is refused
			check("ask physinfo", "")
			ask := domainList{First: 7, Max: 256}
			_ = sysctlCall(ctx, h, "", sysctlDomainList, &ask, make([]byte, 8), unsafe.Offsetof(ask.Buffer))
			check("ask domains", "buffer of domains")
			con := readConsole{Incremental: 1, Index: 4096, Count: consoleChunk}
			_ = sysctlCall(ctx, h, "", sysctlReadConsole, &con, make([]byte, 8), unsafe.Offsetof(con.Buffer))
			check("ask console", "buffer of console")

			if want["freeze 3"].b == nil {
				if h.tmem != nil {
					t.Error("there are tmem calls for a release without tmem")
				}
				return
			}
			_ = h.Freeze(ctx, 3)
			check("freeze 3", "")
			_ = h.Thaw(ctx, 3)
			check("thaw 3", "")
			_, _ = h.Flush(ctx, 4096)
			check("flush 4096", "")
			_, _ = h.Freeable(ctx)
			check("freeable", "")
			_, _, _ = h.Listing(ctx, true)
			check("list long 65536", "buffer of tmem")
			_, _, _ = h.Listing(ctx, false)
			check("list short 65536", "buffer of tmem")
			if want["weight 3 100"].b != nil {
				_ = h.SetWeight(ctx, 3, 100)
				check("weight 3 100", "")
				_ = h.SetCompress(ctx, 3, true)
				check("compress 3 1", "")
				return
			}
			_, _ = h.Client(ctx, 3)
			check("get client 3", "buffer of tmem")
			_ = h.SetWeight(ctx, 3, 100)
			check("set client 3", "buffer of tmem")
			if checked != 11 {
				t.Errorf("%d requests were checked, want 11", checked)
			}
		})
	}
}

func TestClientRecordIsThatOfTheHeaders(t *testing.T) {
	for release, want := range readVectors(t) {
		record := want["client record"].b
		if record == nil {
			continue
		}
		v, _ := xen.ParseVersion(release)
		var set []byte
		c := callFunc(func(r *Request) int64 {
			switch r.Struct[payloadAt] {
			case byte(lateGetClient):
				copy(r.Data, record)
			case byte(lateSetClient):
				set = bytes.Clone(r.Data)
			}
			return 0
		})
		h := &Hypervisor{Version: v, caller: c, tmem: tmemOf(v, sysctlOf[v.Minor])}
		got, err := h.Client(t.Context(), 3)
		if diff := cmp.Diff(Client{Weight: 5, Frozen: true, Migrating: true, Pools: 2}, got); diff != "" || err != nil {
			t.Errorf("%s: client: %v %s", release, err, diff)
		}
		if err := h.SetWeight(t.Context(), 3, 100); err != nil || !bytes.Equal(set, want["client record, weight 100"].b) {
			t.Errorf("%s: set weight: %v, sent % x, want % x", release, err, set, want["client record, weight 100"].b)
		}
		if err := h.SetCompress(t.Context(), 3, true); err != nil || !bytes.Equal(set, want["client record, compress"].b) {
			t.Errorf("%s: set compress: %v, sent % x, want % x", release, err, set, want["client record, compress"].b)
		}
	}
}

// callFunc is a Caller.
type callFunc func(*Request) int64

func (f callFunc) Call(_ context.Context, r *Request) (Answer, error) {
	return Answer{Value: f(r), Begin: time.Unix(1, 0)}, nil
}

func TestAnswersAreReadAsTheHeadersHaveThem(t *testing.T) {
	for release, from := range readVectors(t) {
		v, _ := xen.ParseVersion(release)
		version := uint32(from["sysctl version"].n)
		want := physical{
			threadsPerCore: 2, coresPerSocket: 4, cpus: 16, nodes: 2, kHz: 2600273, total: 8388608, free: 1234567, capabilities: 3,
			hwCap: [8]uint32{0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x55555555, 0x66666666, 0x77777777, 0x88888888},
		}
		if v.AtLeast(4, 3) {
			want.outstanding = opt.Of[uint64](4567)
		}
		got := parsePhysinfo(version, from["answer physinfo"].b[payloadAt:])
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(physical{}, opt.Value[uint64]{})); diff != "" {
			t.Errorf("%s: physinfo: %s", release, diff)
		}

		list := decode[domainList](from["answer domains"].b[payloadAt:])
		if list.Num != 1 {
			t.Errorf("%s: %d domains, want 1", release, list.Num)
		}
		// Two entries, of domains 7 and 8, in a larger buffer.
		e := from["domain entry"].b
		next := bytes.Clone(e)
		next[0] = 8
		copy(next[len(next)-4:], "\xff\xff\xff\xff") // a domain in no CPU pool, or padding
		buf := append(append(bytes.Clone(e), next...), bytes.Repeat([]byte{marker}, 1000)...)
		domains, err := parseDomains(buf, 2, version)
		if err != nil {
			t.Errorf("%s: %v", release, err)
			continue
		}
		wantDomain := xen.Domain{
			ID: opt.Of(units.DomID(7)), UUID: "10111213-1415-1617-1819-1a1b1c1d1e1f", Type: "pv",
			State:   xen.State{Blocked: true, Shutdown: true, Crashed: true},
			Current: opt.Of(units.KiB(305220)), Limit: opt.Of(units.KiB(525312)),
			VCPUs: opt.Of(2), CPUTime: opt.Of(33200 * time.Millisecond),
		}
		if diff := cmp.Diff(wantDomain, domains[0], compareOpt); diff != "" {
			t.Errorf("%s: domain: %s", release, diff)
		}
		if domains[1].ID.Or(0) != 8 || domains[1].UUID != wantDomain.UUID {
			t.Errorf("%s: the second entry of %d bytes is %+v", release, len(e), domains[1])
		}
	}
}

// TestEntriesThatEndLikeTheMarker have up to 7 bytes at their end that look as if
// Xen had not written them.
func TestEntriesThatEndLikeTheMarker(t *testing.T) {
	e := readVectors(t)["4.0.0"]["domain entry"].b
	for n := range 8 {
		buf := append(bytes.Clone(e), bytes.Repeat([]byte{marker}, 500)...)
		copy(buf[len(e)-n:], bytes.Repeat([]byte{marker}, n))
		if got, err := stride(buf, 1); got != 80 || err != nil {
			t.Errorf("%d bytes: %d, %v", n, got, err)
		}
	}
	for _, n := range []int{2, 3, 1 << 30} {
		if got, err := stride(append(bytes.Clone(e), bytes.Repeat([]byte{marker}, 500)...), n); err == nil {
			t.Errorf("%d entries in 80 bytes have %d each", n, got)
		}
	}
}

// compareOpt lets cmp look into optional values.
var compareOpt = cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Value[") })

// TestListingHasABound gives Xen more and more room, and no more than maxListing.
func TestListingHasABound(t *testing.T) {
	var sizes []int
	h := &Hypervisor{Version: xen.Version{Major: 4, Minor: 12}, tmem: late{0x12}, caller: callFunc(func(r *Request) int64 {
		sizes = append(sizes, len(r.Data))
		text := []byte("G=Tt:1,Te:0\n")
		for i := 0; len(text) < len(r.Data); i++ {
			text = fmt.Appendf(text, "C=CI:%d,ww:0,co:0,fr:0,Tc:0,Ge:0,Pp:0,Gp:0\n", i%lastDomID)
		}
		copy(r.Data, text)
		return 0
	})}
	l, _, err := h.Listing(t.Context(), false)
	if want := []int{64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}; !slices.Equal(sizes, want) {
		t.Errorf("buffers of %d bytes, want %d", sizes, want)
	}
	if err == nil && l.Truncated == "" {
		t.Error("it passes for whole")
	}
}
