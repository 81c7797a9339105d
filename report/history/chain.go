package history

import (
	"slices"

	"xtm/report/history/block"
)

// chain follows the counters of one domain's life, or of the host, from row to
// row and tells by how much they rose. What started again rose from 0; what
// cannot be told is absent and never made up.
type chain struct {
	table *table
	begun bool
	last  row   // of each column the last that was told
	until int64 // when the row before was read, in milliseconds
	rise  []int64
}

// moment is when a snapshot ended, and the one before it, in milliseconds; 0 is
// not known.
type moment struct{ end, before int64 }

// track is a chain with the points that it went through.
type track[C ~int] struct {
	chain  chain
	points []Point[C]
}

// add goes one row on. The row counts in the last point where that has the same
// index, else in a new one. What it returns holds until the next row.
func (t *track[C]) add(r row, m moment, born bool, index int) (rise []int64) {
	since := t.chain.until
	switch {
	case since != 0:
	case born:
		since = m.before
	default:
		since = m.end
	}
	listed := t.chain.listed(r)
	rise, reset := t.chain.step(r, born)
	t.chain.until = m.end
	if n := len(t.points); n == 0 || t.points[n-1].Index != index {
		if n > 0 { // it is whole now: let go of its block
			t.points[n-1].last = slices.Clone(t.points[n-1].last)
		}
		p := blank[C](t.chain.table, since, index)
		p.listedSince = listed
		t.points = append(t.points, p)
	}
	t.points[len(t.points)-1].take(r, m.end, rise, reset)
	return rise
}

// listed is when the counters that a row is compared with were read, of the
// host: of its first row those are its own; 0 is not known.
func (c *chain) listed(r row) int64 {
	if c.begun {
		r = c.last
	}
	if c.table != hostTable || r[ListedMilli] == absent {
		return 0
	}
	return r[ListedMilli]
}

// wasBorn tells that a domain whose first row this is began after the snapshot
// before. One that runs longer than that was overlooked then.
func wasBorn(r row, t moment) bool {
	const rounding = 2 // seconds; uptimes are whole ones
	up := r[UptimeSeconds]
	return t.before != 0 && (up == absent || up <= (t.end-t.before)/1000+rounding)
}

// step is a row's rises since the rows before it; nothing where it is the
// first. born tells that the domain began after the snapshot before this one,
// so that a first row rose from 0. reset tells that the counters started again.
// The rises hold until the next step.
func (c *chain) step(r row, born bool) (rise []int64, reset bool) {
	if c.rise == nil {
		c.rise = make([]int64, len(c.table.counters))
	}
	rise = c.rise
	block.Fill(rise, absent)
	if !c.begun {
		c.begun, c.last = true, append(row(nil), r...)
		if born {
			for i, column := range c.table.counters {
				rise[i] = r[column]
			}
		}
		return rise, false
	}
	reset = c.startedAgain(r)
	fell := c.fell(r)
	for i, column := range c.table.counters {
		now, was := r[column], c.last[column]
		switch k := c.table.columns[column].kind; {
		case now == absent, k == summed:
		case reset:
			rise[i] = now
		case was == absent:
			if c.hadNone(k) {
				rise[i] = now
			}
		case !fell[k]:
			rise[i] = now - was
		}
	}
	c.keep(r, reset)
	return rise, reset
}

// startedAgain tells that a client's or the host's own counters went back, or
// that the domain is younger than before. Sums over pools fall when a pool
// goes: that alone proves nothing.
func (c *chain) startedAgain(r row) bool {
	if c.table == domainTable && fellBack(r[UptimeSeconds], c.last[UptimeSeconds]) {
		return true
	}
	for _, column := range c.table.counters {
		if k := c.table.columns[column].kind; (k == client || k == machine) && fellBack(r[column], c.last[column]) {
			return true
		}
	}
	return false
}

// fell tells of each kind of pool whether one of its sums fell: a pool went, so
// the kind's rises in this step cannot be told.
func (c *chain) fell(r row) (out [summed + 1]bool) {
	for _, column := range c.table.counters {
		if fellBack(r[column], c.last[column]) {
			out[c.table.columns[column].kind] = true
		}
	}
	return out
}

func fellBack(now, was int64) bool { return now != absent && was != absent && now < was }

// hadNone tells that what counts now was not there when there last was a
// listing: the domain was no client, or had no pool of the kind.
func (c *chain) hadNone(k kind) bool {
	return c.table == domainTable && c.last.has(int(Flags), flagListed) && gone(c.last, k)
}

// keep remembers the row. A listing that failed once leaves what was told
// before; a pool that is gone takes its counters along.
func (c *chain) keep(r row, reset bool) {
	domain := c.table == domainTable
	listed := !domain || r.has(int(Flags), flagListed)
	for i, v := range r {
		switch {
		case domain && i == int(Flags) && !listed && !reset:
		case v != absent || reset, domain && listed && gone(r, c.table.columns[i].kind):
			c.last[i] = v
		}
	}
}

// gone tells that the pools of a kind, or the client, are known not to be there.
func gone(r row, k kind) bool {
	isClient := r.has(int(Flags), flagClient)
	switch k {
	case client:
		return !isClient
	case ephemeral:
		return !isClient || r[EphemeralPools] == 0
	case persistent:
		return !isClient || r[PersistentPools] == 0
	default:
		return false
	}
}
