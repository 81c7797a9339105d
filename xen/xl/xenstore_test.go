package xl

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/run/runtest"
	"xtm/internal/units"
	"xtm/xen"
)

func answer(out string) runtest.Answer { return runtest.Answer{Stdout: out} }

func TestParseXenstore(t *testing.T) {
	text := `/local/domain/5/data = ""` + "\n"
	if _, err := parseXenstore([]byte(text), "/local/domain/5/data"); err == nil {
		t.Error("the path itself is not below it")
	}
	text = `/local/domain/5/data/a = "1"
/local/domain/5/data/deep/er = "quote \" " and = "more"
/local/domain/5/data/secret:

/local/domain/5/data/esc = "tab\tnl\ncr\rback\\slash\x7f\xe9\001\x"
`
	got, err := parseXenstore([]byte(text), "/local/domain/5/data")
	want := map[string]string{
		"/local/domain/5/data/a":       "1",
		"/local/domain/5/data/deep/er": `quote \" " and = "more`,
		"/local/domain/5/data/esc":     "tab\tnl\ncr\rback\\slash\x7f\xe9\x01\\x",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = parseXenstore(nil, "/local/domain/5/data")
	if len(got) != 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"x\n": "line 1: want /p/KEY", "/p/a = 1\n": "line 1", "/p/a = \"1\n": "line 1",
		"/p/a = \"1\"\n/q/a = \"1\"\n": "line 2", "/pp/a = \"1\"\n": "line 1",
	} {
		if _, err := parseXenstore([]byte(text), "/p"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What guests publish of themselves, and what they cannot make of it.
func TestGuestMemory(t *testing.T) {
	const meminfo = `MemTotal: 407444 kB\nMemFree: 18812 kB\nBuffers: 17084 kB\nCached: 118148 kB\nSwapTotal: 1048572 kB\nSwapFree: 1048000 kB\n`
	agent := func(total, free units.KiB) xen.GuestMemory {
		return xen.GuestMemory{Total: opt.Of(total), Available: opt.Of(free), Path: "data/meminfo_free"}
	}
	aged := agent(2035328, 1650012)
	aged.Age = opt.Of(93 * time.Second)
	tests := []struct {
		name         string
		memory, data map[string]string
		want         opt.Value[xen.GuestMemory]
	}{
		{"nothing", nil, nil, opt.Value[xen.GuestMemory]{}},
		{"agent", nil, map[string]string{"meminfo_total": "2035328", "meminfo_free": "1650012", "updated": "Sun Nov 22 13:33:31 2026"}, opt.Of(aged)},
		{"agent without a clock", nil, map[string]string{"meminfo_total": "2035328", "meminfo_free": "1650012"}, opt.Of(agent(2035328, 1650012))},
		{"more free than there is", nil, map[string]string{"meminfo_total": "10", "meminfo_free": "11"}, opt.Value[xen.GuestMemory]{}},
		{"not a number", nil, map[string]string{"meminfo_total": "10", "meminfo_free": "-1"}, opt.Value[xen.GuestMemory]{}},
		{"too large", nil, map[string]string{"meminfo_free": "99999999999999"}, opt.Value[xen.GuestMemory]{}},
		{"total alone", nil, map[string]string{"meminfo_total": "10"}, opt.Value[xen.GuestMemory]{}},
		{"Qubes", map[string]string{"meminfo": meminfo}, nil, opt.Of(xen.GuestMemory{Total: opt.Of[units.KiB](407444), Used: opt.Of[units.KiB](253972), SwapFree: opt.Of[units.KiB](1048000), Path: "memory/meminfo"})},
		{"Qubes, one number", map[string]string{"meminfo": "253972"}, nil, opt.Of(xen.GuestMemory{Used: opt.Of[units.KiB](253972), Path: "memory/meminfo"})},
		{"Qubes, nonsense", map[string]string{"meminfo": `MemTotal: 1 kB\nMemFree: 5 kB\n`}, nil, opt.Value[xen.GuestMemory]{}},
		{"both", map[string]string{"meminfo": "253972"}, map[string]string{"meminfo_total": "10", "meminfo_free": "9"}, opt.Of(xen.GuestMemory{Used: opt.Of[units.KiB](253972), Path: "memory/meminfo"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := host("4.17.7", listRow("Domain-0", 0, 1018, "r-----")+listRow("g", 1, 256, "-b----"), topRow("Domain-0", 1042668)+topRow("g", 262100))
			for dir, keys := range map[string]map[string]string{"memory": tt.memory, "data": tt.data} {
				text := ""
				for _, k := range slices.Sorted(maps.Keys(keys)) {
					text += "/local/domain/1/" + dir + "/" + k + ` = "` + keys[k] + "\"\n"
				}
				if text != "" {
					f.On("xenstore-ls -f /local/domain/1/"+dir, answer(text))
				}
			}
			// It starts 4 s after t0: the quick commands, then 2 or 3 of xenstore's.
			s := read0(t, f)
			got := s.Domains[1].Guest
			if g, ok := got.Get(); ok && g.Age.Has() {
				if d := g.Age.Or(0) - 89*time.Second; d < 0 || d > 2*time.Second {
					t.Errorf("age %v", g.Age.Or(0))
				}
				g.Age = opt.Of(93 * time.Second)
				got = opt.Of(g)
			}
			if diff := cmp.Diff(tt.want, got, equal); diff != "" || len(s.Gaps) != 1 {
				t.Errorf("%s, gaps %+v", diff, s.Gaps)
			}
		})
	}
}
