package render

import (
	"strconv"
	"time"

	"xtm/internal/units"
)

// kind is what a Cell holds; the zero kind is nothing.
type kind uint8

const (
	kindAbsent kind = iota
	kindText
	kindInt
	kindReal
	kindSize
	kindShare
	kindSpan
)

// Cell is one typed value of a table. Its zero value is absent, which people
// see as a dash and programs as an empty field: never as 0.
type Cell struct {
	kind     kind
	decimals uint8
	parts    bool
	n        int64 // the integer, KiB, nanoseconds, or the part of a share
	whole    int64
	f        float64
	s        string
}

// Str is text. It may come from a guest: every writer escapes it.
func Str(s string) Cell { return Cell{kind: kindText, s: s} }

// Int is a count.
func Int(n int64) Cell { return Cell{kind: kindInt, n: n} }

// Real is a number that people see with this many decimals.
func Real(f float64, decimals int) Cell {
	return Cell{kind: kindReal, f: f, decimals: uint8(decimals)}
}

// Size is an amount of memory, shown in the unit of its column.
func Size(k units.KiB) Cell { return Cell{kind: kindSize, n: int64(k)} }

// Share is a ratio between 0 and 1, which people see in percent.
func Share(ratio float64) Cell { return Cell{kind: kindShare, f: ratio} }

// ShareOf is a ratio with the two counts that it is made of, which a wide table
// shows behind it.
func ShareOf(ratio float64, part, whole int64) Cell {
	return Cell{kind: kindShare, f: ratio, n: part, whole: whole, parts: true}
}

// Span is a length of time.
func Span(d time.Duration) Cell { return Cell{kind: kindSpan, n: int64(d)} }

// absentMark stands for a value that is not there.
const absentMark = "–"

// text is the cell as people read it, not escaped.
func (c Cell) text(u Unit, wide bool) string {
	switch c.kind {
	case kindText:
		return c.s
	case kindInt:
		return units.Group(c.n)
	case kindReal:
		return commaReal(c.f, int(c.decimals))
	case kindSize:
		return u.number(units.KiB(c.n))
	case kindShare:
		if wide && c.parts {
			return percent(c.f) + " (" + units.Group(c.n) + "/" + units.Group(c.whole) + ")"
		}
		return percent(c.f)
	case kindSpan:
		return Duration(time.Duration(c.n))
	case kindAbsent:
	}
	return absentMark
}

// raw is the cell as programs read it, not escaped: no separators, sizes in
// KiB, ratios between 0 and 1, times in seconds, nothing for what is absent.
func (c Cell) raw() string {
	switch c.kind {
	case kindText:
		return c.s
	case kindInt, kindSize:
		return strconv.FormatInt(c.n, 10)
	case kindReal, kindShare:
		return strconv.FormatFloat(c.f, 'f', -1, 64)
	case kindSpan:
		return strconv.FormatFloat(time.Duration(c.n).Seconds(), 'f', -1, 64)
	case kindAbsent:
	}
	return ""
}
