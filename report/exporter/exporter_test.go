package exporter_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xtm/capture/importtest"
	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/exporter"
	"xtm/xen"
	"xtm/xen/xl"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// phase is a recorded moment of a real host.
func phase(tb testing.TB, name string) xen.Snapshot {
	tb.Helper()
	seams := importtest.Phase(tb, name).Seams()
	snap, err := xl.New(seams.Run, seams.Files).Snapshot(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return snap
}

// source answers with a function.
type source func(context.Context) (xen.Snapshot, error)

func (s source) Snapshot(ctx context.Context) (xen.Snapshot, error) { return s(ctx) }

// always is a host that does not change.
func always(s xen.Snapshot) source {
	return func(context.Context) (xen.Snapshot, error) { return s, nil }
}

// scrape is one answer of the exporter's.
func scrape(tb testing.TB, e *exporter.Exporter, header ...string) string {
	tb.Helper()
	h, err := e.Handler()
	if err != nil {
		tb.Fatal(err)
	}
	r := httptest.NewRequestWithContext(tb.Context(), "GET", exporter.MetricsPath, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 {
		tb.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// still is an exporter whose own figures are the same each time.
func still(s exporter.Source, o exporter.Options) *exporter.Exporter {
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return at }
	if o.SourceName == "" {
		o.SourceName = "xl"
	}
	return exporter.New(s, o)
}

// without takes the lines of a metric out.
func without(text, metric string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, metric+"{") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestMetrics holds what Prometheus gets of a loaded host against a recorded
// answer, and against Prometheus' own rules for names and for consistency.
func TestMetrics(t *testing.T) {
	for _, name := range []string{"xen-4.12/t1-load", "xen-4.12-notmem/t1-load", "xen-4.17/modern"} {
		t.Run(name, func(t *testing.T) {
			got := without(scrape(t, still(always(phase(t, name)), exporter.Options{Version: "test"})), "xtm_build_info")
			golden := filepath.Join("testdata", strings.ReplaceAll(name, "/", "-")+".prom")
			if os.Getenv("XTM_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			lint(t, got)
		})
	}
}

// lint holds an answer against Prometheus' own rules.
func lint(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []*dto.MetricFamily
	for _, f := range families {
		all = append(all, f)
	}
	// The registry's checks: equal labels, types, valid names.
	checked := prometheus.Gatherers{prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return all, nil })}
	if _, err := checked.Gather(); err != nil {
		t.Errorf("inconsistent: %v", err)
	}
	return families
}

// TestOneReading: scrapes that come while a host is read share the reading.
func TestOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap, calls := phase(t, "xen-4.12/t1-load"), 0
		e := exporter.New(source(func(context.Context) (xen.Snapshot, error) {
			calls++
			time.Sleep(time.Second)
			return snap, nil
		}), exporter.Options{SourceName: "xl"})
		var wg sync.WaitGroup
		texts := make([]string, 10)
		for i := range texts {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				texts[i] = scrape(t, e)
			})
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("the host was read %d times", calls)
		}
		for _, text := range texts {
			if !strings.Contains(text, `xtm_source_up{source="xl"} 1`) || !strings.Contains(text, "xtm_host_memory_total_bytes ") {
				t.Errorf("a scrape got\n%.300s", text)
			}
		}
		if scrape(t, e); calls != 2 {
			t.Errorf("a later scrape did not read anew: %d readings", calls)
		}
	})
}

// TestDeadline: a source that hangs costs a scrape its figures, not Prometheus
// its answer, and readings do not pile up.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		e := exporter.New(source(func(context.Context) (xen.Snapshot, error) {
			calls.Add(1)
			<-release // heeds no context
			return xen.Snapshot{}, errors.New("too late")
		}), exporter.Options{SourceName: "libvirt", Timeout: 4 * time.Second})
		for _, tt := range []struct {
			said string
			want time.Duration
		}{{"", 4 * time.Second}, {"2", 1500 * time.Millisecond}, {"0.4", 200 * time.Millisecond}, {"60", 4 * time.Second}, {"NaN", 4 * time.Second}, {"-1", 4 * time.Second}} {
			begin := time.Now()
			text := scrape(t, e, "X-Prometheus-Scrape-Timeout-Seconds", tt.said)
			if took := time.Since(begin); took != tt.want {
				t.Errorf("Prometheus waits %q s, the answer took %s, want %s", tt.said, took, tt.want)
			}
			if !strings.Contains(text, `xtm_source_up{source="libvirt"} 0`) || strings.Contains(text, "xtm_host_") {
				t.Errorf("of a host that does not answer:\n%s", text)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d readings under way", n)
		}
		close(release)
		synctest.Wait()
	})
}

