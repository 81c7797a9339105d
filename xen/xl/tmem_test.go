package xl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

// busy scripts a host whose listing of all clients goes through a buffer of so
// many bytes, as xl's 32 KiB.
func busy(guests, pools, buffer int) (*runtest.Fake, xen.Listing) {
	whole := tmemtest.Host(guests, pools)
	var list, top strings.Builder
	list.WriteString(listRow("Domain-0", 0, 1024, "r-----"))
	top.WriteString(topRow("Domain-0", 1048576))
	for _, c := range whole.Clients {
		name := fmt.Sprintf("guest %d", c.ID)
		list.WriteString(listRow(name, int(c.ID), 100, "-b----"))
		top.WriteString(topRow(name, 102400))
	}
	f := host("4.12.4", list.String(), top.String()).
		On("xl tmem-list -l -a", runtest.Answer{Stdout: string(tmemtest.RenderInto(whole, buffer)) + "\n"}).
		Else(func(c run.Cmd) (runtest.Answer, bool) {
			if c.Name == "xenstore-ls" {
				return absentPath(c), true
			}
			var id int
			if _, err := fmt.Sscanf(c.String(), "xl tmem-list -l %d", &id); err != nil {
				return runtest.Answer{}, false
			}
			i := slices.IndexFunc(whole.Clients, func(c xen.TmemClient) bool { return int(c.ID) == id })
			if i < 0 {
				return runtest.Answer{ExitCode: 1, Takes: 30 * time.Millisecond, Stderr: fmt.Sprintf(
					"libxl: error: libxl_tmem.c:28:libxl_tmem_list: Domain %d:Can not get tmem list: Operation not permitted\n", id)}, true
			}
			return runtest.Answer{Takes: 30 * time.Millisecond, Stdout: string(tmemtest.Render(xen.Listing{Clients: whole.Clients[i : i+1]})) + "\n"}, true
		})
	return f, whole
}

// The listing is taken as it is, or each domain is asked for by itself; either
// way all clients come out with all their pools.
func TestListing(t *testing.T) {
	const xlBuffer = 32 << 10
	tests := []struct {
		name          string
		guests, pools int
		oneByOne      bool
	}{
		{"few", 4, 3, false},
		{"60 clients", 60, 1, false},
		{"65 clients", 65, 1, true},
		{"cut at 32 KiB", 59, 5, true},
		{"cut long before the end", 200, 3, true},
		{"1,000 domains", 1000, 3, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, whole := busy(tt.guests, tt.pools, xlBuffer)
			s := read0(t, f)
			l, _ := s.Tmem.Get()
			if len(l.Clients) != tt.guests || l.Truncated != "" || !l.Host.Has() {
				t.Fatalf("%d clients, truncated %q", len(l.Clients), l.Truncated)
			}
			for i, c := range l.Clients {
				if c.ID != whole.Clients[i].ID || len(c.Pools) != tt.pools || c.EphemeralGets != whole.Clients[i].EphemeralGets {
					t.Fatalf("client %+v, want %+v", c, whole.Clients[i])
				}
			}
			asked := 0
			for _, c := range f.Calls() {
				if strings.HasPrefix(c, "xl tmem-list -l ") {
					asked++
				}
			}
			if want := map[bool]int{false: 1, true: 2 + tt.guests}[tt.oneByOne]; asked != want {
				t.Errorf("%d calls of tmem-list, want %d", asked, want)
			}
			if (len(l.Notes) > 0) != tt.oneByOne {
				t.Errorf("notes %q", l.Notes)
			}
			if len(s.Gaps) > 0 {
				t.Errorf("gaps %+v", s.Gaps)
			}
		})
	}
}

