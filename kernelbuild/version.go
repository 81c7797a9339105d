package kernelbuild

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	version "github.com/knqyf263/go-deb-version"

	"xtm/internal/cause"
)

// Series is the first two numbers of a kernel's version: Linux 4.19 is {4, 19}.
type Series struct{ Major, Minor int }

// String is "4.19".
func (s Series) String() string { return strconv.Itoa(s.Major) + "." + strconv.Itoa(s.Minor) }

// After tells whether s is a later series than o.
func (s Series) After(o Series) bool {
	return s.Major > o.Major || s.Major == o.Major && s.Minor > o.Minor
}

// Before tells whether s is an earlier series than o.
func (s Series) Before(o Series) bool { return o.After(s) }

var seriesForm = regexp.MustCompile(`^([0-9]{1,3})\.([0-9]{1,4})([^0-9]|$)`)

// SeriesOf reads the series from a release or a version: "4.19.0-6-amd64",
// "6.12.107+deb13-amd64", "7.2-rc1".
func SeriesOf(release string) (Series, error) {
	m := seriesForm.FindStringSubmatch(release)
	if m == nil {
		return Series{}, fmt.Errorf("read kernel release %q: it does not begin with two numbers", release)
	}
	major, _ := strconv.Atoi(m[1]) // the expression admits digits only
	minor, _ := strconv.Atoi(m[2])
	return Series{major, minor}, nil
}

// LastSeries is the last series of Linux that defines a symbol which tmem needs;
// false for a symbol that is not one of them. FRONTSWAP's is the last one in
// which a user can set it. Origin: drivers/xen/Kconfig and mm/Kconfig of 3.0 to
// 6.6.
func LastSeries(symbol string) (Series, bool) {
	switch symbol {
	case "XEN_TMEM", "XEN_SELFBALLOONING":
		return Series{5, 2}, true
	case "CLEANCACHE", "FRONTSWAP":
		return Series{5, 16}, true
	default:
		return Series{}, false
	}
}

// upstreamVersion is the kernel's own version in a Debian version, with three
// numbers as its Makefile has it: "4.19.67-2+deb10u2" is 4.19.67,
// "5.10.127-2~bpo10+1" 5.10.127, "6.12~rc6-1~exp1" 6.12.0-rc6.
func upstreamVersion(deb string) (string, error) {
	v, err := version.NewVersion(deb)
	if err != nil {
		return "", fmt.Errorf("read version %q: %w", deb, err)
	}
	if !debVersion.MatchString(deb) { // the library takes blanks, too
		return "", fmt.Errorf("read version %q: %w", deb, ErrName)
	}
	up, rc, candidate := strings.Cut(v.Version(), "~rc")
	if strings.Count(up, ".") == 1 {
		up += ".0"
	}
	if candidate {
		up += "-rc" + rc
	}
	if _, err := SeriesOf(up); err != nil {
		return "", fmt.Errorf("read version %q: no kernel has it: %w", deb, cause.ErrNotSupported)
	}
	return up, nil
}

// atLeast compares two Debian versions; a version that cannot be read is not at
// least anything.
func atLeast(have, want string) bool {
	a, err := version.NewVersion(have)
	b, err2 := version.NewVersion(want)
	return err == nil && err2 == nil && !a.LessThan(b)
}
