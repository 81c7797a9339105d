package capture

import (
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xtm/xen/hypercall"
)

// Diff compares two captures; empty and missing lists are equal.
func Diff(a, b *Capture) string {
	asText := cmp.Transformer("text", func(b []byte) string { return string(b) })
	noStrings := cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
	noKeys := cmp.FilterValues(func(a, b map[string]kept) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
	return cmp.Diff(a, b, asText, noStrings, noKeys, cmpopts.EquateComparable(look{}, failure{}, called{}.ask, hypercall.Answer{}), cmp.AllowUnexported(Capture{}, ran{}, answer{}, called{}, kept{}))
}

// Written is what Write would write, by names.
func (c *Capture) Written() (map[string][]byte, error) { return c.encode() }
