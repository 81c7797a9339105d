package exporter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report/exporter"
	"xtm/xen"
	"xtm/xen/tmem/tmemtest"
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
// it.
func BenchmarkScrape(b *testing.B) {
	e := exporter.New(always(fleet(1000)), exporter.Options{SourceName: "hypercall"})
	h, err := e.Handler()
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	get := func() int64 {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+exporter.MetricsPath, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip") // by hand, so that it is not unpacked
		answer, err := server.Client().Do(r)
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
	series := 0
	for line := range strings.Lines(scrape(b, e)) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	packed := get()
	b.ReportAllocs()
	for b.Loop() {
		get()
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(packed), "gzip-bytes")
	if series < 25_000 {
		b.Fatalf("%d series", series)
	}
}
