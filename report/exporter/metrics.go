package exporter

import (
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"

	dto "github.com/prometheus/client_model/go"
)

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// metric is one family whose value is read from a T.
type metric[T any] struct {
	name, help string
	kind       dto.MetricType
	value      func(T) opt.Value[float64]
}

// hostMetrics have no label of their own. The bands xen, dom0, guests,
// ephemeral, tmem_free_list and free add up to total.
func hostMetrics() []metric[*report.Host] {
	size := func(name, help string, of func(*report.Host) opt.Value[units.KiB]) metric[*report.Host] {
		return metric[*report.Host]{
			"xtm_host_memory_" + name + "_bytes", help, gauge,
			func(h *report.Host) opt.Value[float64] { return inBytes(of(h)) },
		}
	}
	count := func(name, help string, of func(*report.Host) report.Counter) metric[*report.Host] {
		return metric[*report.Host]{
			"xtm_tmem_" + name + "_total", help, counter,
			func(h *report.Host) opt.Value[float64] { return float(of(h).Total) },
		}
	}
	return []metric[*report.Host]{
		size("total", "All memory that Xen manages.", func(h *report.Host) opt.Value[units.KiB] { return h.Total }),
		size("free", "What Xen can hand out without taking anything back.", func(h *report.Host) opt.Value[units.KiB] { return h.Free }),
		size("xen", "What Xen holds for itself: the rest of the total.", func(h *report.Host) opt.Value[units.KiB] { return h.XensOwn }),
		size("dom0", "Dom0's current memory.", func(h *report.Host) opt.Value[units.KiB] { return h.Dom0 }),
		size("guests", "Current memory of all guests, persistent tmem pages included.", func(h *report.Host) opt.Value[units.KiB] { return h.Guests }),
		size("persistent", "Persistent tmem pages: a part of the domains' current memory.", func(h *report.Host) opt.Value[units.KiB] { return h.Persistent }),
		size("ephemeral", "Ephemeral tmem pages, which belong to no domain.", func(h *report.Host) opt.Value[units.KiB] { return h.Ephemeral }),
		size("tmem_free_list", "Pages that tmem keeps in reserve.", func(h *report.Host) opt.Value[units.KiB] { return h.FreeList }),
		size("freeable", "What Xen can take back from tmem at once.", func(h *report.Host) opt.Value[units.KiB] { return h.Freeable }),
		size("usable", "What guests can have together: total without Xen's own and Dom0's.", func(h *report.Host) opt.Value[units.KiB] { return h.GuestsMemory }),
		size("guests_maximum", "What guests were promised at most, together.", func(h *report.Host) opt.Value[units.KiB] { return h.GuestsMaximum }),
		size("reclaimed", "What guests may have and have not, together.", func(h *report.Host) opt.Value[units.KiB] { return h.Reclaimed }),
		{
			"xtm_host_overcommit_ratio", "Guests' maximum by usable memory: above 1 not all can grow.", gauge,
			func(h *report.Host) opt.Value[float64] { return h.Overcommit },
		},
		count("evictions", "Ephemeral pages that were thrown out to make room.", func(h *report.Host) report.Counter { return h.Evicted }),
		count("relinquished_pages", "Pages that tmem gave back to Xen's heap.", func(h *report.Host) report.Counter { return h.Relinquished }),
		count("low_memory_events", "Times that tmem saw Xen low on memory.", func(h *report.Host) report.Counter { return h.LowMemory }),
		count("failed_page_allocations", "Pages that tmem could not get from Xen.", func(h *report.Host) report.Counter { return h.FailedPages }),
	}
}

// domainMetrics have the labels domain, domid and uuid.
func domainMetrics() []metric[*report.Domain] {
	size := func(name, help string, of func(*report.Domain) opt.Value[units.KiB]) metric[*report.Domain] {
		return metric[*report.Domain]{
			"xtm_domain_memory_" + name + "_bytes", help, gauge,
			func(d *report.Domain) opt.Value[float64] { return inBytes(of(d)) },
		}
	}
	said := func(name, help string, of func(xen.GuestMemory) opt.Value[units.KiB]) metric[*report.Domain] {
		return size(name, help, func(d *report.Domain) opt.Value[units.KiB] {
			g, _ := d.Guest.Get()
			return of(g)
		})
	}
	client := func(name, help string, of func(*report.Client) opt.Value[float64]) metric[*report.Domain] {
		return metric[*report.Domain]{"xtm_tmem_" + name, help, gauge, func(d *report.Domain) opt.Value[float64] {
			if d.Client == nil {
				return opt.Value[float64]{}
			}
			return of(d.Client)
		}}
	}
	return []metric[*report.Domain]{
		size("current", "Memory that the domain holds (Xen's tot_pages), persistent tmem pages included.", func(d *report.Domain) opt.Value[units.KiB] { return d.Current }),
		size("target", "What the toolstack means the domain to have (memory/target); stale under selfballooning.", func(d *report.Domain) opt.Value[units.KiB] { return d.Target }),
		size("limit", "Xen's max_pages: neither the balloon nor a persistent put goes past it.", func(d *report.Domain) opt.Value[units.KiB] { return d.Limit }),
		size("maximum", "The larger of limit and static maximum.", func(d *report.Domain) opt.Value[units.KiB] { return d.Maximum }),
		size("reclaimed", "Maximum without current: what the domain may have and has not.", func(d *report.Domain) opt.Value[units.KiB] { return d.Reclaimed }),
		size("persistent", "Persistent tmem pages: a part of current.", func(d *report.Domain) opt.Value[units.KiB] { return d.PersistentMemory }),
		said("used", "Memory in use by the guest's own word.", func(g xen.GuestMemory) opt.Value[units.KiB] { return g.Used }),
		said("available", "Memory that the guest could use without swapping, by its own word.", func(g xen.GuestMemory) opt.Value[units.KiB] { return g.Available }),
		{
			"xtm_domain_uptime_seconds", "Time since the domain was created.", gauge,
			func(d *report.Domain) opt.Value[float64] { return seconds(d.Uptime) },
		},
		client("weight", "The domain's weight when ephemeral pages are thrown out.", func(c *report.Client) opt.Value[float64] { return float(c.Weight) }),
		client("frozen", "1 while the domain's puts are refused because it is frozen.", func(c *report.Client) opt.Value[float64] { return float(c.Frozen) }),
		client("compression_ratio", "Bytes stored by bytes given, of the pages that were compressed.", func(c *report.Client) opt.Value[float64] { return c.CompressionRatio }),
		{
			"xtm_domain_disk_reads_avoided_pages_total", "Successful ephemeral gets: disk reads avoided, compared with the same balloon size without tmem.", counter,
			func(d *report.Domain) opt.Value[float64] {
				if e := d.Ephemeral(); e != nil {
					return float(e.DiskReadsAvoided.Total)
				}
				return opt.Value[float64]{}
			},
		},
		{
			"xtm_domain_swap_writes_avoided_pages_total", "Successful persistent puts.", counter,
			func(d *report.Domain) opt.Value[float64] {
				if p := d.Persistent(); p != nil {
					return float(p.SwapWritesAvoided.Total)
				}
				return opt.Value[float64]{}
			},
		},
		{
			"xtm_domain_swap_reads_avoided_pages_total", "Successful persistent gets.", counter,
			func(d *report.Domain) opt.Value[float64] {
				if p := d.Persistent(); p != nil {
					return float(p.SwapReadsAvoided.Total)
				}
				return opt.Value[float64]{}
			},
		},
	}
}
