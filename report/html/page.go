// Package html writes a report as one page that needs nothing else: it works
// offline and in a mail attachment, its script and style are in it and allowed
// by their hashes alone, and all of it can be read without the script.
//
// The charts are drawn here. go-chart was tried first: its colours stand in
// style attributes, which the page's security policy forbids and a dark page
// cannot change, it joins the ends of a gap, and nothing in its output can be
// hidden or read by a pointer.
package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"xtm/internal/render"
	"xtm/report"
	"xtm/report/layout"
)

//go:embed page.tmpl
var pageText string

//go:embed page.css
var style string

//go:embed page.js
var script string

var page = template.Must(template.New("page").Parse(pageText))

// Write writes the report, with charts of the time before it where there are
// any, as one page.
func Write(w io.Writer, r report.Report, charts []Chart, o layout.Options) error {
	overview, tables, troubles := layout.Parts(r, o)
	head, err := fragment(overview)
	if err != nil {
		return err
	}
	rest, err := fragment(slices.Concat(tables, troubles))
	if err != nil {
		return err
	}
	var list []picture
	span, known := time.Duration(0), colours{}
	for _, c := range charts {
		if len(c.Times) < 2 {
			continue // one reading is no course
		}
		begin, end := c.span()
		span = max(span, end.Sub(begin))
		list = append(list, newPicture(c, known))
	}
	title := "xtm report"
	if r.Host.Name != "" {
		title += " of " + render.Escape(r.Host.Name)
	}
	return page.Execute(w, map[string]any{
		"Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + allowed(style) + "; script-src " + allowed(script),
		"Title":  title, "Style": template.CSS(style), "Script": template.JS(script), //nolint:gosec // our own, embedded
		"Head": head, "Rest": rest, "Charts": list, "Span": strconv.Itoa(int(span.Seconds())),
		"Footer": "All times are UTC. 1 page = 4 KiB.",
	})
}

// fragment renders blocks as the inside of the page.
func fragment(doc render.Document) (template.HTML, error) {
	var b bytes.Buffer
	err := render.HTML(&b, doc)
	return template.HTML(b.String()), err //nolint:gosec // render.HTML escapes every text
}

// allowed names an inline style or script in a Content-Security-Policy.
func allowed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// picture is a chart as the template sees it.
type picture struct {
	Title, Unit, Note string
	SVG               template.HTML
	Legend            []legend
	// Data is what the script reads.
	Data pictureData
}

type pictureData struct {
	Times  []int64       `json:"times"` // seconds since 1970
	Series []namedValues `json:"series"`
}

type namedValues struct {
	Name   string `json:"name"`
	Values Values `json:"values"`
}

// legend is a series' name, colour and summary.
type legend struct {
	Name, Class string
	Figures     []figure
}

type figure struct{ Text, Raw string }

func newPicture(c Chart, known colours) picture {
	c = c.thinned()
	list, unnamed := limit(c.Series, c.Stacked)
	c.Series = known.give(list)
	p := picture{Title: c.Title, Unit: c.Unit, SVG: c.svg()}
	switch {
	case unnamed > 0 && c.Stacked:
		p.Note = fmt.Sprintf("%d smaller domains are one area, %s", unnamed, others)
	case unnamed > 0:
		p.Note = fmt.Sprintf("%d domains with lower figures are not shown", unnamed)
	}
	for _, t := range c.Times {
		p.Data.Times = append(p.Data.Times, t.Unix())
	}
	for _, s := range c.Series {
		name := render.Escape(s.Name)
		l := legend{Name: name, Class: s.Class}
		values := s.Values.known()
		for _, f := range []float64{least(values), s.Values.mean(), most(values), s.Values[len(s.Values)-1]} {
			l.Figures = append(l.Figures, figure{number(f), raw(f)})
		}
		p.Legend = append(p.Legend, l)
		p.Data.Series = append(p.Data.Series, namedValues{name, s.Values})
	}
	return p
}

// thinned has at most maxPoints times: each the mean of those it stands for.
func (c Chart) thinned() Chart {
	n := len(c.Times)
	if n <= maxPoints {
		return c
	}
	cut := func(i int) int { return i * n / maxPoints }
	times := make([]time.Time, maxPoints)
	for i := range maxPoints {
		times[i] = c.Times[cut(i+1)-1]
	}
	list := make([]Series, len(c.Series))
	for k, s := range c.Series {
		v := make(Values, maxPoints)
		for i := range maxPoints {
			v[i] = s.Values[cut(i):cut(i+1)].mean()
		}
		s.Values = v
		list[k] = s
	}
	c.Times, c.Series = times, list
	return c
}

func least(known []float64) float64 {
	if len(known) == 0 {
		return math.NaN()
	}
	return slices.Min(known)
}

func most(known []float64) float64 {
	if len(known) == 0 {
		return math.NaN()
	}
	return slices.Max(known)
}

// raw is a figure to sort by, "" where there is none.
func raw(f float64) string {
	if math.IsNaN(f) {
		return ""
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
