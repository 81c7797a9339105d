package capture

import (
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Diff compares two captures; empty and missing lists are equal.
func Diff(a, b *Capture) string {
	asText := cmp.Transformer("text", func(b []byte) string { return string(b) })
	noStrings := cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
	return cmp.Diff(a, b, asText, noStrings, cmpopts.EquateComparable(look{}, failure{}), cmp.AllowUnexported(Capture{}, ran{}, answer{}))
}

// Written is what Write would write, by names.
func (c *Capture) Written() (map[string][]byte, error) { return c.encode() }
