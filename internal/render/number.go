package render

import (
	"math"
	"strconv"
	"strings"
	"time"

	"xtm/internal/units"
)

// Unit is what a column counts in. Sizes are converted to the unit of memory
// that their column names; any other unit is only shown.
type Unit string

// The units of memory.
const (
	Pages Unit = "pages"
	KiB   Unit = "KiB"
	MiB   Unit = "MiB"
	GiB   Unit = "GiB"
)

// Percent is the unit of a column of shares.
const Percent Unit = "%"

// Format writes a size with its unit: "1,463,296 KiB".
func (u Unit) Format(k units.KiB) string { return u.number(k) + " " + string(u) }

// number writes a size without its unit. What is not a unit of memory is KiB.
func (u Unit) number(k units.KiB) string {
	switch u {
	case Pages:
		return units.Group(k.Pages())
	case MiB:
		return atLeast(float64(k)/(1<<10), 1)
	case GiB:
		return atLeast(float64(k)/(1<<20), 2)
	default:
		return units.Group(k)
	}
}

// atLeast writes a number, and "<0.1" for what rounding would make nothing:
// a pool of one page is not an empty pool.
func atLeast(f float64, decimals int) string {
	step := math.Pow10(-decimals)
	if f > 0 && f < step/2 {
		return "<" + strconv.FormatFloat(step, 'f', decimals, 64)
	}
	return commaReal(f, decimals)
}

// percent writes a ratio with one decimal. Neither end is reached by rounding:
// one refused put in a million is not an acceptance of 100.0.
func percent(ratio float64) string {
	switch {
	case ratio > 0 && ratio < 0.0005:
		return "<0.1"
	case ratio < 1 && ratio >= 0.9995:
		return ">99.9"
	default:
		return commaReal(ratio*100, 1)
	}
}

// commaReal writes a number with a comma between thousands.
func commaReal(f float64, decimals int) string {
	s := strconv.FormatFloat(math.Abs(f), 'f', decimals, 64)
	whole, rest, point := strings.Cut(s, ".")
	if len(whole) > 3 && len(whole) < 19 {
		n, _ := strconv.ParseInt(whole, 10, 64) // all digits
		whole = units.Group(n)
	}
	if point {
		rest = "." + rest
	}
	if f < 0 && strings.Trim(s, "0.") != "" { // there is no negative nothing
		whole = "-" + whole
	}
	return whole + rest
}

// Duration writes a length of time with the two units that matter: "450 ms",
// "3.2 s", "5 min 3 s", "3 h 4 min", "6 d 3 h".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	pair := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		n := d.Round(small)
		s := strconv.FormatInt(int64(n/big), 10) + " " + bigName
		if rest := n % big / small; rest > 0 {
			s += " " + strconv.FormatInt(int64(rest), 10) + " " + smallName
		}
		return s
	}
	const day = 24 * time.Hour
	switch {
	case d.Round(time.Millisecond) < time.Second:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	case d.Round(100*time.Millisecond) < time.Minute:
		s := strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', 1, 64)
		return strings.TrimSuffix(s, ".0") + " s"
	case d.Round(time.Second) < time.Hour:
		return pair(time.Minute, "min", time.Second, "s")
	case d.Round(time.Minute) < day:
		return pair(time.Hour, "h", time.Minute, "min")
	default:
		return pair(day, "d", time.Hour, "h")
	}
}
