package capture

import (
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Diff compares two captures.
func Diff(a, b *Capture) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmp.AllowUnexported(Capture{}, ran{}, look{}, answer{}, failure{}))
}

// Written is what Write would write, by names.
func (c *Capture) Written() (map[string][]byte, error) { return c.encode() }
