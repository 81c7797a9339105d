// Package layout decides what of a report.Report people and spreadsheets see,
// and in which order. It computes nothing: what it shows is in the Report.
package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/finding"
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
	switch most := max(h.Total.Or(0), h.Guests.Or(0), h.Ephemeral.Or(0)); {
	case most == 0, most >= 4*gib && most < 1024*gib:
		return render.MiB
	case most < 4*gib:
		return render.KiB
	default:
		return render.GiB
	}
}

// sortKey orders domains by a figure, the largest first and absent ones last.
type sortKey struct {
	name   string
	figure func(*domain) opt.Value[float64]
}

func sortKeys() []sortKey {
	size := func(get func(*domain) opt.Value[units.KiB]) func(*domain) opt.Value[float64] {
		return func(d *domain) opt.Value[float64] {
			return opt.Map(get(d), func(k units.KiB) float64 { return float64(k) })
		}
	}
	count := func(get func(*domain) xen.Count) func(*domain) opt.Value[float64] {
		return func(d *domain) opt.Value[float64] {
			return opt.Map(get(d), func(n int64) float64 { return float64(n) })
		}
	}
	return []sortKey{
		{"name", nil},
		{"id", nil},
		{"current", size(func(d *domain) opt.Value[units.KiB] { return d.Current })},
		{"maximum", size(func(d *domain) opt.Value[units.KiB] { return d.Maximum })},
		{"reclaimed", size(func(d *domain) opt.Value[units.KiB] { return d.Reclaimed })},
		{"room", size(func(d *domain) opt.Value[units.KiB] { return d.RoomForPuts })},
		{"ephemeral", count(func(d *domain) xen.Count { return d.ephemeral.Pages })},
		{"hit-rate", func(d *domain) opt.Value[float64] { return d.ephemeral.HitRate.Total.Value }},
		{"persistent", count(func(d *domain) xen.Count { return d.persistent.Pages })},
		{"acceptance", func(d *domain) opt.Value[float64] { return d.persistent.Acceptance.Total.Value }},
		{"refused", count(func(d *domain) xen.Count { return d.persistent.Refused.Total })},
		{"saved", count(saved)},
	}
}

// saved is the number of reads and writes that tmem spared a domain: a key to
// sort by, never shown.
func saved(d *domain) xen.Count {
	var sum xen.Count
	for _, c := range []report.Counter{
		d.ephemeral.DiskReadsAvoided, d.persistent.SwapWritesAvoided, d.persistent.SwapReadsAvoided,
	} {
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
	domains := domainsOf(r)
	if len(o.Domains) > 0 {
		shown, hidden := map[string]bool{}, map[string]bool{}
		domains = slices.DeleteFunc(domains, func(d *domain) bool {
			if slices.ContainsFunc(o.Domains, d.named) {
				shown[d.label] = true
				return false
			}
			hidden[d.label] = true
			return true
		})
		r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f finding.Finding) bool {
			return hidden[f.Subject] && !shown[f.Subject]
		})
	}
	sortDomains(domains, o.Sort)
	r.Domains = make([]report.Domain, len(domains))
	for i, d := range domains {
		r.Domains[i] = *d.Domain
	}
	return r
}

// Missing are the domains that the options name and the report has not.
func Missing(r report.Report, o Options) []string {
	if len(o.Domains) == 0 {
		return nil
	}
	domains := domainsOf(r)
	var out []string
	for _, want := range o.Domains {
		if !slices.ContainsFunc(domains, func(d *domain) bool { return d.named(want) }) {
			out = append(out, want)
		}
	}
	return out
}

func sortDomains(domains []*domain, key string) {
	i := slices.IndexFunc(sortKeys(), func(k sortKey) bool { return k.name == key })
	if i < 0 {
		return
	}
	figure := sortKeys()[i].figure
	slices.SortStableFunc(domains, func(a, b *domain) int {
		switch key {
		case "name":
			return cmp.Compare(a.Name, b.Name)
		case "id":
			return lastWhereAbsent(a.ID, b.ID, cmp.Compare[units.DomID])
		default:
			return lastWhereAbsent(figure(a), figure(b), func(a, b float64) int { return cmp.Compare(b, a) })
		}
	})
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
