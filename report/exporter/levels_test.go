package exporter

import (
	"os"
	"path/filepath"
	"testing"

	"xtm/internal/opt"
	"xtm/xen"

	"pgregory.net/rapid"
)

// FuzzParseLevels: whatever stands in a textfile is taken up or refused.
func FuzzParseLevels(f *testing.F) {
	files, err := filepath.Glob("testdata/*.prom")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("xtm_tmem_gets_total{result=\"miss\"} NaN\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		held, err := parseLevels(b)
		if err != nil && held != nil {
			t.Fatalf("%v and %v", held, err)
		}
	})
}

// TestRestHoldsSteady: while calls go on, a difference of two counters that are
// not read at one instant never falls; after a restart it starts anew.
func TestRestHoldsSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole, part, last int64
		was := levels{}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			restarted := rapid.IntRange(0, 9).Draw(t, "restart") == 0 && whole-part > 1000
			if restarted {
				whole, part = 0, 0
			}
			n := rapid.Int64Range(0, 500).Draw(t, "calls")
			whole, part = whole+n, part+rapid.Int64Range(0, n).Draw(t, "found")
			underWay := rapid.Int64Range(0, underWay/2).Draw(t, "under way")
			p := newPoolFamilies(was)
			got, ok := p.rest(identity{domain: "d"}, "miss", opt.Of(whole+underWay), opt.Of(part)).Get()
			if !ok || !restarted && got < last || restarted && got > 600 {
				t.Fatalf("%d after %d (restarted: %v)", got, last, restarted)
			}
			last, was = got, p.now
		}
		p := newPoolFamilies(was)
		if p.rest(identity{domain: "d"}, "miss", opt.Of(whole), xen.Count{}).Has() {
			t.Fatal("a part that is not known was taken for 0")
		}
	})
}
