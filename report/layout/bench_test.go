package layout_test

import (
	"io"
	"strconv"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/layout"
)

// thousand makes a report of 1,000 domains with three pools each.
func thousand(r report.Report) report.Report {
	web := r.Domains[1]
	r.Domains = nil
	for i := range 1000 {
		d := web
		d.ID, d.Name = opt.Of(units.DomID(i)), "customer-web-"+strconv.Itoa(i)
		d.Current, d.Reclaimed = kib(376892+int64(i)*4), kib(148420-int64(i)*4)
		c, e := *d.Client, *d.Ephemeral()
		e.Puts.Total, e.Pages = n(225275+int64(i)), n(97798-int64(i))
		c.Ephemeral = &e
		d.Client = &c
		r.Domains = append(r.Domains, d)
	}
	return r
}

func BenchmarkText(b *testing.B) {
	once, twice := thousand(load()), thousand(interval())
	for _, c := range []struct {
		name string
		r    report.Report
		o    layout.Options
	}{
		{"once", once, layout.Options{}},
		{"interval", twice, layout.Options{}},
		{"pools", once, layout.Options{Pools: true}},
		{"wide", once, layout.Options{Wide: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render.Text(io.Discard, layout.Document(c.r, c.o), render.Options{Wide: c.o.Wide}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarkdown(b *testing.B) {
	r := thousand(load())
	b.ReportAllocs()
	for b.Loop() {
		if err := render.Markdown(io.Discard, layout.Document(r, layout.Options{})); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCSV(b *testing.B) {
	r := thousand(load())
	b.ReportAllocs()
	for b.Loop() {
		if err := render.CSV(io.Discard, layout.CSV(r, layout.Options{})); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	r := thousand(load())
	for name, indent := range map[string]bool{"line": false, "indented": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render.JSON(io.Discard, r, indent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
