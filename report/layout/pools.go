package layout

import (
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// pool is a pool with the domain that it belongs to; a shared one has none.
type pool struct {
	report.Pool
	name string
	id   opt.Value[units.DomID]
}

// poolsOf are the pools of all domains in their order, then the shared ones.
func poolsOf(r report.Report) []pool {
	var out []pool
	for _, d := range domainsOf(r) {
		for _, p := range d.client.Pools {
			out = append(out, pool{p, d.label, d.ID})
		}
	}
	for _, p := range r.SharedPools {
		of := make([]string, len(p.Sharers))
		for i, id := range p.Sharers {
			of[i] = strconv.Itoa(int(id))
		}
		out = append(out, pool{Pool: p, name: strings.TrimSpace("shared " + strings.Join(of, " "))})
	}
	return out
}

// pools is the table of all pools.
func pools(r report.Report, o Options, u render.Unit) []render.Block {
	list := poolsOf(r)
	if len(list) == 0 {
		return []render.Block{render.Paragraph("No pools, or none told by this source.")}
	}
	t := tableOf("Pools, since each domain's first tmem call", poolColumns(u), list, o.shown())
	t.Absent = "nothing counted, or not told by this source"
	return []render.Block{t}
}

func poolColumns(u render.Unit) []column[pool] {
	count := func(w where, key, name string, unit render.Unit, get func(pool) xen.Count) column[pool] {
		return number(w, key, name, unit, func(p pool) render.Cell { return countCell(get(p)) })
	}
	share := func(key, name string, get func(pool) report.Efficiency) column[pool] {
		return number(always, key, name, render.Percent, func(p pool) render.Cell { return shareCell(get(p).Total) })
	}
	puts := func(p pool) report.Efficiency { return p.Puts }
	gets := func(p pool) report.Efficiency { return p.Gets }
	name := text(always, "name", "name", func(p pool) render.Cell { return render.Str(p.name) })
	name.Cut = nameWidth
	return []column[pool]{
		name,
		number(data, "domid", "id", "", func(p pool) render.Cell { return idCell(p.id) }),
		number(always, "pool", "pool", "", func(p pool) render.Cell {
			if p.IdentityLost {
				return render.Cell{}
			}
			return render.Int(int64(p.ID))
		}),
		text(always, "kind", "kind", func(p pool) render.Cell { return render.Str(kindOf(p.Pool)) }),
		number(people, "", "now", u, func(p pool) render.Cell { return pagesCell(p.Pages) }),
		count(detail, "pages", "now", render.Pages, func(p pool) xen.Count { return p.Pages }),
		count(detail, "peak_pages", "peak", render.Pages, func(p pool) xen.Count { return p.Peak }),
		count(detail, "objects", "objects", "", func(p pool) xen.Count { return p.Objects }),
		share("puts_accepted_ratio", "puts\naccepted", puts),
		count(always, "puts_attempted", "puts\nattempted", render.Pages, func(p pool) xen.Count { return puts(p).Total.Whole }),
		count(always, "puts_refused", "puts\nrefused", render.Pages, func(p pool) xen.Count { return p.Refused.Total }),
		share("gets_found_ratio", "gets\nfound", gets),
		count(always, "gets_counted", "gets\ncounted", render.Pages, func(p pool) xen.Count { return gets(p).Total.Whole }),
	}
}

func kindOf(p report.Pool) string {
	kind := "ephemeral"
	if p.Persistent {
		kind = "persistent"
	}
	if p.Shared {
		kind += ", shared"
	}
	return kind
}
