package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"xtm/internal/units"
)

// scaled is a unit and its worth.
type scaled struct {
	name  string
	worth int64
}

var ages = []scaled{
	{"y", int64(365 * 24 * time.Hour)},
	{"d", int64(24 * time.Hour)},
	{"h", int64(time.Hour)},
	{"m", int64(time.Minute)},
	{"s", int64(time.Second)},
}

var sizes = []scaled{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// Age is a length of time, written as a whole number and y, d, h, m or s. It is
// a struct so that a number without a unit is refused: the library would take
// it for nanoseconds.
type Age struct{ time.Duration }

// ParseAge reads "90d".
func ParseAge(s string) (Age, error) {
	n, err := parse(s, ages, `a time such as "90d", "36h" or "3y"`)
	return Age{time.Duration(n)}, err
}

// UnmarshalText reads an age of the file.
func (a *Age) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAge(string(text))
	return err
}

// String is the age in its largest whole unit.
func (a Age) String() string { return format(int64(a.Duration), ages) }

// Size is a number of bytes, written as a whole number and KiB, MiB, GiB or TiB.
// It is a struct for the same reason.
type Size struct{ units.Bytes }

// ParseSize reads "256MiB".
func ParseSize(s string) (Size, error) {
	n, err := parse(s, sizes, `a size such as "256MiB" or "1GiB"`)
	return Size{units.Bytes(n)}, err
}

// UnmarshalText reads a size of the file.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// String is the size in its largest whole unit.
func (s Size) String() string { return format(int64(s.Bytes), sizes) }

// parse reads a whole number above 0 and a unit.
func parse(s string, among []scaled, want string) (int64, error) {
	for _, u := range among {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/u.worth {
			break
		}
		return n * u.worth, nil
	}
	return 0, fmt.Errorf("%q is not %s", s, want)
}

func format(n int64, among []scaled) string {
	for _, u := range among {
		if n%u.worth == 0 && n != 0 {
			return strconv.FormatInt(n/u.worth, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
