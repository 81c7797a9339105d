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

// domain is a domain of a report, with what tmem has of it at hand: all of it
// absent where it is no client or has no such pool.
type domain struct {
	*report.Domain
	label      string // how findings speak of it
	client     report.Client
	ephemeral  report.Ephemeral
	persistent report.Persistent
}

func domainsOf(r report.Report) []*domain {
	out := make([]*domain, len(r.Domains))
	for i := range r.Domains {
		d := &domain{Domain: &r.Domains[i], label: r.Domains[i].Label()}
		d.client, d.ephemeral, d.persistent = orZero(d.Client), orZero(d.Ephemeral()), orZero(d.Persistent())
		out[i] = d
	}
	return out
}

// orZero spares the columns the question whether there is anything to read.
func orZero[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// named tells whether a domain goes by this name, number or uuid.
func (d *domain) named(want string) bool {
	id, ok := d.ID.Get()
	return want == d.Name || ok && want == strconv.Itoa(int(id)) || d.UUID != "" && strings.EqualFold(want, d.UUID)
}

// memoryColumns are what the hypervisor and the toolstack say of a domain.
func memoryColumns(u render.Unit) []column[*domain] {
	limit := func(d *domain) opt.Value[units.KiB] { return d.Limit }
	maximum := func(d *domain) opt.Value[units.KiB] { return d.Maximum }
	return []column[*domain]{
		nameColumn(),
		number(always, "domid", "id", "", func(d *domain) render.Cell { return idCell(d.ID) }),
		text(detail, "uuid", "uuid", func(d *domain) render.Cell { return wordCell(d.UUID) }),
		text(detail, "type", "type", func(d *domain) render.Cell { return wordCell(d.Type) }),
		text(people, "", "state", func(d *domain) render.Cell { return render.Str(stateLetters(d.State)) }),
		text(data, "state", "state", func(d *domain) render.Cell { return wordCell(stateWords(d.State)) }),
		size(always, "current", "current", u, func(d *domain) opt.Value[units.KiB] { return d.Current }),
		size(always, "persistent", "of it\npersistent", u, func(d *domain) opt.Value[units.KiB] { return d.PersistentMemory }),
		limitColumn(wide, "limit", u, limit),
		size(data, "limit", "limit", u, limit),
		yesNo(data, "unlimited", "unlimited", func(d *domain) opt.Value[bool] { return opt.Of(d.Unlimited) }),
		size(detail, "static_max", "static\nmaximum", u, func(d *domain) opt.Value[units.KiB] { return d.StaticMax }),
		limitColumn(people, "maximum", u, maximum),
		size(data, "maximum", "maximum", u, maximum),
		size(always, "reclaimed", "reclaimed", u, func(d *domain) opt.Value[units.KiB] { return d.Reclaimed }),
		size(always, "room_for_puts", "room\nfor puts", u, func(d *domain) opt.Value[units.KiB] { return d.RoomForPuts }),
		size(always, "target", "toolstack\ntarget", u, func(d *domain) opt.Value[units.KiB] { return d.Target }),
		number(detail, "uptime_seconds", "up for", "", func(d *domain) render.Cell { return spanCell(d.Uptime) }),
		number(detail, "pci_devices", "PCI\ndevices", "", func(d *domain) render.Cell {
			return opt.Map(d.PCI, func(n int) render.Cell { return render.Int(int64(n)) }).Or(render.Cell{})
		}),
	}
}

// limitColumn shows people a size that Xen need not have set at all.
func limitColumn(w where, name string, u render.Unit, get func(*domain) opt.Value[units.KiB]) column[*domain] {
	return number(w, "", name, u, func(d *domain) render.Cell {
		if k := get(d); k.Has() || !d.Unlimited {
			return sizeCell(k)
		}
		return render.Str("no limit")
	})
}

// stateFlags are the flags of a state in xl list's order.
func stateFlags(s xen.State) [6]bool {
	return [...]bool{s.Running, s.Blocked, s.Paused, s.Shutdown, s.Crashed, s.Dying}
}

// stateLetters are xl list's. Six dashes is a domain that waits for a
// processor.
func stateLetters(s xen.State) string {
	letters := []byte("rbpscd")
	for i, on := range stateFlags(s) {
		if !on {
			letters[i] = '-'
		}
	}
	return string(letters)
}

// stateWords are for programs, which take dashes for a formula.
func stateWords(s xen.State) string {
	var words []string
	for i, on := range stateFlags(s) {
		if on {
			words = append(words, [...]string{"running", "blocked", "paused", "shutdown", "crashed", "dying"}[i])
		}
	}
	return strings.Join(words, " ")
}

// ephemeralColumns are what cleancache has in Xen and what it saved.
func ephemeralColumns(u render.Unit) []column[*domain] {
	counter := func(get func(*report.Ephemeral) xen.Count) func(*domain) xen.Count {
		return func(d *domain) xen.Count { return get(&d.ephemeral) }
	}
	pages := func(e *report.Ephemeral) xen.Count { return e.Pages }
	reads := func(e *report.Ephemeral) xen.Count { return e.DiskReadsAvoided.Total }
	hits := func(d *domain) report.Ratio { return d.ephemeral.HitRate.Total }
	return []column[*domain]{
		nameColumn(),
		count(detail, "ephemeral_pools", "pools", "", counter(func(e *report.Ephemeral) xen.Count { return e.Pools })),
		number(people, "", "now", u, func(d *domain) render.Cell { return pagesCell(pages(&d.ephemeral)) }),
		count(detail, "ephemeral_pages", "now", render.Pages, counter(pages)),
		count(detail, "ephemeral_peak_pages", "peak", render.Pages, counter(func(e *report.Ephemeral) xen.Count { return e.Peak })),
		share("hit_rate", "hit\nrate", hits),
		count(data, "gets_counted", "counted gets", "", func(d *domain) xen.Count { return hits(d).Whole }),
		count(always, "disk_reads_avoided_pages", "disk reads\navoided", render.Pages, counter(reads)),
		number(people, "", "disk reads\navoided", u, func(d *domain) render.Cell {
			return pagesCell(reads(&d.ephemeral))
		}),
		count(always, "ephemeral_puts", "puts\naccepted", render.Pages,
			counter(func(e *report.Ephemeral) xen.Count { return e.Puts.Total })),
		count(always, "lost_or_flushed_at_most", "lost or\nflushed", render.Pages,
			counter(func(e *report.Ephemeral) xen.Count { return e.LostOrFlushed })),
		count(always, "weight", "weight", "", func(d *domain) xen.Count { return d.client.Weight }),
		yesNo(always, "frozen", "frozen", func(d *domain) opt.Value[bool] {
			return opt.Map(d.client.Frozen, func(n int64) bool { return n != 0 })
		}),
	}
}

// persistentColumns are what frontswap has in Xen and what it saved.
func persistentColumns(u render.Unit) []column[*domain] {
	counter := func(get func(*report.Persistent) xen.Count) func(*domain) xen.Count {
		return func(d *domain) xen.Count { return get(&d.persistent) }
	}
	pages := func(p *report.Persistent) xen.Count { return p.Pages }
	accepted := func(d *domain) report.Ratio { return d.persistent.Acceptance.Total }
	return []column[*domain]{
		nameColumn(),
		count(detail, "persistent_pools", "pools", "", counter(func(p *report.Persistent) xen.Count { return p.Pools })),
		number(people, "", "now", u, func(d *domain) render.Cell { return pagesCell(pages(&d.persistent)) }),
		count(detail, "persistent_pages", "now", render.Pages, counter(pages)),
		count(detail, "persistent_peak_pages", "peak", render.Pages, counter(func(p *report.Persistent) xen.Count { return p.Peak })),
		share("put_acceptance", "put\nacceptance", accepted),
		count(data, "puts_attempted", "attempted puts", "", func(d *domain) xen.Count { return accepted(d).Whole }),
		count(always, "puts_refused", "puts\nrefused", render.Pages,
			counter(func(p *report.Persistent) xen.Count { return p.Refused.Total })),
		count(always, "swap_writes_avoided_pages", "swap writes\navoided", render.Pages,
			counter(func(p *report.Persistent) xen.Count { return p.SwapWritesAvoided.Total })),
		count(always, "swap_reads_avoided_pages", "swap reads\navoided", render.Pages,
			counter(func(p *report.Persistent) xen.Count { return p.SwapReadsAvoided.Total })),
		number(detail, "compression_ratio", "compression\nratio", "", func(d *domain) render.Cell {
			return opt.Map(d.client.CompressionRatio, func(f float64) render.Cell { return render.Real(f, 2) }).Or(render.Cell{})
		}),
	}
}

// intervalColumns are what happened between the two snapshots.
func intervalColumns() []column[*domain] {
	within := func(e report.Efficiency) report.Ratio { return orZero(e.Interval) }
	return []column[*domain]{
		nameColumn(),
		share("interval_hit_rate", "hit\nrate", func(d *domain) report.Ratio { return within(d.ephemeral.HitRate) }),
		rate("disk_reads_avoided", "disk reads\navoided",
			func(d *domain) report.Counter { return d.ephemeral.DiskReadsAvoided }),
		rate("ephemeral_puts", "ephemeral\nputs",
			func(d *domain) report.Counter { return d.ephemeral.Puts }),
		share("interval_put_acceptance", "put\nacceptance",
			func(d *domain) report.Ratio { return within(d.persistent.Acceptance) }),
		rate("puts_refused", "puts\nrefused",
			func(d *domain) report.Counter { return d.persistent.Refused }),
		rate("swap_writes_avoided", "swap writes\navoided",
			func(d *domain) report.Counter { return d.persistent.SwapWritesAvoided }),
		rate("swap_reads_avoided", "swap reads\navoided",
			func(d *domain) report.Counter { return d.persistent.SwapReadsAvoided }),
		text(data, "reset", "counters", func(d *domain) render.Cell { return wordCell(string(d.Reset)) }),
	}
}

// guestColumns are what guests say of themselves.
func guestColumns(u render.Unit) []column[*domain] {
	of := func(get func(xen.GuestMemory) opt.Value[units.KiB]) func(*domain) opt.Value[units.KiB] {
		return func(d *domain) opt.Value[units.KiB] { return get(d.Guest.Or(xen.GuestMemory{})) }
	}
	says := text(always, "guest_source", "says so in", func(d *domain) render.Cell {
		return wordCell(d.Guest.Or(xen.GuestMemory{}).Path)
	})
	says.Cut = 2 * nameWidth
	return []column[*domain]{
		nameColumn(),
		size(always, "guest_available", "available", u, of(func(g xen.GuestMemory) opt.Value[units.KiB] { return g.Available })),
		size(always, "guest_used", "used", u, of(func(g xen.GuestMemory) opt.Value[units.KiB] { return g.Used })),
		size(always, "guest_total", "total", u, of(func(g xen.GuestMemory) opt.Value[units.KiB] { return g.Total })),
		number(always, "guest_age_seconds", "written\nago", "", func(d *domain) render.Cell {
			return spanCell(d.Guest.Or(xen.GuestMemory{}).Age)
		}),
		says,
	}
}

// names lists domains for a sentence, the first few of many.
func names(domains []*domain) string {
	const most = 8
	list := make([]string, 0, most)
	for _, d := range domains[:min(most, len(domains))] {
		list = append(list, d.label)
	}
	s := strings.Join(list, ", ")
	if more := len(domains) - len(list); more > 0 {
		s += " and " + units.Group(more) + " more"
	}
	return s
}
