package html

import (
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// The picture's size in its own units; the page scales it.
const (
	width, height                          = 1000, 280
	plotLeft, plotTop, plotWidth, plotHigh = 90, 10, 895, 230
	plotBottom                             = plotTop + plotHigh
	// resolution is the height of the plot's own coordinates, in which times
	// are seconds since the first.
	resolution = 1000
)

// drawing writes SVG. Only numbers and class names of ours go into it by text,
// all else escaped: a name may come from a guest.
type drawing struct{ strings.Builder }

func (d *drawing) put(parts ...string) {
	for _, p := range parts {
		d.WriteString(p)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// svg draws the chart. The plot is an <svg> of its own with time and value as
// coordinates, so that a script shows another range by its viewBox alone.
func (c Chart) svg() template.HTML {
	var d drawing
	marks := ticks(c.top())
	top := marks[len(marks)-1]
	begin, end := c.span()
	seconds := max(int(end.Sub(begin)/time.Second), 1)
	y := func(v float64) int { return plotBottom - int(math.Round(v/top*plotHigh)) }

	d.put(`<svg class="chart" viewBox="0 0 `, itoa(width), " ", itoa(height), `" role="img" aria-label="`,
		template.HTMLEscapeString(c.Title+", "+c.Unit), `">`)
	d.put(`<g class="grid">`)
	for _, m := range marks {
		d.put(`<line x1="`, itoa(plotLeft), `" x2="`, itoa(plotLeft+plotWidth), `" y1="`, itoa(y(m)), `" y2="`, itoa(y(m)), `"/>`)
		d.put(`<text class="y" x="`, itoa(plotLeft-8), `" y="`, itoa(y(m)+4), `">`, number(m), `</text>`)
	}
	d.put(`</g><g class="times">`)
	for _, m := range timeMarks(begin, end) {
		x := plotLeft + int(float64(plotWidth)*m.At.Sub(begin).Seconds()/float64(seconds))
		d.put(`<text x="`, itoa(x), `" y="`, itoa(plotBottom+20), `">`, m.Label, `</text>`)
	}
	d.put(`</g><svg class="plot" x="`, itoa(plotLeft), `" y="`, itoa(plotTop), `" width="`, itoa(plotWidth), `" height="`, itoa(plotHigh),
		`" viewBox="0 0 `, itoa(seconds), " ", itoa(resolution), `" preserveAspectRatio="none">`)
	c.paths(&d, begin, top)
	d.put(`<line class="cursor off" y1="0" y2="`, itoa(resolution), `"/></svg></svg>`)
	return template.HTML(d.String()) //nolint:gosec // built above from numbers and escaped text
}

// paths draws the series, which all have a class now.
func (c Chart) paths(d *drawing, begin time.Time, top float64) {
	scale := func(v float64) int { return resolution - int(math.Round(v/top*resolution)) }
	floor := make([]float64, len(c.Times))
	for i, s := range c.Series {
		shape := "line"
		if c.Stacked {
			shape = "area"
		}
		d.put(`<path class="`, shape, " ", s.Class, `" data-i="`, itoa(i), `" d="`)
		for _, run := range runs(s.Values) {
			c.run(d, s.Values, floor, run, begin, scale)
		}
		d.put(`"/>`)
		if c.Stacked {
			for j, f := range s.Values {
				floor[j] += zero(f)
			}
		}
	}
}

// run draws values without a gap: a line, or the area between it and what lies
// below.
func (c Chart) run(d *drawing, v Values, floor []float64, run [2]int, begin time.Time, scale func(float64) int) {
	at := func(i int) string { return itoa(int(c.Times[i].Sub(begin) / time.Second)) }
	for i := run[0]; i < run[1]; i++ {
		command := "L"
		if i == run[0] {
			command = "M"
		}
		d.put(command, at(i), " ", itoa(scale(v[i]+floor[i])))
	}
	if !c.Stacked {
		if run[1]-run[0] == 1 {
			d.put("h1") // a single reading is a dot, by the line's round ends
		}
		return
	}
	for i := run[1] - 1; i >= run[0]; i-- {
		d.put("L", at(i), " ", itoa(scale(floor[i])))
	}
	d.put("Z")
}

// runs are the stretches of values that are there, as [from, to).
func runs(v Values) [][2]int {
	var list [][2]int
	from := -1
	for i := range len(v) + 1 {
		switch there := i < len(v) && !math.IsNaN(v[i]); {
		case there && from < 0:
			from = i
		case !there && from >= 0:
			list, from = append(list, [2]int{from, i}), -1
		}
	}
	return list
}

// span is the first and the last time.
func (c Chart) span() (begin, end time.Time) {
	if len(c.Times) == 0 {
		return begin, end
	}
	return c.Times[0], c.Times[len(c.Times)-1]
}

// top is the highest figure that must be seen.
func (c Chart) top() float64 {
	high := c.Top
	for i := range c.Times {
		sum := 0.0
		for _, s := range c.Series {
			f := zero(s.Values[i])
			if c.Stacked {
				sum += f
				f = sum
			}
			high = max(high, f)
		}
	}
	return high
}
