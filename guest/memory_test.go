package guest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
)

var samePages = cmp.Options{
	cmp.Comparer(func(a, b opt.Value[units.Pages]) bool { return a == b }),
	cmp.Comparer(func(a, b opt.Value[guest.Zones]) bool { return a == b }),
}

func TestReadMemory(t *testing.T) {
	m := guesttest.Files(t, "xen-4.12-selfballoon/web1/8")
	got, err := guest.ReadMemory(hostfs.FromFS(m))
	want := guest.Memory{
		Managed: 104644 / 4, Committed: 4980 / 4, Available: opt.Of[units.Pages](62040 / 4), SwapTotal: 524284 / 4, SwapFree: 524284 / 4,
		Zones: opt.Of(guest.Zones{Reserve: 934, MaxPFN: 131072, Present: 130975}),
	}
	if diff := cmp.Diff(want, got, samePages); diff != "" || err != nil {
		t.Error(err, diff)
	}
	guesttest.Remove(m, "/proc/zoneinfo")
	want.Zones = opt.Value[guest.Zones]{}
	got, err = guest.ReadMemory(hostfs.FromFS(m))
	if diff := cmp.Diff(want, got, samePages); diff != "" || err != nil {
		t.Error(err, diff)
	}
	guesttest.Remove(m, "/proc/meminfo")
	if _, err := guest.ReadMemory(hostfs.FromFS(m)); cause.Of(err) != cause.NoData {
		t.Errorf("no meminfo: %v", err)
	}
}

// Up to 3.8 a zone has no managed pages, and the present ones bound what it keeps
// back. The shape is that of Linux 3.1; the figures are made.
func TestReadMemoryOfOldKernels(t *testing.T) {
	m := fstest.MapFS{}
	guesttest.Put(m, "/proc/meminfo", "MemTotal: 500000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nCommitted_AS: 10000 kB\n")
	guesttest.Put(m, "/proc/zoneinfo", `Node 0, zone      DMA
  pages free     3900
        min      10
        low      12
        high     15
        scanned  0
        spanned  4080
        present  200
    nr_free_pages 3900
        protection: (0, 490, 490, 490)
  pagesets
    cpu: 0
              count: 0
              high:  186
              batch: 31
  vm stats threshold: 2
  all_unreclaimable: 0
  start_pfn:         16
  inactive_ratio:    1
Node 0, zone    DMA32
  pages free     100000
        min      700
        low      875
        high     1050
        scanned  0
        spanned  126976
        present  125240
        protection: (0, 0, 0, 0)
  start_pfn:         4096
`)
	got, err := guest.ReadMemory(hostfs.FromFS(m))
	zones, _ := got.Zones.Get()
	if want := (guest.Zones{Reserve: 200 + 1050, MaxPFN: 131072, Present: 125440}); zones != want || got.Available.Has() || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadMemoryDamaged(t *testing.T) {
	whole := guesttest.Files(t, "xen-4.12-selfballoon/web1/8")
	zoneinfo, meminfo := string(whole["proc/zoneinfo"].Data), string(whole["proc/meminfo"].Data)
	for name, tt := range map[string]struct{ file, text, want string }{
		"no total":          {"/proc/meminfo", strings.Replace(meminfo, "MemTotal:", "MemTotals:", 1), "no MemTotal"},
		"no commitment":     {"/proc/meminfo", strings.Replace(meminfo, "Committed_AS:", "X:", 1), "no Committed_AS"},
		"a huge total":      {"/proc/meminfo", strings.Replace(meminfo, "104644", "18446744073709551615", 1), "MemTotal"},
		"text":              {"/proc/meminfo", "MemTotal: lots kB\n", "read /proc/meminfo"},
		"no watermark":      {"/proc/zoneinfo", strings.Replace(zoneinfo, "high     674", "hi 674", 1), `zone "DMA32" lacks`},
		"bad watermark":     {"/proc/zoneinfo", strings.Replace(zoneinfo, "high     674", "high -674", 1), `zone "DMA32" lacks`},
		"bad protection":    {"/proc/zoneinfo", strings.Replace(zoneinfo, "(0, 212, 212, 212)", "(0, 212, x)", 1), `zone "DMA" lacks`},
		"bad start":         {"/proc/zoneinfo", strings.Replace(zoneinfo, "start_pfn:           4096", "start_pfn: many", 1), "no number of pages"},
		"no zone has pages": {"/proc/zoneinfo", strings.ReplaceAll(zoneinfo, "start_pfn:", "start:"), "no zone has pages"},
		"cut":               {"/proc/zoneinfo", zoneinfo[:len(zoneinfo)-200], "lacks its"},
		"empty":             {"/proc/zoneinfo", "", "lacks its"},
	} {
		m := guesttest.Files(t, "xen-4.12-selfballoon/web1/8")
		guesttest.Put(m, tt.file, tt.text)
		got, err := guest.ReadMemory(hostfs.FromFS(m))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "read "+tt.file) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A state is plain data: what is absent is left out, and never zero.
func TestStateJSON(t *testing.T) {
	b, err := json.Marshal(read(guesttest.Files(t, "xen-4.12/cache1/2-under-load")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"release":{"text":"4.19.0-tmemlab","major":4,"minor":19,"patch":0}`, `"swaps":null`,
		`"cleancache":{"succ_gets":578842,`, `"hypervisor":{"major":4,"minor":12,"extra":".4"}`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	for _, absent := range []string{`"zones"`, `"proof"`, `"earlier"`, `"gaps"`} {
		if strings.Contains(string(b), absent) {
			t.Errorf("%s is absent and in %s", absent, b)
		}
	}
}
