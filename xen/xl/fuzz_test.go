package xl

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// seeds adds what a program printed on each recorded host that has it.
func seeds(f *testing.F, file string) {
	f.Helper()
	for _, p := range []string{"4.12-t0-idle", "4.12-t1-load", "4.12-notmem", "4.17-modern"} {
		if p == "4.12-t1-load" && (file == "xl-dmesg.txt" || file == "xenstore-ls-f.txt") {
			continue
		}
		f.Add([]byte(testdata(f, p, file)))
	}
}

func FuzzList(f *testing.F) {
	seeds(f, "xl-list.txt")
	seeds(f, "xl-list-v.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseList(b)
		for i, d := range got {
			if err == nil && (!d.ID.Has() || d.Current.Or(-1) < 0 || d.CPUTime.Or(-1) < 0 || i > 0 && d.ID.Or(0) <= got[i-1].ID.Or(0)) {
				t.Errorf("%+v", d)
			}
		}
	})
}

func FuzzConfig(f *testing.F) {
	seeds(f, "xl-list-l.txt")
	f.Add([]byte(fmt.Sprintf(sxp, "3", "1d9f7584-e679-11f1-971d-5fe415631a83")))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseConfig(b)
		for _, c := range got {
			if err == nil && (c.staticMax.Or(0) < 0 || c.pci < 0 || c.pci > len(b) || strings.Contains("pv hvm pvh", c.kind) != true) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzInfo(f *testing.F) {
	seeds(f, "xl-info.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseInfo(b); err == nil && (h.Total.Or(0) < 0 || h.Free.Or(0) < 0 || h.CPUs.Or(1) < 1) {
			t.Errorf("%+v", h)
		}
	})
}

func FuzzUptime(f *testing.F) {
	seeds(f, "xl-uptime.txt")
	f.Add([]byte("Name ID Uptime\na 1 3 days, 1:00:00\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		up, err := parseUptime(b)
		for id, d := range up {
			if err == nil && (id < 0 || d.Or(-1) < 0) {
				t.Errorf("%d: %v", id, d)
			}
		}
	})
}

func FuzzXenstore(f *testing.F) {
	seeds(f, "xenstore-ls-f.txt")
	f.Add([]byte(`/local/domain/1/data/updated = "Sun Nov 22 13:33:31 2026\x41\0012"` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := parseXenstore(b, "/local/domain")
		if err != nil {
			return
		}
		for path, v := range values {
			if !strings.HasPrefix(path, "/local/domain/") || len(v) > len(b) {
				t.Errorf("%q = %q", path, v)
			}
		}
	})
}

// Ten megabytes of nothing end in an error, or in nothing, and are not kept.
func TestGarbage(t *testing.T) {
	text := map[string][]byte{
		"noise":    bytes.Repeat([]byte{0xff, 'x', 0}, 10<<20/3),
		"lines":    bytes.Repeat([]byte("x\n"), 10<<20/2),
		"headings": bytes.Repeat([]byte("Name ID\n"), 10<<20/8),
		"keys":     bytes.Repeat([]byte("host : x\n"), 10<<20/9),
		"brackets": bytes.Repeat([]byte("["), 10<<20),
		"domains":  bytes.Repeat([]byte("(domain\n"), 10<<20/8),
	}
	parsers := map[string]func([]byte) (any, error){
		"list":     func(b []byte) (any, error) { return parseList(b) },
		"config":   func(b []byte) (any, error) { return parseConfig(b) },
		"info":     func(b []byte) (any, error) { return parseInfo(b) },
		"uptime":   func(b []byte) (any, error) { return parseUptime(b) },
		"xenstore": func(b []byte) (any, error) { return parseXenstore(b, "/local/domain/1/data") },
		"freeable": func(b []byte) (any, error) { return parseFreeable(b) },
	}
	for what, b := range text {
		for name, parse := range parsers {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parse(b)
			runtime.ReadMemStats(&after)
			if err == nil && name != "dmesg" {
				t.Errorf("%s accepted %s", name, what)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 60 {
				t.Errorf("%s took %d MiB for %s", name, used, what)
			}
		}
	}
}
