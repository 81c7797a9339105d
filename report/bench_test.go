package report

import (
	"testing"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

// big is a host of n guests with 3 pools each, and the text of its listing.
func big(n int) (xen.Snapshot, []byte) {
	s := loaded()
	s.Domains = s.Domains[:1]
	list := tmemtest.Host(n, 3)
	for i := range n {
		s.Domains = append(s.Domains, xen.Domain{
			ID: opt.Of(units.DomID(i + 1)), Name: "guest", Current: kibs(200 << 10), Limit: kibs(2 << 20), StaticMax: kibs(2 << 20),
		})
	}
	return s, tmemtest.Render(list)
}

// BenchmarkParseAndCompute is a report's whole work between reading and
// rendering: 1,000 domains × 3 pools.
func BenchmarkParseAndCompute(b *testing.B) {
	s, text := big(1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		l, err := tmem.ParseBytes(text)
		if err != nil {
			b.Fatal(err)
		}
		s.Tmem = opt.Of(l)
		if r := Compute(nil, s, DefaultThresholds()); len(r.Domains) < 1000 {
			b.Fatal(len(r.Domains))
		}
	}
}
