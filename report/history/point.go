package history

import (
	"time"

	"xtm/report"
	"xtm/report/history/block"
	"xtm/xen"
)

// Point is what a domain or the host was over a while: one snapshot, a few, or
// an hour.
type Point[C ~int] struct {
	// Since is when the snapshot was taken that the rises are reckoned from,
	// Until the last one of the point. They are the same where there was none
	// before. Where they are further apart than the snapshots usually are,
	// history has a gap.
	Since, Until time.Time
	// Index is the step of the range that the point stands in, from 0. Steps
	// without a snapshot have no point.
	Index int
	// Samples is how many snapshots are in it.
	Samples int
	// Resets is how often the counters started again: the domain was made anew,
	// or the host rebooted.
	Resets int

	table *table
	last  row
	// Of the host, when the counters of Since and Until were read, in
	// milliseconds; 0 where that is not known.
	listedSince, listedUntil int64
	// Of each level the sum of the readings that were told and how many these
	// were, the lowest and the highest; of each counter the rise.
	sum, told, low, high, rise []int64
}

// DomainPoint is a point of a domain.
type DomainPoint = Point[Column]

// HostPoint is a point of the host.
type HostPoint = Point[HostColumn]

// Last is the latest reading; absent where it was not told.
func (p *Point[C]) Last(c C) xen.Count { return p.last.at(int(c)) }

// Mean is the mean of the readings. Of figures that are settings rather than
// levels it is the last.
func (p *Point[C]) Mean(c C) xen.Count {
	if p.table == nil || p.table.columns[c].kind != level {
		return p.last.at(int(c))
	}
	return row(p.means()).at(p.table.slot[c])
}

// means are the means of all levels, rounded.
func (p *Point[C]) means() []int64 {
	out := make([]int64, len(p.sum))
	for i, n := range p.told {
		out[i] = absent
		if n > 0 {
			out[i] = (p.sum[i] + n/2) / n
		}
	}
	return out
}

// Low is the lowest reading, of a level.
func (p *Point[C]) Low(c C) xen.Count { return p.levelOf(c, p.low) }

// High is the highest reading, of a level.
func (p *Point[C]) High(c C) xen.Count { return p.levelOf(c, p.high) }

func (p *Point[C]) levelOf(c C, values row) xen.Count {
	if p.table == nil || p.table.columns[c].kind != level {
		return p.last.at(int(c))
	}
	return values.at(p.table.slot[c])
}

// Rise is by how much a counter rose from Since to Until, over resets too;
// absent where it was not told or cannot be, and of what is not a counter.
func (p *Point[C]) Rise(c C) xen.Count {
	if p.table == nil || p.table.columns[c].kind <= level {
		return xen.Count{}
	}
	return row(p.rise).at(p.table.slot[c])
}

// Span is the time in which the counters rose. Of the host it is that from
// listing to listing, which is when they are read, as in a report; of domains and
// of whole hours, which do not know when the first listing was, Since to Until.
func (p *Point[C]) Span() time.Duration {
	if p.listedSince != 0 && p.listedSince < p.listedUntil {
		return time.Duration(p.listedUntil-p.listedSince) * time.Millisecond
	}
	return p.Until.Sub(p.Since)
}

// Share is the ratio of two counters' rises, such as EphemeralGets of
// EphemeralGetTries, which is the hit rate.
func (p *Point[C]) Share(part, whole C) report.Ratio {
	return report.NewRatio(p.Rise(part), p.Rise(whole))
}

// blank is a point without a row.
func blank[C ~int](t *table, since int64, index int) Point[C] {
	n := len(t.levels)
	all := make([]int64, 4*n+len(t.counters))
	block.Fill(all[2*n:], absent)
	return Point[C]{
		table: t, Since: milli(since), Until: milli(since), Index: index,
		sum: all[:n:n], told: all[n : 2*n : 2*n], low: all[2*n : 3*n : 3*n], high: all[3*n : 4*n : 4*n], rise: all[4*n:],
	}
}

// take counts one more row.
func (p *Point[C]) take(r row, until int64, rise []int64, reset bool) {
	p.Samples, p.Until, p.last = p.Samples+1, milli(until), r
	if reset {
		p.Resets++
	}
	if p.table == hostTable && r[ListedMilli] != absent {
		p.listedUntil = r[ListedMilli]
	}
	for i, column := range p.table.levels {
		v := r[column]
		if v == absent {
			continue
		}
		if p.told[i] == 0 {
			p.low[i], p.high[i] = v, v
		}
		p.sum[i], p.told[i] = p.sum[i]+v, p.told[i]+1
		p.low[i], p.high[i] = min(p.low[i], v), max(p.high[i], v)
	}
	addTo(p.rise, rise)
}

// addTo adds what was told.
func addTo(sum, parts []int64) {
	for i, v := range parts {
		switch {
		case v == absent:
		case sum[i] == absent:
			sum[i] = v
		default:
			sum[i] += v
		}
	}
}

// levels sets what is known of the levels of this many readings.
func (p *Point[C]) levels(mean, low, high []int64, n int64) {
	p.low, p.high = low, high
	p.sum, p.told = make([]int64, len(mean)), make([]int64, len(mean))
	for i, v := range mean {
		if v != absent {
			p.sum[i], p.told[i] = v*n, n
		}
	}
}

// Join puts a later point behind this one: their rises add up. The zero Point is
// the one to begin with.
func (p *Point[C]) Join(q Point[C]) {
	if p.Samples == 0 {
		*p = q
		return
	}
	add := func(a, b int64) int64 { return a + b }
	p.sum, p.told = merge(p.sum, q.sum, add), merge(p.told, q.told, add)
	p.low = merge(p.low, q.low, func(a, b int64) int64 { return min(a, b) })
	p.high = merge(p.high, q.high, func(a, b int64) int64 { return max(a, b) })
	p.rise = merge(p.rise, q.rise, add)
	p.Samples, p.Resets = p.Samples+q.Samples, p.Resets+q.Resets
	p.last, p.Until, p.listedUntil = q.last, q.Until, q.listedUntil
}

// hostSums are the slots of the host's sums over its domains, and of what they
// are the sums.
var hostSums = [][2]int{
	{hostTable.slot[HostDiskReadsAvoided], domainTable.slot[DiskReadsAvoided]},
	{hostTable.slot[HostSwapWritesAvoided], domainTable.slot[SwapWritesAvoided]},
	{hostTable.slot[HostSwapReadsAvoided], domainTable.slot[SwapReadsAvoided]},
}

// addRises adds what a domain's counters rose to the host's sums.
func addRises(host *HostPoint, domain []int64) {
	for _, s := range hostSums {
		if n := domain[s[1]]; n != absent {
			host.rise[s[0]] = max(0, host.rise[s[0]]) + n
		}
	}
}

// merge puts two lists together; what one of them was not told the other says.
func merge(a, b []int64, f func(a, b int64) int64) []int64 {
	out := make([]int64, len(a))
	for i := range out {
		switch {
		case a[i] == absent:
			out[i] = b[i]
		case b[i] == absent:
			out[i] = a[i]
		default:
			out[i] = f(a[i], b[i])
		}
	}
	return out
}
