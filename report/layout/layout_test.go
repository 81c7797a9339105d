package layout_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/layout"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		o    layout.Options
		want string // part of the error
	}{
		{layout.Options{}, ""},
		{layout.Options{Units: "auto", Sort: "saved"}, ""},
		{layout.Options{Units: "gib"}, ""},
		{layout.Options{Units: "MB"}, `no unit is called "MB"; units are: auto, pages, KiB, MiB, GiB`},
		{layout.Options{Sort: "size"}, `cannot sort by "size"; sort by: name, id, current, maximum, reclaimed, room, ` +
			`ephemeral, hit-rate, persistent, acceptance, refused, saved`},
	} {
		err := c.o.Check()
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("Check(%+v) = %v, want %q", c.o, err, c.want)
		}
	}
}

func namesOf(r report.Report) string {
	out := make([]string, len(r.Domains))
	for i, d := range r.Domains {
		out[i] = d.Name
	}
	return strings.Join(out, " ")
}

func TestFilterSorts(t *testing.T) {
	for key, want := range map[string]string{
		"":           "Domain-0 web1 db1 cache1 idle1 plain1",
		"name":       "Domain-0 cache1 db1 idle1 plain1 web1",
		"id":         "Domain-0 web1 db1 cache1 idle1 plain1",
		"current":    "Domain-0 web1 db1 plain1 cache1 idle1", // cache1 and idle1 are even
		"maximum":    "Domain-0 web1 db1 cache1 idle1 plain1",
		"reclaimed":  "web1 cache1 idle1 db1 Domain-0 plain1",
		"room":       "web1 cache1 idle1 db1 Domain-0 plain1",
		"ephemeral":  "web1 cache1 db1 idle1 Domain-0 plain1",
		"hit-rate":   "cache1 web1 Domain-0 db1 idle1 plain1", // absent ones last
		"persistent": "db1 web1 idle1 Domain-0 cache1 plain1",
		"acceptance": "web1 db1 Domain-0 cache1 idle1 plain1",
		"refused":    "db1 web1 idle1 Domain-0 cache1 plain1",
		"saved":      "cache1 db1 web1 idle1 Domain-0 plain1",
	} {
		r := load()
		if got := namesOf(layout.Filter(r, layout.Options{Sort: key})); got != want {
			t.Errorf("sorted by %q: %s, want %s", key, got, want)
		}
		if got := namesOf(r); got != namesOf(load()) {
			t.Errorf("sorting by %q changed the report it was given: %s", key, got)
		}
	}
	for _, key := range layout.SortKeys() {
		if err := (layout.Options{Sort: key}).Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestFilterDomains(t *testing.T) {
	for _, c := range []struct {
		want, domains, findings, missing string
	}{
		{"", "Domain-0 web1 db1 cache1 idle1 plain1", "cache1 db1 plain1 host", ""},
		{"db1", "db1", "db1 host", ""},
		{"2", "db1", "db1 host", ""},
		{"00000000-0000-4000-8000-000000000003", "cache1", "cache1 host", ""},
		{"0 plain1", "Domain-0 plain1", "plain1 host", ""},
		{"web9 web1", "web1", "host", "web9"},
	} {
		o := layout.Options{Domains: strings.Fields(c.want)}
		r := load()
		r.Findings = append(r.Findings, finding.Finding{Check: "overcommitted", Subject: "host", Verdict: finding.Note})
		got := layout.Filter(r, o)
		var subjects []string
		for _, f := range got.Findings {
			subjects = append(subjects, f.Subject)
		}
		if d, f := namesOf(got), strings.Join(subjects, " "); d != c.domains || f != c.findings {
			t.Errorf("--domain %q: domains %q, findings about %q; want %q, %q", c.want, d, f, c.domains, c.findings)
		}
		if m := strings.Join(layout.Missing(r, o), " "); m != c.missing {
			t.Errorf("--domain %q: missing %q, want %q", c.want, m, c.missing)
		}
	}
}

func screen(t interface{ Fatal(...any) }, r report.Report, o layout.Options) string {
	var b bytes.Buffer
	if err := render.Text(&b, layout.Document(r, o), render.Options{Width: 100, Wide: o.Wide}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestUnits(t *testing.T) {
	r := load()
	for unit, want := range map[string]string{
		"": "2,751,488", "kib": "2,751,488", "MiB": "2,687.0", "GiB": "2.62", "pages": "687,872",
	} {
		words := strings.Fields(screen(t, r, layout.Options{Units: unit}))
		if i := slices.Index(words, "total"); i < 0 || words[i+1] != want {
			t.Errorf("--units %q: the total is not %s in %q", unit, want, words)
		}
	}
	for total, want := range map[int64]string{2751488: "KiB", 4 << 20: "MiB", 512 << 20: "MiB", 1 << 30: "GiB"} {
		r.Host.Total = kib(total)
		got, _, _ := strings.Cut(screen(t, r, layout.Options{}), "\n---")
		if !strings.HasSuffix(got, want) {
			t.Errorf("a host of %d KiB is not shown in %s", total, want)
		}
	}
	got, _, _ := strings.Cut(screen(t, report.Report{}, layout.Options{}), "\n---")
	if !strings.HasSuffix(got, "MiB") {
		t.Errorf("a host of which nothing is known:\n%s", got)
	}
}

// TestListingOnly: a saved tmem listing has no memory of host and domains. What
// is not known is left out or said once, and nothing is 0 that is not.
func TestListingOnly(t *testing.T) {
	r := load()
	r.Source = "listing"
	h := r.Host
	r.Host = report.Host{
		Persistent: h.Persistent, Ephemeral: h.Ephemeral, FreeList: h.FreeList, Freeable: h.Freeable, FreeableEstimate: true,
	}
	var clients []report.Domain
	for _, d := range r.Domains {
		if d.Client != nil {
			clients = append(clients, report.Domain{ID: d.ID, Client: d.Client})
		}
	}
	r.Domains = clients
	const want = `Host memory                   KiB
------------------------  -------
guests' persistent pools   59,192
ephemeral pools           660,900
tmem's free list            1,020

Overcommit ratio  could not tell
Freeable          661,920 KiB (estimate: ephemeral pages and tmem's free list)

Ephemeral pools, since each domain's first tmem call
`
	got := screen(t, r, layout.Options{})
	_, body, _ := strings.Cut(got, "\n\n")
	if !strings.HasPrefix(body, want) || !strings.Contains(got, "domain 2") {
		t.Errorf("got\n%s", got)
	}
}

// TestScreenFits: whatever a host's figures are, in the unit that is chosen
// for it the screen has 100 columns, no blank at the end of a line and nothing
// that a terminal would act upon.
func TestScreenFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := interval()
		if rapid.Bool().Draw(t, "hostile") {
			h := hostile()
			for i := range r.Domains {
				r.Domains[i].Name = h.Domains[(i+rapid.IntRange(0, 13).Draw(t, "name"))%14].Name
			}
		}
		total := rapid.Int64Range(1<<18, 12<<30).Draw(t, "total KiB") // 256 MiB to 12 TiB
		r.Host.Total = kib(total)
		memory := func() opt.Value[units.KiB] {
			if rapid.Bool().Draw(t, "absent") {
				return opt.Value[units.KiB]{}
			}
			return kib(rapid.Int64Range(0, min(total, 1<<30)).Draw(t, "KiB"))
		}
		counter := func() report.Counter {
			c := total
			return report.Counter{
				Total: n(rapid.Int64Range(0, 1<<31).Draw(t, "count")), PerSecond: opt.Of(float64(min(c, 99999))),
			}
		}
		for i := range r.Domains {
			d := &r.Domains[i]
			d.ID = opt.Of(units.DomID(rapid.IntRange(0, 32751).Draw(t, "id")))
			d.Current, d.PersistentMemory, d.Maximum = memory(), memory(), memory()
			d.Reclaimed, d.RoomForPuts, d.Target = memory(), memory(), memory()
			if d.Client == nil {
				continue
			}
			c, e, p := *d.Client, *d.Ephemeral(), report.Persistent{}
			e.DiskReadsAvoided, e.Puts, e.LostOrFlushed = counter(), counter(), counter().Total
			p.Refused, p.SwapWritesAvoided, p.SwapReadsAvoided = counter(), counter(), counter()
			c.Weight = n(rapid.Int64Range(0, 999999).Draw(t, "weight"))
			c.Ephemeral, c.Persistent = &e, &p
			d.Client = &c
		}
		for line := range strings.Lines(screen(t, r, layout.Options{Pools: true})) {
			line = strings.TrimSuffix(line, "\n")
			if w := displaywidth.String(line); w > 100 {
				t.Errorf("%d columns: %s", w, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("blanks at the end: %q", line)
			}
			if render.Escape(line) != line {
				t.Errorf("not escaped: %q", line)
			}
		}
	})
}

// TestJSONIsEncodingJSON: the walk over the values writes what encoding/json
// writes.
func TestJSONIsEncodingJSON(t *testing.T) {
	for name, r := range map[string]report.Report{"load": load(), "interval": interval(), "no tmem": noTmem(), "zero": {}} {
		for _, indent := range []bool{false, true} {
			var got bytes.Buffer
			if err := render.JSON(&got, r, indent); err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if indent {
				err = json.Indent(&want, b, "", "  ")
			} else {
				want.Write(b)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String()+"\n", got.String()); diff != "" {
				t.Errorf("%s, indent %t (-encoding/json +render):\n%s", name, indent, diff)
			}
		}
	}
}

// TestJSONRoundTrips: hostile names come back as they were.
func TestJSONRoundTrips(t *testing.T) {
	want := hostile()
	var b bytes.Buffer
	if err := render.JSON(&b, want, true); err != nil {
		t.Fatal(err)
	}
	if s := strings.ReplaceAll(b.String(), "\n", ""); render.Escape(s) != s {
		t.Error("the JSON holds what a terminal would act upon")
	}
	var got report.Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, d := range got.Domains {
		// encoding/json has no way to write a byte that is not UTF-8.
		if name := string([]rune(want.Domains[i].Name)); d.Name != name {
			t.Errorf("%q became %q", name, d.Name)
		}
	}
}
