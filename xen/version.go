package xen

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a hypervisor's release, as /sys/hypervisor/version and xl info
// give it: "4", "12", ".4". The zero value is an unknown release.
type Version struct {
	Major int    `json:"major"`
	Minor int    `json:"minor"`
	Extra string `json:"extra,omitempty"` // ".4", ".0-rc1", "-unstable"
}

// ParseVersion reads "4.12.4", "4.3.0", "4.11.4-pre" or "4.17".
func ParseVersion(s string) (Version, error) {
	major, rest, ok := strings.Cut(strings.TrimSpace(s), ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(rest[:end])
	if !ok || err1 != nil || err2 != nil || a < 0 || b < 0 {
		return Version{}, fmt.Errorf("parse Xen version %q: want MAJOR.MINOR[.PATCH]", s)
	}
	return Version{a, b, rest[end:]}, nil
}

// Known tells whether there is a version at all.
func (v Version) Known() bool { return v.Major > 0 }

// String is "4.12.4", or "unknown".
func (v Version) String() string {
	if !v.Known() {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d%s", v.Major, v.Minor, v.Extra)
}

// AtLeast compares major and minor. An unknown version is at least nothing.
func (v Version) AtLeast(major, minor int) bool {
	return v.Known() && (v.Major > major || v.Major == major && v.Minor >= minor)
}

// Before compares major and minor. An unknown version is before nothing.
func (v Version) Before(major, minor int) bool { return v.Known() && !v.AtLeast(major, minor) }

// Patch is the third number: 4 of "4.12.4", and whether there is one.
func (v Version) Patch() (int, bool) {
	digits, ok := strings.CutPrefix(v.Extra, ".")
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil
}
