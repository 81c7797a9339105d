package layout

import (
	"slices"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// headline says which host this is, when it was read and what stands out.
func headline(r report.Report) []render.Block {
	title := "xtm report"
	if r.Host.Name != "" {
		title += " of " + r.Host.Name
	}
	var fields render.Fields
	if r.Recorded != "" {
		title += ": RECORDED, not live"
		fields = append(fields, render.Field{Label: "Recorded", Text: r.Recorded})
	}
	return []render.Block{
		render.Heading{Level: 1, Text: title},
		append(fields,
			render.Field{Label: "Host", Text: hostText(r.Host)},
			render.Field{Label: "Read", Text: readText(r)},
			render.Field{Label: "tmem", Text: tmemText(r.Tmem), Advice: r.Tmem.Advice},
			render.Field{Label: "Findings", Text: findingsText(r.Findings)},
		),
	}
}

func hostText(h report.Host) string {
	name := h.Name
	if name == "" {
		name = "name unknown"
	}
	s := name + ", Xen " + h.Version.String()
	if h.Release != "" {
		s += ", Dom0 kernel " + h.Release
	}
	return s
}

func readText(r report.Report) string {
	s := "from " + r.Source
	begin, end := stamp(r.Begin), stamp(r.End)
	switch {
	case end == "":
		s += ", at an unknown time"
	case begin == "":
		s += ", " + end
	default:
		s += ", " + begin + " to " + end + " (" + render.Duration(r.End.Sub(r.Begin)) + ")"
	}
	if d, ok := r.Interval.Get(); ok {
		s += ", compared with " + render.Duration(d) + " before"
	}
	return s
}

func tmemText(t xen.TmemState) string {
	word := map[xen.TmemAnswer]string{
		xen.TmemOn: "on", xen.TmemOff: "OFF", xen.TmemCompiledOut: "NOT BUILT into this Xen", xen.TmemRemoved: "REMOVED from this Xen",
	}[t.Answer]
	if word == "" {
		word = "could not tell"
	}
	if t.Evidence == "" {
		return word
	}
	return word + ": " + t.Evidence
}

// findingsText counts the verdicts, worst first.
func findingsText(list []finding.Finding) string {
	if len(list) == 0 {
		return "none"
	}
	n := map[finding.Verdict]int{}
	for _, f := range list {
		n[f.Verdict]++
	}
	var parts []string
	for _, v := range []finding.Verdict{
		finding.Dangerous, finding.Bad, finding.Warning, finding.CouldNotTell, finding.TooFew, finding.Note, finding.Good,
	} {
		if n[v] > 0 {
			parts = append(parts, render.Word(v)+" "+strconv.Itoa(n[v]))
		}
	}
	return strings.Join(parts, ", ") + "; see the end"
}

// band is a part of the host's memory.
type band struct {
	name string
	size opt.Value[units.KiB]
}

// bandsOf are the total and parts that add up to it. Without a total (a tmem
// listing) there are only the parts that tmem knows.
func bandsOf(h report.Host) []band {
	if !h.Total.Has() {
		return []band{
			{"guests' persistent pools", h.Persistent}, {"ephemeral pools", h.Ephemeral}, {"tmem's free list", h.FreeList},
		}
	}
	list := []band{{"total", h.Total}, {"  Xen's own", h.XensOwn}, {"  Dom0", h.Dom0}, {"  guests", h.Guests}}
	if h.Persistent.Has() {
		list = append(list, band{"    of it persistent pools", h.Persistent})
	}
	switch {
	case h.Ephemeral.Has() || h.FreeList.Has():
		list = append(list, band{"  ephemeral pools", h.Ephemeral}, band{"  tmem's free list", h.FreeList})
	case h.Freeable.Has(): // the one figure that stands for the two
		list = append(list, band{"  freeable by tmem", h.Freeable})
	}
	return append(list, band{"  free", h.Free})
}

// bands shows who has the host's memory.
func bands(h report.Host, u render.Unit) render.Table {
	t := tableOf("", []column[band]{
		text(people, "", "Host memory", func(b band) render.Cell { return render.Str(b.name) }),
		number(people, "", "", u, func(b band) render.Cell { return sizeCell(b.size) }),
	}, bandsOf(h), people)
	t.Absent = "could not tell"
	return t
}

// overcommit puts into words what was promised and what there is.
func overcommit(h report.Host, u render.Unit) render.Fields {
	show := func(k opt.Value[units.KiB]) string { return opt.Map(k, u.Format).Or("not known") }
	var fields render.Fields
	add := func(label, text string) { fields = append(fields, render.Field{Label: label, Text: text}) }
	ratio := "could not tell"
	if v, ok := h.Overcommit.Get(); ok {
		ratio = strconv.FormatFloat(v, 'f', 2, 64) + " = guests' maximum " + show(h.GuestsMaximum) + " / guests' memory " +
			show(h.GuestsMemory)
	}
	add("Overcommit ratio", ratio)
	switch short, ok := h.Shortfall.Get(); {
	case ok && short == 0:
		add("Shortfall", "none: all guests can grow to their maximum at once")
	case ok:
		add("Shortfall", u.Format(short)+" if all guests grow to their maximum")
	}
	if h.Reclaimed.Has() {
		add("Reclaimed", show(h.Reclaimed)+": guests' maximum less what they have now")
	}
	switch {
	case h.FreeableEstimate:
		add("Freeable", show(h.Freeable)+" (estimate: ephemeral pages and tmem's free list)")
	case h.Freeable.Has():
		add("Freeable", show(h.Freeable)+" (Xen's own figure)")
	}
	return fields
}

// hostCounter is a line of the host's table.
type hostCounter struct {
	name string
	report.Counter
}

// hostCounters are tmem's figures for the whole host, and whether there are
// any.
func hostCounters(r report.Report) (render.Table, bool) {
	h := r.Host
	all := []hostCounter{
		{"disk reads avoided, pages (sum of the domains)", h.DiskReadsAvoided},
		{"swap writes avoided, pages (sum of the domains)", h.SwapWritesAvoided},
		{"swap reads avoided, pages (sum of the domains)", h.SwapReadsAvoided},
		{"evicted, pages", h.Evicted},
		{"relinquished to Xen, pages", h.Relinquished},
		{"page allocations that failed", h.FailedPages},
		{"low-memory events", h.LowMemory},
	}
	columns := []column[hostCounter]{
		text(people, "", "tmem on the whole host", func(c hostCounter) render.Cell { return render.Str(c.name) }),
		number(people, "", "total", "", func(c hostCounter) render.Cell { return countCell(c.Total) }),
	}
	if d, ok := r.Interval.Get(); ok {
		columns = append(columns,
			number(people, "", "in "+render.Duration(d), "", func(c hostCounter) render.Cell { return countCell(c.Interval) }),
			number(people, "", "per second", "", func(c hostCounter) render.Cell { return rateCell(c.Counter) }))
	}
	t := tableOf("", columns, all, people)
	t.Absent = "not told by this source"
	t.Notes = []string{"Total: since boot; the sums count since each domain's first tmem call."}
	return t, slices.ContainsFunc(all, func(c hostCounter) bool { return c.Total.Has() })
}
