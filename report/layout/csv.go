package layout

import (
	"time"

	"xtm/internal/render"
	"xtm/report"
)

// CSV is the table for spreadsheets: one row for each domain, or with
// Options.Pools for each pool. The columns do not depend on what there is to
// see, sizes are in KiB, and each row says which host and moment it is of, so
// that rows of several runs can be put below each other.
func CSV(r report.Report, o Options) render.Table {
	r = Filter(r, o)
	if o.Pools {
		return tableOf("", stamped(r, poolColumns(render.KiB)), poolsOf(r), data)
	}
	columns := memoryColumns(render.KiB)
	for _, more := range [][]column[*domain]{
		ephemeralColumns(render.KiB), persistentColumns(render.KiB), intervalColumns(), guestColumns(render.KiB),
	} {
		columns = append(columns, more[1:]...) // without the name
	}
	return tableOf("", stamped(r, columns), domainsOf(r), data)
}

// stamped puts the moment and the host before the columns.
func stamped[T any](r report.Report, columns []column[T]) []column[T] {
	when := wordCell(stamp(r.End))
	host := wordCell(r.Host.Name)
	interval := spanCell(r.Interval)
	return append([]column[T]{
		text(always, "time", "time", func(T) render.Cell { return when }),
		text(always, "host", "host", func(T) render.Cell { return host }),
		number(always, "interval_seconds", "interval", "", func(T) render.Cell { return interval }),
	}, columns...)
}

// stamp writes a moment; "" is an unknown one.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
