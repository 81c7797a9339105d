package cli

import (
	"fmt"
	"time"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report/history"
	"xtm/xen"
)

// trendTable is one row for each point of a domain.
func trendTable(t trend) render.Table {
	table := render.Table{}
	for _, key := range []string{
		"since", "until", "name", "domid", "uuid", "samples", "resets", "current_kib", "ephemeral_pages", "persistent_pages",
		"hit_rate", "put_acceptance", "disk_reads_avoided_pages", "swap_writes_avoided_pages", "swap_reads_avoided_pages",
	} {
		table.Columns = append(table.Columns, render.Column{Key: key})
	}
	number := func(c xen.Count) render.Cell { return opt.Map(c, render.Int).Or(render.Cell{}) }
	share := func(v opt.Value[float64]) render.Cell { return opt.Map(v, render.Share).Or(render.Cell{}) }
	for _, d := range t.Domains {
		id := opt.Map(d.ID, func(id units.DomID) render.Cell { return render.Int(int64(id)) }).Or(render.Cell{})
		for _, p := range d.Points {
			table.Rows = append(table.Rows, []render.Cell{
				render.Str(p.Since.Format(time.RFC3339)), render.Str(p.Until.Format(time.RFC3339)), render.Str(d.Name), id, render.Str(d.UUID),
				render.Int(int64(p.Samples)), render.Int(int64(p.Resets)), number(p.Current), number(p.Ephemeral), number(p.Persistent),
				share(p.HitRate), share(p.Acceptance), number(p.DiskReadsAvoided), number(p.SwapWritesAvoided), number(p.SwapReadsAvoided),
			})
		}
	}
	return table
}

// trendDocument draws a line of characters for each figure, this many wide.
func trendDocument(r history.Range, width int) render.Document {
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
	doc := render.Document{render.Heading{Level: 1, Text: "xtm trend, " + at(r.From) + " to " + at(r.To)}}
	if len(r.Host) == 0 {
		return append(doc, render.Paragraph("History has nothing of that time."))
	}
	word := "Each mark is " + render.Duration(r.Step) + " of snapshots"
	if r.Hours {
		word = "Each mark is " + render.Duration(r.Step) + ", made of whole hours"
	}
	doc = append(doc, render.Paragraph(word+". Memory is drawn from 0 to its highest, ratios from 0 to 100 %; · is nothing told or counted."))
	doc = append(doc, hostTrend(r, width), domainTrend(r, width))
	if len(r.Gaps) > 0 {
		var lines render.Bullets
		for _, g := range r.Gaps {
			lines = append(lines, "no snapshot between "+at(g.From)+" and "+at(g.To))
		}
		doc = append(doc, render.Heading{Level: 2, Text: "Gaps"}, lines)
	}
	return doc
}

// hostTrend is a line for each of the host's bands.
func hostTrend(r history.Range, width int) render.Table {
	t := render.Table{Columns: []render.Column{
		{Name: "Host memory"},
		{Name: "over time"},
		{Name: "lowest", Unit: render.MiB, Align: render.Right},
		{Name: "highest", Unit: render.MiB, Align: render.Right},
		{Name: "last", Unit: render.MiB, Align: render.Right},
	}, Absent: "not told"}
	last := &r.Host[len(r.Host)-1]
	for _, band := range []struct {
		name   string
		column history.HostColumn
		kib    int64 // what one of the column's units is
	}{
		{"guests", history.Guests, 1},
		{"of it persistent pools", history.GuestsPersistent, 1},
		{"ephemeral pools", history.HostEphemeralPages, 4},
		{"free", history.Free, 1},
	} {
		size := func(c xen.Count) render.Cell {
			return opt.Map(c, func(n int64) render.Cell { return render.Size(units.KiB(n * band.kib)) }).Or(render.Cell{})
		}
		line := make([]opt.Value[float64], width)
		var low, high xen.Count
		for i := range r.Host {
			p := &r.Host[i]
			mark(line, p.Index, opt.Map(p.Mean(band.column), func(n int64) float64 { return float64(n) }))
			low, high = least(low, p.Low(band.column)), most(high, p.High(band.column))
		}
		t.Rows = append(t.Rows, []render.Cell{
			render.Str(band.name), render.Str(render.Spark(line, 0, highest(line))), size(low), size(high), size(last.Last(band.column)),
		})
	}
	return t
}

// domainTrend is a line for each domain.
func domainTrend(r history.Range, width int) render.Table {
	t := render.Table{Title: "Domains", Columns: []render.Column{
		{Name: "name", Cut: 16},
		{Name: "current"},
		{Name: "last", Unit: render.MiB, Align: render.Right},
		{Name: "hit rate"},
		{Name: "all", Unit: render.Percent, Align: render.Right},
		{Name: "put acceptance"},
		{Name: "all", Unit: render.Percent, Align: render.Right},
	}, Absent: "no such pool, or nothing counted"}
	for i := range r.Domains {
		s := &r.Domains[i]
		current, hits, puts := make([]opt.Value[float64], width), make([]opt.Value[float64], width), make([]opt.Value[float64], width)
		var whole history.DomainPoint
		for j := range s.Points {
			p := &s.Points[j]
			mark(current, p.Index, opt.Map(p.Mean(history.Current), func(n int64) float64 { return float64(n) }))
			mark(hits, p.Index, p.Share(history.EphemeralGets, history.EphemeralGetTries).Value)
			mark(puts, p.Index, p.Share(history.PersistentPuts, history.PersistentPutTries).Value)
			whole.Join(*p)
		}
		share := func(part, of history.Column) render.Cell {
			return opt.Map(whole.Share(part, of).Value, render.Share).Or(render.Cell{})
		}
		t.Rows = append(t.Rows, []render.Cell{
			render.Str(s.Label()),
			render.Str(render.Spark(current, 0, highest(current))),
			opt.Map(whole.Last(history.Current), func(n int64) render.Cell { return render.Size(units.KiB(n)) }).Or(render.Cell{}),
			render.Str(render.Spark(hits, 0, 1)), share(history.EphemeralGets, history.EphemeralGetTries),
			render.Str(render.Spark(puts, 0, 1)), share(history.PersistentPuts, history.PersistentPutTries),
		})
		if s.Lives > 1 || whole.Resets > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s started again %d times.", s.Label(), s.Lives-1+whole.Resets))
		}
	}
	return t
}

// mark sets a point of a line.
func mark(line []opt.Value[float64], i int, v opt.Value[float64]) {
	if i >= 0 && i < len(line) {
		line[i] = v
	}
}

func highest(line []opt.Value[float64]) float64 {
	top := 0.0
	for _, v := range line {
		top = max(top, v.Or(0))
	}
	return top
}

func least(a, b xen.Count) xen.Count {
	if n, ok := b.Get(); ok && n <= a.Or(n) {
		return b
	}
	return a
}

func most(a, b xen.Count) xen.Count {
	if n, ok := b.Get(); ok && n >= a.Or(n) {
		return b
	}
	return a
}
