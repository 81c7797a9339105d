package domkeys_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xenstore/domkeys"
)

var now = time.Date(2026, 11, 22, 13, 36, 0, 0, time.UTC)

var values = cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Value[") })

func kib(n int64) opt.Value[units.KiB] { return opt.Of(units.KiB(n)) }

func TestGuest(t *testing.T) {
	const qubes = "MemTotal: 407444 kB\nMemFree: 18812 kB\nBuffers: 17084 kB\nCached: 118148 kB\nSwapTotal: 1048572 kB\nSwapFree: 1048000 kB\n"
	agent := func(age opt.Value[time.Duration]) opt.Value[xen.GuestMemory] {
		return opt.Of(xen.GuestMemory{Total: kib(2035328), Available: kib(1650012), Age: age, Path: "data/meminfo_free"})
	}
	none := opt.Value[time.Duration]{}
	for name, c := range map[string]struct {
		keys map[string]string
		want opt.Value[xen.GuestMemory]
	}{
		"nothing":                 {},
		"Linux":                   {map[string]string{"updated": "Sun Nov 22 13:35:01 2026"}, agent(opt.Of(59 * time.Second))},
		"other zone":              {map[string]string{"updated": "Sun Nov 22 14:35:01 2026"}, agent(none)},
		"shell":                   {map[string]string{"updated": "Sun Nov 22 13:35:01 UTC 2026"}, agent(opt.Of(59 * time.Second))},
		"shell, old":              {map[string]string{"updated": "Sun Nov 22 11:36:00 UTC 2026"}, agent(opt.Of(2 * time.Hour))},
		"shell, CET":              {map[string]string{"updated": "Sun Nov 22 11:36:00 CET 2026"}, agent(none)},
		"Windows":                 {map[string]string{"updated": "1795354500000"}, agent(opt.Of(60 * time.Second))},
		"seconds":                 {map[string]string{"updated": "1795354500"}, agent(opt.Of(60 * time.Second))},
		"a clock that runs ahead": {map[string]string{"updated": "1795354590"}, agent(opt.Of(time.Duration(0)))},
		"a clock far ahead":       {map[string]string{"updated": "1795358160"}, agent(none)},
		"counter":                 {map[string]string{"updated": "1"}, agent(none)},
		"no time":                 {map[string]string{"updated": ""}, agent(none)},
		"more free than there is": {map[string]string{"data/meminfo_total": "1650011"}, opt.Value[xen.GuestMemory]{}},
		"no number":               {map[string]string{"data/meminfo_free": "1650012 kB"}, opt.Value[xen.GuestMemory]{}},
		"too large":               {map[string]string{"data/meminfo_free": "99999999999999999999"}, opt.Value[xen.GuestMemory]{}},
		"Qubes":                   {map[string]string{"memory/meminfo": qubes}, opt.Of(xen.GuestMemory{Total: kib(407444), Used: kib(253972), SwapFree: kib(1048000), Path: "memory/meminfo"})},
		"Qubes, newer":            {map[string]string{"memory/meminfo": "253972"}, opt.Of(xen.GuestMemory{Used: kib(253972), Path: "memory/meminfo"})},
		"not Qubes":               {map[string]string{"memory/meminfo": "MemFree: 1 kB\n", "data/meminfo_free": ""}, opt.Value[xen.GuestMemory]{}},
	} {
		keys := map[string]string{}
		if c.keys != nil {
			keys = map[string]string{"data/meminfo_total": "2035328", "data/meminfo_free": "1650012"}
		}
		for k, v := range c.keys {
			if k == "updated" {
				k = "data/updated"
			}
			keys[k] = v
		}
		got := domkeys.Guest(func(k string) string { return keys[k] }, now)
		if diff := cmp.Diff(c.want, got, values); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSmallKeys(t *testing.T) {
	for s, want := range map[string]opt.Value[units.KiB]{
		"262144": kib(262144), "0": kib(0), "": {}, "-1": {}, "+1": {}, " 1": {}, "0x10": {}, "17179869180": {}, "17179869179": kib(17179869179),
	} {
		if got := domkeys.KiB(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	for s, want := range map[string]string{"web1": "web1", " my guest ": "my guest", "a\xffb": "a\ufffdb", "": ""} {
		if got := domkeys.Name(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func FuzzGuest(f *testing.F) {
	f.Add("2035328", "1650012", "Sun Nov 22 13:35:01 2026", "")
	f.Add("", "1", "1795354500000", "MemTotal: 407444 kB\nMemFree: 18812 kB\nBuffers: 17084 kB\nCached: 118148 kB\nSwapTotal: 1048572 kB\nSwapFree: 1048000 kB\n")
	f.Fuzz(func(t *testing.T, total, free, updated, meminfo string) {
		keys := map[string]string{
			domkeys.MeminfoTotal: total, domkeys.MeminfoFree: free, domkeys.Updated: updated, domkeys.Meminfo: meminfo,
		}
		m, ok := domkeys.Guest(func(k string) string { return keys[k] }, now).Get()
		if m.Used.Or(0) < 0 || m.Available.Or(0) < 0 || m.Age.Or(0) < 0 || ok && !m.Used.Has() && !m.Available.Has() {
			t.Fatalf("%+v", m)
		}
	})
}
