package html

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Most is how many points of a series and how many named series a chart shows:
// more cannot be told apart on a screen.
const (
	maxPoints = 300
	maxSeries = 20
)

// others is the name of the sum of all series that get no colour of their own.
const others = "others"

// Chart is one picture over time: its series share the times and the unit.
type Chart struct {
	Title string
	// Unit of the values, shown at the axis.
	Unit string
	// Times are when the values were read, rising.
	Times []time.Time
	// Stacked series are drawn on top of each other, the first at the bottom.
	Stacked bool
	Series  []Series
	// Top is where the axis ends; 0 is where the highest value ends.
	Top float64
}

// Series is one named quantity; a value that could not be told is NaN, and a
// gap in the picture.
type Series struct {
	Name   string
	Values Values
	// Class is the colour of what is not a domain's: "xen", "dom0", "free".
	// Series without one are domains, which have the same colour in each chart.
	Class string
}

// Values are figures by time. In JSON they have four digits, and null where
// there is none.
type Values []float64

// MarshalJSON writes the figures as short as a picture needs them.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendFloat(b, short(f), 'f', -1, 64)
	}
	return append(b, ']'), nil
}

// short rounds to four digits; what is larger keeps its whole part.
func short(f float64) float64 {
	if f == 0 || math.Abs(f) >= 1e4 {
		return math.Round(f)
	}
	digits := math.Pow10(3 - int(math.Floor(math.Log10(math.Abs(f)))))
	return math.Round(f*digits) / digits
}

var _ json.Marshaler = Values(nil)

// known are the values that are there.
func (v Values) known() []float64 {
	return slices.DeleteFunc(slices.Clone(v), math.IsNaN)
}

// mean of the values that are there, NaN without any.
func (v Values) mean() float64 {
	known := v.known()
	sum := 0.0
	for _, f := range known {
		sum += f
	}
	return sum / float64(len(known))
}

// limit names the largest series and adds up the rest, in a stack; where lines
// cannot be added, the rest is left out. The series stay in their order. How
// many are not shown by name is the second result.
func limit(list []Series, stacked bool) ([]Series, int) {
	var domains []Series
	for _, s := range list {
		if s.Class == "" {
			domains = append(domains, s)
		}
	}
	if len(domains) <= maxSeries {
		return list, 0
	}
	slices.SortStableFunc(domains, func(a, b Series) int { return cmp.Compare(zero(b.Values.mean()), zero(a.Values.mean())) })
	small := domains[maxSeries:]
	named := map[string]bool{}
	for _, s := range domains[:maxSeries] {
		named[s.Name] = true
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(s Series) bool { return s.Class == "" && !named[s.Name] })
	if stacked {
		last := 0 // others stand above the last domain
		for i, s := range kept {
			if s.Class == "" {
				last = i + 1
			}
		}
		kept = slices.Insert(kept, last, sum(small))
	}
	return kept, len(small)
}

// sum is all of the series as one, with a gap where none of them is there.
func sum(list []Series) Series {
	rest := Series{Name: others, Class: "others", Values: slices.Clone(list[0].Values)}
	for _, s := range list[1:] {
		for i, f := range s.Values {
			switch {
			case math.IsNaN(f):
			case math.IsNaN(rest.Values[i]):
				rest.Values[i] = f
			default:
				rest.Values[i] += f
			}
		}
	}
	return rest
}

// zero is nothing for what is not there.
func zero(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}
