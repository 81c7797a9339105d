package top

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// column is one column of the domains' table.
type column struct {
	name  string // also how --sort names it
	head  string
	width int
	left  bool
	// rank tells which columns a narrow screen keeps: the lowest ones.
	rank int
	text func(row) string
	// order sorts rows, the most interesting first; nil cannot be sorted by.
	order func(a, b row) int
}

const none = "–"

// columns in the order of the screen.
var columns = []column{
	{"id", "ID", 4, false, 8, func(r row) string { return whole(r.ID) }, func(a, b row) int { return rising(a.ID, b.ID) }},
	{"name", "NAME", 14, true, 0, func(r row) string { return r.Name }, func(a, b row) int { return strings.Compare(a.Name, b.Name) }},
	{"state", "STATE", 6, true, 7, func(r row) string { return letters(r.State) }, nil},
	{"vcpus", "VCPU", 4, false, 13, func(r row) string { return whole(r.vcpus) }, nil},
	{"cpu-time", "CPU(s)", 9, false, 14, func(r row) string {
		if d, ok := r.cpuTime.Get(); ok {
			return strconv.FormatInt(int64(d.Seconds()), 10)
		}
		return none
	}, func(a, b row) int { return falling(a.cpuTime, b.cpuTime) }},
	{"cpu", "CPU%", 6, false, 3, func(r row) string { return percent(r.cpu) }, func(a, b row) int { return falling(a.cpu, b.cpu) }},
	{"current", "MEM(M)", 8, false, 1, func(r row) string { return mib(r.Current) }, func(a, b row) int { return falling(a.Current, b.Current) }},
	{"maximum", "MAX(M)", 8, false, 5, func(r row) string { return mib(r.Maximum) }, func(a, b row) int { return falling(a.Maximum, b.Maximum) }},
	{"reclaimed", "GAVE(M)", 8, false, 6, func(r row) string { return mib(r.Reclaimed) }, func(a, b row) int { return falling(a.Reclaimed, b.Reclaimed) }},
	{"ephemeral", "EPH(M)", 7, false, 9, func(r row) string { return mibPages(ephemeralPages(r)) }, func(a, b row) int { return falling(ephemeralPages(a), ephemeralPages(b)) }},
	{"hit-rate", "HIT%", 5, false, 2, func(r row) string { return percent(hitRate(r)) }, func(a, b row) int { return rising(hitRate(a), hitRate(b)) }},
	{"reads-avoided", "RD-AV/s", 8, false, 10, func(r row) string { return rate(readsAvoided(r)) }, func(a, b row) int {
		return falling(readsAvoided(a).PerSecond, readsAvoided(b).PerSecond)
	}},
	{"persistent", "PERS(M)", 7, false, 11, func(r row) string { return mibPages(persistentPages(r)) }, func(a, b row) int { return falling(persistentPages(a), persistentPages(b)) }},
	{"acceptance", "ACC%", 5, false, 4, func(r row) string { return percent(acceptance(r)) }, func(a, b row) int { return rising(acceptance(a), acceptance(b)) }},
	{"writes-avoided", "WR-AV/s", 8, false, 12, func(r row) string { return rate(writesAvoided(r)) }, func(a, b row) int {
		return falling(writesAvoided(a).PerSecond, writesAvoided(b).PerSecond)
	}},
	{"memory", "MEM OVER TIME", 13, true, 15, func(r row) string { return spark(r.past, 13) }, nil},
}

// columnNamed finds a column.
func columnNamed(name string) column {
	return columns[slices.IndexFunc(columns, func(c column) bool { return c.name == name })]
}

// SortKeys are the names of the columns that rows can be sorted by.
func SortKeys() []string {
	var names []string
	for _, c := range columns {
		if c.order != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// Sort sets the column that rows are sorted by, one of SortKeys.
func (m *Model) Sort(name string) { m.sort = columnNamed(name) }

// fitting are the columns that a screen of this width has room for, and how
// wide the name may be.
func fitting(width int) ([]column, int) {
	list := slices.Clone(columns)
	slices.SortStableFunc(list, func(a, b column) int { return cmp.Compare(a.rank, b.rank) })
	used, kept := 0, map[string]bool{}
	for _, c := range list {
		if used+c.width+1 > width+1 {
			break
		}
		used += c.width + 1
		kept[c.name] = true
	}
	out := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return !kept[c.name] })
	return out, columnNamed("name").width + min(max(width-used, 0), 16)
}

