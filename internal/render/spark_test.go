package render_test

import (
	"math"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/render"
)

func TestSpark(t *testing.T) {
	v := opt.Of[float64]
	for _, tt := range []struct {
		values    []opt.Value[float64]
		low, high float64
		want      string
	}{
		{nil, 0, 1, ""},
		{[]opt.Value[float64]{v(0), v(0.5), v(1)}, 0, 1, "▁▅█"},
		{[]opt.Value[float64]{v(-9), {}, v(9), v(math.NaN())}, 0, 1, "▁·█·"},
		{[]opt.Value[float64]{v(3), v(3)}, 3, 3, "▁▁"},
		{[]opt.Value[float64]{v(math.Inf(1)), v(math.Inf(-1))}, 0, 1, "█▁"},
	} {
		if got := render.Spark(tt.values, tt.low, tt.high); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.values, got, tt.want)
		}
	}
}
