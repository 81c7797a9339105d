package tmem_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// samples are the listings below a folder of testdata by their path in it.
func samples(tb testing.TB, folder string) map[string][]byte {
	tb.Helper()
	m := map[string][]byte{}
	root := filepath.Join("testdata", folder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		text, err := os.ReadFile(path)
		m[strings.TrimPrefix(path, root+"/")] = text
		return err
	})
	if err != nil || len(m) == 0 {
		tb.Fatalf("no samples in %s: %v", root, err)
	}
	return m
}

func parse(tb testing.TB, text []byte) xen.Listing {
	tb.Helper()
	l, err := tmem.ParseBytes(text)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// same compares listings through the unexported part of opt.Value.
func same(t interface {
	Helper()
	Errorf(format string, args ...any)
}, got, want any,
) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	if diff := cmp.Diff(want, got, all, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Every real listing is printed again from what was read, to the byte: nothing
// is lost, nothing is taken for zero.
func TestCapturesRoundTrip(t *testing.T) {
	for name, text := range samples(t, "captures") {
		t.Run(name, func(t *testing.T) {
			l := parse(t, text)
			if l.Truncated != "" || len(l.Unknown) > 0 || len(l.Notes) > 0 {
				t.Errorf("truncated %q, unknown %v, notes %q", l.Truncated, l.Unknown, l.Notes)
			}
			if got := append(tmemtest.Render(l), '\n'); !bytes.Equal(got, text) {
				t.Errorf("printed again:\n%s\nwant:\n%s", got, text)
			}
		})
	}
}

// In every real long listing the sums are exact, and no invariant is off by
// even the tolerance of Check.
func TestCapturesSums(t *testing.T) {
	long := 0
	for name, text := range samples(t, "captures") {
		l := parse(t, text)
		if notes := tmem.Check(l); len(notes) > 0 {
			t.Errorf("%s: %q", name, notes)
		}
		h, all := l.Host.Get()
		if !all || !h.Pages.Now.Has() {
			continue
		}
		long++
		var ephemeral, pages, objects, nodes int64
		for _, c := range l.Clients {
			ephemeral += c.Ephemeral.Now.Or(0)
			for _, p := range c.Pools {
				pages += p.Pages.Now.Or(0)
				objects += p.Objects.Now.Or(0)
				nodes += p.Nodes.Now.Or(0)
			}
		}
		got := []int64{ephemeral, pages, objects, nodes}
		want := []int64{h.Ephemeral.Now.Or(-1), h.Pages.Now.Or(-1), h.Objects.Now.Or(-1), h.Nodes.Now.Or(-1)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: Ec, Pc, Oc, Nc: -host +sum:\n%s", name, diff)
		}
	}
	if long < 8 {
		t.Errorf("%d long listings of all clients, want at least 8", long)
	}
}

// The figures of the loaded host that reports are judged by.
func TestLoadedHost(t *testing.T) {
	l := parse(t, samples(t, "captures")["xen-4.12/t1-load/xl-tmem-list-l-a.txt"])
	h, _ := l.Host.Get()
	pool := func(client, pool int) xen.TmemPool { return l.Clients[client].Pools[pool] }
	web, db, cache, idle := pool(0, 2), pool(1, 1), pool(2, 1), pool(3, 0)
	got := []xen.Count{
		web.Gets, web.GetTries, db.Puts, db.PutTries, db.PutsRefused, cache.Gets, cache.GetTries, idle.GetTries,
		h.FreeListPages, h.Ephemeral.Now, db.Pages.Now, l.Clients[0].Cap,
	}
	want := []xen.Count{
		opt.Of[int64](30720), opt.Of[int64](169568), opt.Of[int64](57006), opt.Of[int64](71622), opt.Of[int64](14616),
		opt.Of[int64](337920), opt.Of[int64](514080), opt.Of[int64](0),
		opt.Of[int64](255), opt.Of[int64](165225), opt.Of[int64](14536),
		{},
	}
	same(t, got, want)
	if web.Persistent || !db.Persistent || db.Shared || db.Client != opt.Of(units.DomID(2)) || db.ID != 1 {
		t.Errorf("web1's pool 2 is %+v, db1's pool 1 is %+v", web, db)
	}
}

func TestSetNegativeWeight(t *testing.T) {
	l := parse(t, samples(t, "captures")["xen-4.12/admin/08n-list.txt"])
	if got := l.Clients[0].Weight; got != opt.Of[int64](1<<32-5) {
		t.Errorf("ww:-5 is the weight %v, want 4294967291", got)
	}
}

// The samples of releases that no capture shows.
func TestReleases(t *testing.T) {
	texts := samples(t, "synthetic")
	host := func(l xen.Listing) xen.TmemHost { h, _ := l.Host.Get(); return h }
	tests := []struct {
		name  string
		check func(xen.Listing) bool
	}{
		{"4.0.0-short.txt", func(l xen.Listing) bool {
			return !host(l).Pages.Now.Has() && l.Clients[0].Cap == opt.Of[int64](300) && !l.Clients[0].Pools[0].Puts.Has()
		}},
		{"4.0.0-long.txt", func(l xen.Listing) bool {
			return host(l).Pages.Max == opt.Of[int64](3100) && !host(l).Frames.Now.Has() && !host(l).EphemeralPuts.Has()
		}},
		{"4.3-dedup-long.txt", func(l xen.Listing) bool {
			return host(l).Contents.Now == opt.Of[int64](15480) && len(l.Cycles) == 12 && l.Cycles[6].Tag == "1" &&
				l.Cycles[1] == xen.TmemCycles{Tag: "P", Samples: 34500, Total: 172500000, Max: 120000, Min: 2000} &&
				l.Cycles[11] == xen.TmemCycles{Tag: "d", Min: 2147483647}
		}},
		{"4.7-long.txt", func(l xen.Listing) bool {
			return l.Clients[0].Weight == opt.Of[int64](4000000000) && l.Clients[0].Cap == opt.Of[int64](1<<32-1) &&
				len(l.Clients[1].Pools) == 0 && len(l.Cycles) == 0
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := parse(t, texts[tt.name])
			if !tt.check(l) {
				t.Errorf("read as %+v", l)
			}
			if l.Truncated != "" || len(l.Unknown) > 0 {
				t.Errorf("truncated %q, unknown %v", l.Truncated, l.Unknown)
			}
			if got := append(tmemtest.Render(l), '\n'); !bytes.Equal(got, texts[tt.name]) {
				t.Errorf("printed again:\n%s\nwant:\n%s", got, texts[tt.name])
			}
			if notes := tmem.Check(l); len(notes) > 0 {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

func TestUnknownKeysAreKept(t *testing.T) {
	l := parse(t, []byte("G=Tt:1,Xx:7\r\nC=CI:1,ww:0,zz:a-b\nP=CI:1,PI:0,PT:EP,U0:0,U1:0,qq:-3\nT=Gn:1,Gq:2,!n:3\n"))
	want := []xen.UnknownKey{
		{Line: 1, Record: "G", Key: "Xx", Value: "7"},
		{Line: 2, Record: "C", Key: "zz", Value: "a-b"},
		{Line: 3, Record: "P", Key: "qq", Value: "-3"},
		{Line: 4, Record: "T", Key: "Gq", Value: "2"},
		{Line: 4, Record: "T", Key: "!n", Value: "3"},
	}
	same(t, l.Unknown, want)
}

// Xen prints a counter that went below zero with %lu.
func TestNumbers(t *testing.T) {
	l := parse(t, []byte("C=CI:65535,Ge:-7,Pp:18446744073709551615,Gp:9223372036854775807,Tc:00000000000000000012\n"))
	c := l.Clients[0]
	same(t, []xen.Count{c.EphemeralGets, c.PersistentPuts, c.PersistentGets, c.Cycles, c.Weight},
		[]xen.Count{opt.Of[int64](-7), opt.Of[int64](-1), opt.Of[int64](1<<63 - 1), opt.Of[int64](12), {}})
}

// xl is asked domain by domain where a listing of all would not fit.
func TestSeveralSingleClients(t *testing.T) {
	l := parse(t, []byte("C=CI:7,ww:0\nP=CI:7,PI:0,PT:EP,U0:0,U1:0\n\nC=CI:3,ww:0\nP=CI:3,PI:0,PT:PP,U0:0,U1:0\nP=CI:3,PI:4,PT:EP,U0:0,U1:0\n\n"))
	if l.Host.Has() || l.Truncated != "" || len(l.Clients) != 2 || len(l.Clients[0].Pools) != 1 || len(l.Clients[1].Pools) != 2 {
		t.Errorf("read as %+v", l)
	}
}