func ephemeralPages(r row) xen.Count {
	if e := r.Ephemeral(); e != nil {
		return e.Pages
	}
	return xen.Count{}
}

func persistentPages(r row) xen.Count {
	if p := r.Persistent(); p != nil {
		return p.Pages
	}
	return xen.Count{}
}

// hitRate is the one of the interval; before there is any, the one since the start.
func hitRate(r row) opt.Value[float64] {
	if e := r.Ephemeral(); e != nil {
		return latest(e.HitRate)
	}
	return opt.Value[float64]{}
}

func acceptance(r row) opt.Value[float64] {
	if p := r.Persistent(); p != nil {
		return latest(p.Acceptance)
	}
	return opt.Value[float64]{}
}

func latest(e report.Efficiency) opt.Value[float64] {
	if e.Interval != nil && e.Interval.Value.Has() {
		return e.Interval.Value
	}
	return e.Total.Value
}

func readsAvoided(r row) report.Counter {
	if e := r.Ephemeral(); e != nil {
		return e.DiskReadsAvoided
	}
	return report.Counter{}
}

func writesAvoided(r row) report.Counter {
	if p := r.Persistent(); p != nil {
		return p.SwapWritesAvoided
	}
	return report.Counter{}
}

// falling puts the largest first and what is absent last.
func falling[T cmp.Ordered](a, b opt.Value[T]) int {
	x, okX := a.Get()
	y, okY := b.Get()
	if !okX || !okY {
		return boolean(okY) - boolean(okX)
	}
	return cmp.Compare(y, x)
}

// rising puts the smallest first and what is absent last.
func rising[T cmp.Ordered](a, b opt.Value[T]) int {
	x, okX := a.Get()
	y, okY := b.Get()
	if !okX || !okY {
		return boolean(okY) - boolean(okX)
	}
	return cmp.Compare(x, y)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func whole[T ~int | ~uint16 | ~int64](v opt.Value[T]) string {
	if n, ok := v.Get(); ok {
		return strconv.FormatInt(int64(n), 10)
	}
	return none
}

func percent(v opt.Value[float64]) string {
	if f, ok := v.Get(); ok {
		return strconv.FormatFloat(f*100, 'f', 1, 64)
	}
	return none
}

func mib(v opt.Value[units.KiB]) string {
	if k, ok := v.Get(); ok {
		return units.Group(int64(k+512) >> 10)
	}
	return none
}

func mibPages(v xen.Count) string {
	if n, ok := v.Get(); ok {
		return units.Group((n + 128) >> 8)
	}
	return none
}

func rate(c report.Counter) string {
	f, ok := c.PerSecond.Get()
	switch {
	case !ok:
		return none
	case f > 0 && f < 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	default:
		return units.Group(int64(f + 0.5))
	}
}

// letters are the flags as xl shows them.
func letters(s xen.State) string {
	b := []byte("------")
	for i, f := range []struct {
		on bool
		c  byte
	}{{s.Running, 'r'}, {s.Blocked, 'b'}, {s.Paused, 'p'}, {s.Shutdown, 's'}, {s.Crashed, 'c'}, {s.Dying, 'd'}} {
		if f.on {
			b[i] = f.c
		}
	}
	return string(b)
}

// spark draws the last readings, between nothing and their highest.
func spark(past []opt.Value[float64], width int) string {
	past = past[max(0, len(past)-width):]
	return render.Spark(past, 0, highest(past))
}

// highest is the highest reading, 0 without any.
func highest(past []opt.Value[float64]) float64 {
	high := 0.0
	for _, v := range past {
		high = max(high, v.Or(0))
	}
	return high
}
