package tmem_test

import (
	"testing"

	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

func BenchmarkParse(b *testing.B) {
	text := tmemtest.Render(tmemtest.Host(1000, 3))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmem.ParseBytes(text); err != nil {
			b.Fatal(err)
		}
	}
}
