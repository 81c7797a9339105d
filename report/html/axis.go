package html

import (
	"math"
	"strconv"
	"time"

	"xtm/internal/units"
)

// ticks are round figures from 0 to the first that is not below top: 1, 2 or 5
// times a power of ten apart, three to six of them.
func ticks(top float64) []float64 {
	if !(top > 0) {
		top = 1
	}
	step := math.Pow10(int(math.Floor(math.Log10(top))))
	for _, f := range []float64{0.2, 0.5, 1, 2} {
		if top/(step*f) <= 5 {
			step *= f
			break
		}
	}
	var list []float64
	for i := 0; ; i++ {
		v := float64(i) * step
		list = append(list, v)
		if v >= top*(1-1e-9) {
			return list
		}
	}
}

// number writes a figure at an axis or in a table.
func number(f float64) string {
	if math.IsNaN(f) {
		return "–"
	}
	if math.Abs(f) >= 100 || f == math.Trunc(f) {
		return units.Group(int64(math.Round(f)))
	}
	return strconv.FormatFloat(short(f), 'f', -1, 64)
}

// timeSteps are distances between marks on the time axis.
var timeSteps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour, 91 * 24 * time.Hour, 364 * 24 * time.Hour,
}

// timeMark is a time with its label.
type timeMark struct {
	At    time.Time
	Label string
}

// timeMarks are at most eight round times within begin and end, in UTC: a page
// has no time zone.
func timeMarks(begin, end time.Time) []timeMark {
	span := end.Sub(begin)
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if span/s <= 7 {
			step = s
			break
		}
	}
	layout := "01-02 15:04"
	switch {
	case step >= 24*time.Hour:
		layout = "2006-01-02"
	case span <= 24*time.Hour:
		layout = "15:04"
	}
	var list []timeMark
	for t := begin.UTC().Truncate(step); !t.After(end); t = t.Add(step) {
		if !t.Before(begin) {
			list = append(list, timeMark{t, t.Format(layout)})
		}
	}
	return list
}
