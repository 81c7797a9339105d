package render

import (
	"math"
	"strings"

	"xtm/internal/opt"
)

// sparkSteps are the heights of a sparkline, from low to high.
var sparkSteps = []rune("▁▂▃▄▅▆▇█")

// sparkGap stands where there is no value.
const sparkGap = '·'

// Spark draws values as one line of characters, each as high as its value
// stands between low and high. Values beyond stand at the edge.
func Spark(values []opt.Value[float64], low, high float64) string {
	var b strings.Builder
	for _, o := range values {
		v, ok := o.Get()
		if !ok || math.IsNaN(v) {
			b.WriteRune(sparkGap)
			continue
		}
		share := 0.0
		if high > low {
			share = min(1, max(0, (v-low)/(high-low)))
		}
		b.WriteRune(sparkSteps[int(math.Round(share*float64(len(sparkSteps)-1)))])
	}
	return b.String()
}