// Where asking one by one fails for some, they stay as the whole listing has
// them, and that it was cut is still said.
func TestListingPartly(t *testing.T) {
	f, _ := busy(80, 3, 32<<10)
	f.On("xl tmem-list -l 2", runtest.Answer{ExitCode: 1, Stderr: "libxl: error: no\n"}).
		On("xl tmem-list -l 78", runtest.Answer{ExitCode: 1, Stderr: "libxl: error: no\n"})
	s := read0(t, f)
	l, _ := s.Tmem.Get()
	has := func(id int) bool {
		return slices.ContainsFunc(l.Clients, func(c xen.TmemClient) bool { return int(c.ID) == id })
	}
	if !has(2) || !has(77) || has(78) || l.Truncated == "" {
		t.Errorf("%d clients, truncated %q", len(l.Clients), l.Truncated)
	}
	if g := gapAbout(s, "tmem listing of domain 2, 78"); g == nil || g.Cause != cause.Failed {
		t.Errorf("gaps %+v", s.Gaps)
	}

	f, _ = busy(80, 3, 32<<10)
	for id := range 40 {
		f.On(fmt.Sprintf("xl tmem-list -l %d", id), runtest.Answer{Takes: 10 * time.Second, ExitCode: 1, Stderr: "Operation not permitted"})
	}
	s = read0(t, f)
	if g := gapAbout(s, "tmem listing of domain 6, 7, 8, 9, 10 and 70 more"); g == nil || !strings.Contains(g.Why, "took more than 1m0s") {
		t.Errorf("gaps %+v", s.Gaps)
	}
}

// What Xen answers where there is no tmem.
func TestListingRefused(t *testing.T) {
	tests := []struct {
		version, stderr string
		code            int
		cause           cause.Word
		answer          xen.TmemAnswer
	}{
		{"4.12.4", "libxl: error: libxl_tmem.c:28:libxl_tmem_list: Can not get tmem list: Function not implemented\n", 1, cause.NotSupported, xen.TmemCompiledOut},
		{"4.4.4", "libxl: error: libxl.c:5:libxl_tmem_list: Can not get tmem list: No such device\n", 255, cause.NotSupported, xen.TmemOff},
		{"4.0.0", "command not implemented\n", 1, cause.NotSupported, xen.TmemOn}, // by its command line
		{"4.12.4", "libxl: error: libxl_tmem.c:28:libxl_tmem_list: Can not get tmem list: Operation not permitted\n", 1, cause.Failed, xen.TmemUnknown},
	}
	for _, tt := range tests {
		f := host(tt.version, listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668)).
			On("xl tmem-list -l -a", runtest.Answer{Stderr: tt.stderr, ExitCode: tt.code})
		s := read0(t, f)
		g := gapAbout(s, "tmem listing")
		if g == nil || g.Cause != tt.cause || s.TmemState.Answer != tt.answer {
			t.Errorf("%s, %q: gap %+v, state %+v", tt.version, tt.stderr, g, s.TmemState)
		}
	}
	// A listing that is none.
	f := host("4.12.4", listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668)).
		On("xl tmem-list -l -a", runtest.Answer{Stdout: "-1\n"})
	if g := gapAbout(read0(t, f), "tmem listing"); g == nil || !strings.Contains(g.Why, "read output of xl tmem-list -l -a: ") {
		t.Errorf("gap %+v", g)
	}
}

// The recorded answers for each domain are the same as in the listing of all.
func TestRecordedOneByOne(t *testing.T) {
	fake, _ := phase(t, "4.12-t1-load")
	l, err := tmem.ParseBytes([]byte(testdata(t, "4.12-t1-load", "xl-tmem-list-l-a.txt")))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{ctx: t.Context(), src: New(fake.Run, noFiles), snap: xen.Snapshot{}}
	r.snap.Domains = []xen.Domain{}
	list, err := r.list()
	if err != nil {
		t.Fatal(err)
	}
	r.snap.Domains = list
	l.Truncated = "for this test"
	r.oneByOne(&l)
	if len(l.Clients) != 4 || l.Truncated != "" || len(r.snap.Gaps) != 0 {
		t.Errorf("%d clients, truncated %q, gaps %+v", len(l.Clients), l.Truncated, r.snap.Gaps)
	}
	for i, pools := range []int{3, 3, 2, 3} {
		if c := l.Clients[i]; int(c.ID) != i+1 || len(c.Pools) != pools {
			t.Errorf("client %+v", c)
		}
	}
}

// BenchmarkSnapshot reads 1,000 domains from 3,009 commands that take no time.
func BenchmarkSnapshot(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		f, _ := busy(1000, 3, 32<<10)
		b.StartTimer()
		s, err := New(f.Run, noFiles).Snapshot(b.Context())
		if l, _ := s.Tmem.Get(); err != nil || len(s.Domains) != 1001 || len(l.Clients) != 1000 {
			b.Fatal(len(s.Domains), err)
		}
	}
}
