// Package layout decides what of a report.Report people and spreadsheets see,
// and in which order. It computes nothing: what it shows is in the Report.
package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// Options say what of a Report to show.
type Options struct {
	// Units of memory: "auto" or "", "pages", "KiB", "MiB", "GiB", in any case.
	// CSV and JSON stay in KiB and pages.
	Units string
	// Wide shows all columns, whole names, ratios with their parts and the
	// evidence of findings.
	Wide bool
	// Pools shows each pool.
	Pools bool
	// Sort is one of SortKeys; "" leaves the domains in the report's order.
	Sort string
	// Domains are names, numbers or uuids of the domains to show; none is all.
	Domains []string
}

// Check returns an error for a unit or a sort key that there is none of.
func (o Options) Check() error {
	if o.Units != "" && !strings.EqualFold(o.Units, "auto") && unitNamed(o.Units) == "" {
		return fmt.Errorf("no unit is called %q; units are: auto, pages, KiB, MiB, GiB", o.Units)
	}
	if o.Sort != "" && !slices.Contains(SortKeys(), o.Sort) {
		return fmt.Errorf("cannot sort by %q; sort by: %s", o.Sort, strings.Join(SortKeys(), ", "))
	}
	return nil
}

func unitNamed(s string) render.Unit {
	for _, u := range []render.Unit{render.Pages, render.KiB, render.MiB, render.GiB} {
		if strings.EqualFold(s, string(u)) {
			return u
		}
	}
	return ""
}

// unit is the unit of memory for a host: the one asked for, else one in which
// figures have up to nine characters and small hosts stay exact.
func (o Options) unit(h report.Host) render.Unit {
	if u := unitNamed(o.Units); u != "" {
		return u
	}
	const gib = 1 << 20 // in KiB
	switch total := h.Total.Or(0); {
	case total == 0, total >= 4*gib && total < 1024*gib:
		return render.MiB
	case total < 4*gib:
		return render.KiB
	default:
		return render.GiB
	}
}

// sortKey orders domains by a figure, the largest first and absent ones last.
type sortKey struct {
	name   string
	figure func(report.Domain) opt.Value[float64]
}

func sortKeys() []sortKey {
	size := func(get func(report.Domain) opt.Value[units.KiB]) func(report.Domain) opt.Value[float64] {
		return func(d report.Domain) opt.Value[float64] {
			return opt.Map(get(d), func(k units.KiB) float64 { return float64(k) })
		}
	}
	of := func(get func(report.Domain) xen.Count) func(report.Domain) opt.Value[float64] {
		return func(d report.Domain) opt.Value[float64] {
			return opt.Map(get(d), func(n int64) float64 { return float64(n) })
		}
	}
	return []sortKey{
		{"name", nil},
		{"id", nil},
		{"current", size(func(d report.Domain) opt.Value[units.KiB] { return d.Current })},
		{"maximum", size(func(d report.Domain) opt.Value[units.KiB] { return d.Maximum })},
		{"reclaimed", size(func(d report.Domain) opt.Value[units.KiB] { return d.Reclaimed })},
		{"room", size(func(d report.Domain) opt.Value[units.KiB] { return d.RoomForPuts })},
		{"ephemeral", of(func(d report.Domain) xen.Count { return ephemeralOf(d).Pages })},
		{"hit-rate", func(d report.Domain) opt.Value[float64] { return ephemeralOf(d).HitRate.Total.Value }},
		{"persistent", of(func(d report.Domain) xen.Count { return persistentOf(d).Pages })},
		{"acceptance", func(d report.Domain) opt.Value[float64] { return persistentOf(d).Acceptance.Total.Value }},
		{"refused", of(func(d report.Domain) xen.Count { return persistentOf(d).Refused.Total })},
		{"saved", of(saved)},
	}
}

