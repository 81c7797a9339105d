package exporter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report/exporter"
	"xtm/xen"
	"xtm/xen/tmem/tmemtest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// fleet is a host of n domains with an ephemeral and a persistent pool each.
func fleet(n int) xen.Snapshot {
	end := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	s := xen.Snapshot{
		Source: "hypercall", Begin: end.Add(-time.Second), End: end, ListedAt: end,
		Tmem: opt.Of(tmemtest.Host(n, 2)), TmemState: xen.TmemState{Answer: xen.TmemOn},
	}
	size := func(mib int) opt.Value[units.KiB] { return opt.Of(units.MiB(mib).KiB()) }
	for i := range n {
		s.Domains = append(s.Domains, xen.Domain{
			ID: opt.Of(units.DomID(i + 1)), Name: fmt.Sprintf("guest%04d.example", i), UUID: fmt.Sprintf("22f6872a-e679-11f1-b8bf-2183b669%04x", i),
			Current: size(200 + i), Limit: size(2048), StaticMax: size(2048), Target: size(1024), Uptime: opt.Of(time.Hour), Guest: opt.Of(xen.GuestMemory{Available: size(100), Age: opt.Of(time.Second)}),
		})
	}
	return s
}

// BenchmarkScrape is a scrape of 1,000 domains as Prometheus makes it: HTTP,
// gzip, a report computed from the snapshot before. Reading the host is not in
// it. Beside it, scrape by scrape, goes what a plain program costs that keeps the
// same series in client_golang's GaugeVecs and sets them anew: the ratio holds on
// a busy machine, too.
func BenchmarkScrape(b *testing.B) {
	e := exporter.New(always(fleet(1000)), exporter.Options{SourceName: "hypercall"})
	h, err := e.Handler()
	if err != nil {
		b.Fatal(err)
	}
	text := scrape(b, e)
	ours, theirs := server(b, h), server(b, gaugeVecs(b, text))
	series := len(regexp.MustCompile(`(?m)^xtm_`).FindAllString(text, -1))
	if series < 25_000 {
		b.Fatalf("%d series", series)
	}
	ours()
	theirs()
	b.Run("xtm", func(b *testing.B) {
		b.ReportAllocs()
		var packed int64
		begin := used(b)
		for b.Loop() {
			packed = ours()
		}
		b.ReportMetric(float64(used(b)-begin)/float64(b.N)/1e6, "cpu-ms/op")
		b.ReportMetric(float64(series), "series")
		b.ReportMetric(float64(packed), "gzip-bytes")
	})
	b.Run("against GaugeVecs", func(b *testing.B) {
		var a, c time.Duration
		for b.Loop() {
			begin := used(b)
			ours()
			between := used(b)
			theirs()
			a, c = a+between-begin, c+used(b)-between
		}
		b.ReportMetric(float64(c)/float64(b.N)/1e6, "their-cpu-ms/op")
		b.ReportMetric(float64(a)/float64(c), "ratio")
	})
}

// used is the processor's time that this process has had.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// server answers scrapes; what it returns makes one and tells how much came.
func server(b *testing.B, h http.Handler) func() int64 {
	b.Helper()
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return func() int64 {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+exporter.MetricsPath, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip") // by hand, so that it is not unpacked
		answer, err := s.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer answer.Body.Close()
		packed, err := io.Copy(io.Discard, answer.Body)
		if err != nil {
			b.Fatal(err)
		}
		return packed
	}
}

// gaugeVecs is a program of client_golang's with the series of an answer.
func gaugeVecs(b *testing.B, text string) http.Handler {
	b.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	type series struct {
		vec    *prometheus.GaugeVec
		labels []string
		value  float64
	}
	var all []series
	registry := prometheus.NewRegistry()
	for name, f := range families {
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: f.GetHelp()}, names)
		registry.MustRegister(vec)
		for _, m := range f.GetMetric() {
			one := series{vec, nil, m.GetGauge().GetValue() + m.GetCounter().GetValue()}
			for _, l := range m.GetLabel() {
				one.labels = append(one.labels, l.GetValue())
			}
			all = append(all, one)
		}
	}
	answer := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, s := range all {
			s.vec.WithLabelValues(s.labels...).Set(s.value)
		}
		answer.ServeHTTP(w, r)
	})
}
