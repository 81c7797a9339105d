package guest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/hostfs"
)

// Version is the part of a kernel's release that decides what it can do. The
// zero value is unknown.
type Version struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
}

// String is "4.19".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Known tells whether there is a version at all.
func (v Version) Known() bool { return v.Major > 0 }

// Compare is negative where v is older than w, and 0 where they are the same.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor))
}

// AtLeast tells whether v is this version or later. An unknown one is not.
func (v Version) AtLeast(major, minor int) bool {
	return v.Known() && v.Compare(Version{major, minor}) >= 0
}

// Before tells whether v is older than this version. An unknown one is not.
func (v Version) Before(major, minor int) bool { return v.Known() && !v.AtLeast(major, minor) }

// Release is a kernel's name for itself, which is also the name of its folder in
// /lib/modules. A distribution's suffix says nothing about tmem, so that only
// the first numbers count. The zero value is unknown.
type Release struct {
	// Text is the whole name: "4.15.0-213-generic".
	Text string `json:"text"`
	Version
	// Patch is the third number; 0 where there is none.
	Patch int `json:"patch"`
}

// maxRelease is the room for a release in struct utsname, without its NUL
// (include/uapi/linux/utsname.h).
const maxRelease = 64

// ReadRelease reads the running kernel's release, from /proc/version where that
// is all there is, as in a recording:
//
//	Linux version 4.19.0-tmemlab (root@vm) (gcc version 12.2.0 (Debian 12.2.0-14+deb12u1)) #1 SMP …
func ReadRelease(files hostfs.Files) (Release, error) {
	b, err := files.ReadFile("/proc/sys/kernel/osrelease")
	if err == nil {
		return ParseRelease(string(b))
	}
	if version, errVersion := files.ReadFile("/proc/version"); errVersion == nil {
		if words := strings.Fields(string(version)); len(words) > 2 && words[0] == "Linux" && words[1] == "version" {
			return ParseRelease(words[2])
		}
	}
	return Release{}, err
}

// ParseRelease reads the text of uname -r. It becomes part of paths, so that
// what could lead out of a folder is refused.
//
//	3.2.0-4-amd64          Debian 7
//	3.13.0-170-generic     Ubuntu 14.04
//	4.19.0-27-amd64        Debian 10
//	4.12.14-122.37-default SLES 12
//	4.19.0-tmemlab         captures/xen-4.12
//	6.6-rc1
func ParseRelease(text string) (Release, error) {
	text = strings.TrimSpace(text)
	bad := func(why string) (Release, error) {
		return Release{}, fmt.Errorf("parse kernel release %.80q: %s", text, why)
	}
	if len(text) > maxRelease {
		return bad("longer than a kernel's release can be")
	}
	if strings.IndexFunc(text, notInRelease) >= 0 {
		return bad("has a character that no kernel uses")
	}
	major, rest, ok := number(text)
	if !ok || !strings.HasPrefix(rest, ".") {
		return bad("want MAJOR.MINOR")
	}
	minor, rest, ok := number(rest[1:])
	if !ok || major == 0 {
		return bad("want MAJOR.MINOR")
	}
	r := Release{Text: text, Version: Version{major, minor}}
	if after, dotted := strings.CutPrefix(rest, "."); dotted {
		r.Patch, _, _ = number(after) // "4.4.x-vendor" has none
	}
	return r, nil
}

func notInRelease(c rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~", c)
}

// number cuts a decimal number of at most four digits off the front.
func number(s string) (n int, rest string, ok bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 || end > 4 {
		return 0, s, false
	}
	n, err := strconv.Atoi(s[:end])
	return n, s[end:], err == nil
}