// saved is the number of reads and writes that tmem spared a domain: a key to
// sort by, never shown.
func saved(d report.Domain) xen.Count {
	e, p := ephemeralOf(d), persistentOf(d)
	var sum xen.Count
	for _, c := range []report.Counter{e.DiskReadsAvoided, p.SwapWritesAvoided, p.SwapReadsAvoided} {
		if n, ok := c.Total.Get(); ok {
			sum = opt.Of(sum.Or(0) + n)
		}
	}
	return sum
}

// SortKeys are the values of Options.Sort.
func SortKeys() []string {
	keys := sortKeys()
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// Filter returns the report with the domains that the options name, in the
// order that they want, and without findings about other domains. The host's
// figures stay those of the whole host.
func Filter(r report.Report, o Options) report.Report {
	r.Domains = slices.Clone(r.Domains)
	if len(o.Domains) > 0 {
		shown, hidden := map[string]bool{}, map[string]bool{}
		r.Domains = slices.DeleteFunc(r.Domains, func(d report.Domain) bool {
			if slices.ContainsFunc(o.Domains, func(want string) bool { return named(d, want) }) {
				shown[label(d)] = true
				return false
			}
			hidden[label(d)] = true
			return true
		})
		r.Findings = slices.Clone(r.Findings)
		for i := len(r.Findings) - 1; i >= 0; i-- {
			if s := r.Findings[i].Subject; hidden[s] && !shown[s] {
				r.Findings = slices.Delete(r.Findings, i, i+1)
			}
		}
	}
	sortDomains(r.Domains, o.Sort)
	return r
}

// Missing are the domains that the options name and the report has not.
func Missing(r report.Report, o Options) []string {
	var out []string
	for _, want := range o.Domains {
		if !slices.ContainsFunc(r.Domains, func(d report.Domain) bool { return named(d, want) }) {
			out = append(out, want)
		}
	}
	return out
}

// named tells whether a domain goes by this name, number or uuid.
func named(d report.Domain, want string) bool {
	id, ok := d.ID.Get()
	return want == d.Name || ok && want == strconv.Itoa(int(id)) || d.UUID != "" && strings.EqualFold(want, d.UUID)
}

func sortDomains(domains []report.Domain, key string) {
	compare := func(report.Domain, report.Domain) int { return 0 }
	switch i := slices.IndexFunc(sortKeys(), func(k sortKey) bool { return k.name == key }); {
	case i < 0:
		return
	case key == "name":
		compare = func(a, b report.Domain) int { return cmp.Compare(a.Name, b.Name) }
	case key == "id":
		compare = func(a, b report.Domain) int {
			return lastWhereAbsent(a.ID, b.ID, func(a, b units.DomID) int { return cmp.Compare(a, b) })
		}
	default:
		figure := sortKeys()[i].figure
		compare = func(a, b report.Domain) int {
			return lastWhereAbsent(figure(a), figure(b), func(a, b float64) int { return cmp.Compare(b, a) })
		}
	}
	slices.SortStableFunc(domains, compare)
}

func lastWhereAbsent[T any](a, b opt.Value[T], compare func(a, b T) int) int {
	x, hasX := a.Get()
	y, hasY := b.Get()
	switch {
	case hasX && hasY:
		return compare(x, y)
	case hasX:
		return -1
	case hasY:
		return 1
	default:
		return 0
	}
}

// label is how findings speak of a domain, and what stands in tables.
func label(d report.Domain) string {
	id, ok := d.ID.Get()
	switch {
	case d.Name != "":
		return d.Name
	case ok:
		return "domain " + strconv.Itoa(int(id))
	default:
		return "(unnamed)"
	}
}

// clientOf is a domain's tmem client; all of it is absent where there is none.
func clientOf(d report.Domain) report.Client {
	c, _ := d.Client.Get()
	return c
}

func ephemeralOf(d report.Domain) report.Ephemeral {
	e, _ := clientOf(d).Ephemeral.Get()
	return e
}

func persistentOf(d report.Domain) report.Persistent {
	p, _ := clientOf(d).Persistent.Get()
	return p
}
