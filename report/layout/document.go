package layout

import (
	"slices"

	"xtm/internal/render"
	"xtm/report"
	"xtm/xen"
)

// Document is the report for people. The problems stand at its end, where the
// eye is after a long list.
func Document(r report.Report, o Options) render.Document {
	overview, tables, troubles := Parts(r, o)
	return slices.Concat(overview, tables, troubles)
}

// Parts are the three parts of a Document: the host, the domains, and the
// problems.
func Parts(r report.Report, o Options) (overview, tables, troubles render.Document) {
	missing := Missing(r, o)
	r = Filter(r, o)
	u, domains := o.unit(r.Host), domainsOf(r)
	overview = append(overview, headline(r)...)
	overview = append(overview, bands(r.Host, u), overcommit(r.Host, u))
	for _, want := range missing {
		overview = append(overview, render.Paragraph("There is no domain "+want+" on this host."))
	}
	tables = append(tables, memory(domains, o, u)...)
	tables = append(tables, savings(r, domains, o, u)...)
	if t, ok := hostCounters(r); ok {
		tables = append(tables, t)
	}
	tables = append(tables, guests(r, domains, o, u)...)
	if o.Pools {
		tables = append(tables, pools(r, o, u)...)
	}
	return overview, tables, problems(r, o)
}

// memory is the table of all domains; a source that tells nothing of their
// memory (a tmem listing) has no use for one.
func memory(domains []*domain, o Options, u render.Unit) []render.Block {
	if !slices.ContainsFunc(domains, func(d *domain) bool { return d.Current.Has() || d.Maximum.Has() }) {
		return nil
	}
	t := tableOf("Domains", memoryColumns(u), domains, o.shown())
	t.Absent = "no such pool, or not told by this source"
	return []render.Block{t}
}

// savings are the tables of the domains that are tmem clients.
func savings(r report.Report, domains []*domain, o Options, u render.Unit) []render.Block {
	var clients, others []*domain
	for _, d := range domains {
		if d.Client != nil {
			clients = append(clients, d)
		} else if !d.Dom0 {
			others = append(others, d)
		}
	}
	if len(clients) == 0 {
		return nil
	}
	const absent = "no such pool, nothing counted, or not told by this source"
	e := tableOf("Ephemeral pools, since each domain's first tmem call", ephemeralColumns(u), clients, o.shown())
	e.Absent = absent
	e.Notes = []string{
		"Hit rate: of counted gets. Disk reads avoided: compared with the same balloon size without tmem. " +
			"Lost or flushed: at most.",
	}
	p := tableOf("Persistent pools, since each domain's first tmem call", persistentColumns(u), clients, o.shown())
	p.Absent = absent
	if len(others) > 0 && r.Tmem.Answer == xen.TmemOn {
		p.Notes = []string{"No tmem client: " + names(others) + "."}
	}
	blocks := []render.Block{e, p}
	if d, ok := r.Interval.Get(); ok {
		in := tableOf("In the last "+render.Duration(d), intervalColumns(), clients, o.shown())
		if r.Recorded != "" {
			in.Title = "In the " + render.Duration(d) + " before " + stamp(r.End)
		}
		in.Absent = "no such pool, nothing counted, or counters that started again"
		in.Notes = resets(clients)
		blocks = append(blocks, in)
	}
	return blocks
}

// resets says which domains have no interval, and why.
func resets(domains []*domain) []string {
	var notes []string
	for _, why := range []struct {
		report.Reset
		text string
	}{
		{report.ResetNew, "New since then: "},
		{report.ResetRenumbered, "Rebooted, restored or migrated since then: "},
		{report.ResetReborn, "Created again since then: "},
		{report.ResetCounters, "Counters started again: "},
	} {
		hit := slices.DeleteFunc(slices.Clone(domains), func(d *domain) bool { return d.Reset != why.Reset })
		if len(hit) > 0 {
			notes = append(notes, why.text+names(hit)+".")
		}
	}
	return notes
}

// guests is what guests say of themselves: where one of them speaks, and where
// tmem tells nothing of what they need.
func guests(r report.Report, domains []*domain, o Options, u render.Unit) []render.Block {
	var speak, silent []*domain
	for _, d := range domains {
		switch {
		case d.Guest.Has():
			speak = append(speak, d)
		case !d.Dom0:
			silent = append(silent, d)
		}
	}
	if len(speak) == 0 {
		if len(silent) == 0 || r.Tmem.Answer == xen.TmemOn {
			return nil
		}
		return []render.Block{render.Paragraph("Memory available in the guests: guest does not say (" + names(silent) + ").")}
	}
	t := tableOf("Memory available in the guests, as they say themselves", guestColumns(u), speak, o.shown())
	t.Absent = "not among what this guest writes"
	if len(silent) > 0 {
		t.Notes = []string{"Guest does not say: " + names(silent) + "."}
	}
	return []render.Block{t}
}

// problems are what could not be read, what contradicts itself, and the
// findings.
func problems(r report.Report, o Options) []render.Block {
	var blocks []render.Block
	if len(r.Gaps) > 0 {
		fields := make(render.Fields, len(r.Gaps))
		for i, g := range r.Gaps {
			fields[i] = render.Field{Label: g.What, Text: g.Why, Advice: g.Advice}
		}
		blocks = append(blocks, render.Heading{Level: 2, Text: "Not read"}, fields)
	}
	if len(r.Notes) > 0 {
		blocks = append(blocks, render.Heading{Level: 2, Text: "Notes on what was read"}, render.Bullets(r.Notes))
	}
	blocks = append(blocks, render.Heading{Level: 2, Text: "Findings"})
	if len(r.Findings) == 0 {
		return append(blocks, render.Paragraph("No findings."))
	}
	return append(blocks, render.Findings{List: r.Findings, Evidence: o.Wide})
}
