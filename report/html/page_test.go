package html_test

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/html"
	"xtm/report/layout"
	"xtm/xen"
	"xtm/xen/tmem/tmemtest"
)

// hostile is a name that a guest gave itself.
const hostile = `<script>window.pwned=1</script>"'&\u202e`

var end = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func kib(n int64) opt.Value[units.KiB] { return opt.Of(units.KiB(n)) }

// host is a report of n guests, the first of them with this name.
func host(n int, first string) report.Report {
	r := report.Report{
		Schema: report.Schema, Source: "xl", Begin: end.Add(-time.Second), End: end,
		Host: report.Host{
			Name: "xenhost", Total: kib(16 << 20), Free: kib(4 << 20), XensOwn: kib(200 << 10), Dom0: kib(1 << 20), Guests: kib(10 << 20),
			GuestsMemory: kib(14 << 20), GuestsMaximum: kib(20 << 20), Overcommit: opt.Of(1.43), Shortfall: kib(6 << 20),
		},
		Findings: []finding.Finding{{
			Check: "no-swap", Subject: first, Verdict: finding.Bad, Seen: "it has no swap", Advice: "Give it some.",
			Commands: []string{"echo '" + first + "'"},
		}},
	}
	for i := range n {
		d := report.Domain{
			ID: opt.Of(units.DomID(i + 1)), Name: "guest" + strconv.Itoa(i), Current: kib(int64(100+i*7%31) << 10), Maximum: kib(512 << 10),
		}
		if i == 0 {
			d.Name = first
		}
		r.Domains = append(r.Domains, d)
	}
	return r
}

// month is charts of so many readings of n domains, the last at end.
func month(first string, domains, readings int, step time.Duration) []html.Chart {
	memory := html.Chart{Title: "Host memory", Unit: "MiB", Stacked: true, Top: 16 << 10}
	rates := html.Chart{Title: "Hit rate of ephemeral pools", Unit: "%"}
	for i := range readings {
		memory.Times = append(memory.Times, end.Add(time.Duration(i-readings+1)*step))
	}
	rates.Times = memory.Times
	course := func(base float64, k int) html.Values {
		v := make(html.Values, readings)
		for i := range v {
			v[i] = base * (1 + 0.5*math.Sin(float64(i)/float64(readings)*20+float64(k)))
			if i > readings/2 && i < readings/2+readings/20 {
				v[i] = math.NaN()
			}
		}
		return v
	}
	memory.Series = append(memory.Series, html.Series{Name: "Xen's own", Class: "xen", Values: course(200, 0)})
	for k := range domains {
		name := "guest" + strconv.Itoa(k)
		if k == 0 {
			name = first
		}
		memory.Series = append(memory.Series, html.Series{Name: name, Values: course(9000/float64(domains), k)})
		rates.Series = append(rates.Series, html.Series{Name: name, Values: course(float64(60-k), k)})
	}
	memory.Series = append(memory.Series, html.Series{Name: "free", Class: "free", Values: course(3000, 9)})
	return []html.Chart{memory, rates}
}

