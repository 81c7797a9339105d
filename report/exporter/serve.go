package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/exporter-toolkit/web"
)

// MetricsPath is where the metrics are.
const MetricsPath = "/metrics"

const (
	// maxScrapes may be under way at once; they share one reading.
	maxScrapes = 20
	// headStart is what of Prometheus' own deadline is left for the answer.
	headStart = 500 * time.Millisecond
	// shutdownTime is what scrapes get to end when the exporter ends.
	shutdownTime = 3 * time.Second
)

// CheckWebConfig reads a web configuration of the exporter toolkit: TLS, basic
// authentication, headers. "" is none.
func CheckWebConfig(file string) error {
	if file == "" {
		return nil
	}
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("read web configuration %s: %w", file, err)
	}
	return nil
}

// Handler serves the metrics, a landing page and /-/healthy.
func (e *Exporter) Handler() (http.Handler, error) {
	page, err := web.NewLandingPage(web.LandingConfig{
		Name: "xtm exporter", Description: "Memory overcommit of this Xen host", Version: e.o.Version, Profiling: "false",
		Links: []web.LandingLinks{{Address: MetricsPath, Text: "Metrics"}},
	})
	if err != nil {
		return nil, fmt.Errorf("make landing page: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+MetricsPath, e.scrape)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // a client that went away
	})
	mux.Handle("GET /{$}", page)
	return mux, nil
}

// scrape answers one scrape.
func (e *Exporter) scrape(w http.ResponseWriter, r *http.Request) {
	select {
	case e.scrapes <- struct{}{}:
		defer func() { <-e.scrapes }()
	default:
		http.Error(w, fmt.Sprintf("%d scrapes are under way", maxScrapes), http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), e.deadline(r.Header))
	defer cancel()
	promhttp.HandlerFor(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := e.read(ctx)
		if err != nil {
			e.o.Log.Warn("the host could not be read", "error", err)
		}
		return families, nil
	}), promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// deadline is the exporter's own, or a little less than Prometheus waits.
func (e *Exporter) deadline(h http.Header) time.Duration {
	said, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(said > 0) || said > e.o.Timeout.Seconds() { // NaN, too
		return e.o.Timeout
	}
	d := time.Duration(said * float64(time.Second))
	return max(d-headStart, d/2)
}

// Serve answers scrapes until the context ends, which is no error. webConfig is
// a file that CheckWebConfig accepts.
func (e *Exporter) Serve(ctx context.Context, l net.Listener, webConfig string) error {
	h, err := e.Handler()
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(e.o.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		ended <- server.Shutdown(last)
	})
	err = web.Serve(l, server, &web.FlagConfig{WebConfigFile: &webConfig}, e.o.Log)
	if stop() { // it was not asked to end
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	if late := <-ended; late != nil && !errors.Is(late, context.DeadlineExceeded) {
		return fmt.Errorf("end serving %s: %w", l.Addr(), late)
	}
	return nil
}