// TestFailure: without a host there is no figure of it, and no zero either;
// of two ways to read it each has its own state.
func TestFailure(t *testing.T) {
	var e *exporter.Exporter
	e = exporter.New(source(func(context.Context) (xen.Snapshot, error) {
		e.Tried("hypercall", time.Millisecond, cause.ErrNeedsRoot)
		e.Tried("xl", 2*time.Second, errors.New("xl: exit status 1"))
		return xen.Snapshot{}, errors.New("neither")
	}), exporter.Options{SourceName: "auto"})
	text := without(scrape(t, e), "xtm_build_info")
	want := `# HELP xtm_source_duration_seconds How long the source took when it was asked last.
# TYPE xtm_source_duration_seconds gauge
xtm_source_duration_seconds{source="hypercall"} 0.001
xtm_source_duration_seconds{source="xl"} 2
# HELP xtm_source_up Whether the source answered when it was asked last.
# TYPE xtm_source_up gauge
xtm_source_up{source="hypercall"} 0
xtm_source_up{source="xl"} 0
`
	if _, samples, _ := strings.Cut(text, "# TYPE xtm_build_info gauge\n"); samples != want {
		t.Error(cmp.Diff(want, samples))
	}
}

// TestHostileNames: what guests and users call domains breaks nothing.
func TestHostileNames(t *testing.T) {
	snap := xen.Snapshot{Source: "screen"}
	names := []string{
		"web1", "web1", "web1 (2)", "a\"b\\c\nd", "\xff\xfe", "\x1b[31mred\x00", strings.Repeat("ü", 4000), "{}=~`", "",
		strings.Repeat("ü", 4000), "\u202eevil", "# HELP x y\nz 1",
	}
	for _, n := range names {
		snap.Domains = append(snap.Domains, xen.Domain{Name: n, Current: opt.Of(units.KiB(1024))})
	}
	families := lint(t, scrape(t, still(always(snap), exporter.Options{})))
	seen := map[string]bool{}
	for _, m := range families["xtm_domain_memory_current_bytes"].GetMetric() {
		v := m.GetLabel()[0].GetValue()
		if seen[v] || len(v) > 140 || strings.ContainsAny(v, "\n\x00\x1b") || v == "" {
			t.Errorf("label %q", v)
		}
		seen[v] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d domains of %d", len(seen), len(names))
	}
}

// recorder counts, and fails where it is told to.
type recorder struct {
	err error
	got []xen.Snapshot
}

func (r *recorder) Append(_ context.Context, x xen.Snapshot) error {
	r.got = append(r.got, x)
	return r.err
}

// TestRecorder: history gets one snapshot a minute, and its failure is not the
// scrape's.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{err: errors.New("disk full")}
		e := exporter.New(always(phase(t, "xen-4.12/t1-load")), exporter.Options{SourceName: "xl", Recorder: rec})
		for range 10 {
			if text := scrape(t, e); !strings.Contains(text, "xtm_host_memory_total_bytes ") {
				t.Fatal("the scrape suffered")
			}
			time.Sleep(15 * time.Second)
		}
		if len(rec.got) != 3 || len(rec.got[0].Domains) != 6 {
			t.Errorf("%d snapshots in 150 s", len(rec.got))
		}
	})
}

// TestWindow: findings look back a window, so one that held an hour ago goes.
func TestWindow(t *testing.T) {
	snap := phase(t, "xen-4.12/t1-load")
	end := snap.End
	e := still(source(func(context.Context) (xen.Snapshot, error) {
		s := snap
		s.End, s.ListedAt = end, end
		end = end.Add(time.Minute)
		return s, nil
	}), exporter.Options{Window: 5 * time.Minute})
	refused := `xtm_host_findings{check="` + report.CheckPutsRefused + `"`
	if !strings.Contains(scrape(t, e), refused) {
		t.Fatal("the capture has puts that were refused")
	}
	if text := scrape(t, e); strings.Contains(text, refused) {
		t.Errorf("nothing was refused in the last minute, but\n%s", text)
	}
}

func readText(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(bytes.TrimSpace(b))
}