func write(tb testing.TB, r report.Report, charts []html.Chart) string {
	tb.Helper()
	var b bytes.Buffer
	if err := html.Write(&b, r, charts, layout.Options{Units: "auto"}); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestWriteHoldsTogether(t *testing.T) {
	page := write(t, host(3, hostile), month(hostile, 3, 60, time.Minute))
	for _, bad := range []string{"<script>window.pwned", "\u202e", "http://", "https://", " style=", " onclick=", "ZgotmplZ", "NaN"} {
		if bad == "http://" {
			page = strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "") // a name, which nothing fetches
		}
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, want := range []string{
		"default-src &#39;none&#39;", "guest1", "Host memory", "it has no swap", "Give it some.", "&lt;script&gt;window.pwned=1&lt;/script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

// TestWriteWithoutCharts is the page of a host without history.
func TestWriteWithoutCharts(t *testing.T) {
	one := month(hostile, 2, 1, time.Minute) // one reading is no course
	for _, charts := range [][]html.Chart{nil, one} {
		if page := write(t, host(2, hostile), charts); strings.Contains(page, "Over time") || !strings.Contains(page, "guest1") {
			t.Error(page)
		}
	}
}

// TestWriteNamesTheLargest holds that many domains stay readable: 20 have a
// name in a chart, a stack shows the sum of the rest, lines leave them out.
func TestWriteNamesTheLargest(t *testing.T) {
	page := write(t, host(1, hostile), month(hostile, 100, 50, time.Minute))
	for _, want := range []string{"80 smaller domains are one area, others", "80 domains with lower figures are not shown"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(page, `class="line `); n != 20 {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(page, `class="area `); n != 23 {
		t.Errorf("%d areas", n)
	}
}

// loaded is the report of a host whose n guests have a pool of each kind, with all
// that there is to find.
func loaded(n int) report.Report {
	s := xen.Snapshot{
		Source: "hypercall", Begin: end.Add(-time.Second), End: end, ListedAt: end,
		Host: xen.Host{Name: "xenhost", Total: kib(int64(n) << 18), Free: kib(1 << 18)},
		Tmem: opt.Of(tmemtest.Host(n, 2)), TmemState: xen.TmemState{Answer: xen.TmemOn},
	}
	for i := range n {
		s.Domains = append(s.Domains, xen.Domain{
			ID: opt.Of(units.DomID(i + 1)), UUID: fmt.Sprintf("22f6872a-e679-11f1-b8bf-2183b669%04x", i), Name: "guest" + strconv.Itoa(i),
			Current: kib(200 << 10), Limit: kib(512 << 10), StaticMax: kib(512 << 10), Target: kib(256 << 10), Uptime: opt.Of(time.Hour),
		})
	}
	return report.Compute(nil, s, report.DefaultThresholds())
}

// TestWriteMonth bounds the page of 30 days: of minutes, as a caller may hand
// them over, and of as many points as a chart asks history for.
func TestWriteMonth(t *testing.T) {
	const days = 30 * 24 * time.Hour
	for _, tt := range []struct{ domains, points int }{{100, 30 * 24 * 60}, {1000, 300}} {
		t.Run(fmt.Sprintf("%d domains", tt.domains), func(t *testing.T) {
			charts := month(hostile, tt.domains, tt.points, days/time.Duration(tt.points))
			page := write(t, loaded(tt.domains), append(charts, charts[1])) // put acceptance has as many lines as hit rates
			t.Logf("%d bytes", len(page))
			if len(page) > 3_000_000 {
				t.Errorf("%d bytes", len(page))
			}
		})
	}
}

func BenchmarkWriteMonth(b *testing.B) {
	r, charts := host(100, hostile), month(hostile, 100, 30*24*60, time.Minute)
	var size bytes.Buffer
	for b.Loop() {
		size.Reset()
		if err := html.Write(&size, r, charts, layout.Options{Units: "auto"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size.Len()), "bytes/page")
}

// FuzzWrite gives names that a guest could choose.
func FuzzWrite(f *testing.F) {
	for _, s := range []string{hostile, "</script>", "<!--", "\xff", "a\x00b", "';alert(1)//", "${1}", "\u2028"} {
		f.Add(s, 1.5)
	}
	f.Fuzz(func(t *testing.T, name string, v float64) {
		r := host(1, hostile)
		r.Domains[0].Name, r.Host.Name = name, name
		c := html.Chart{Title: "x", Unit: "MiB", Times: []time.Time{end, end.Add(time.Minute)}}
		c.Series = []html.Series{{Name: name, Values: html.Values{v, math.NaN()}}}
		page := write(t, r, []html.Chart{c})
		if n := strings.Count(strings.ToLower(page), "<script"); n != 2 {
			t.Errorf("%d scripts", n)
		}
		if strings.Count(page, "</svg>") != 2 {
			t.Error("the picture is not whole")
		}
	})
}
