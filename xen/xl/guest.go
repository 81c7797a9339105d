package xl

import (
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// agentMemory reads what a guest's agent publishes below data/, in KiB:
//
//	data/meminfo_total = "2035328"
//	data/meminfo_free = "1650012"
//	data/updated = "Sun Nov 22 13:35:01 2026"
//
// xe-guest-utilities writes MemTotal and MemAvailable of /proc/meminfo every
// other minute, xen-guest-agent and the Windows agents the like. A figure that
// cannot be is left out.
func agentMemory(values map[string]string, prefix string, at time.Time) opt.Value[xen.GuestMemory] {
	m := xen.GuestMemory{
		Total: kib(values[prefix+"meminfo_total"]), Available: kib(values[prefix+"meminfo_free"]), Path: "data/meminfo_free",
	}
	if !m.Available.Has() || m.Total.Has() && m.Available.Or(0) > m.Total.Or(0) {
		return opt.Value[xen.GuestMemory]{}
	}
	m.Age = age(values[prefix+"updated"], at)
	return opt.Of(m)
}

const (
	// skew is how far a guest's clock may run ahead of Dom0's.
	skew = time.Minute
	// zoneStep is the smallest difference between two time zones.
	zoneStep = 15 * time.Minute
)

// age is how long before at the guest wrote data/updated. Seen in agents:
//
//	Sun Nov 22 13:35:01 2026       xe-guest-utilities (Go): local time, no zone
//	Sun Nov 22 13:35:01 UTC 2026   its shell predecessor: date
//	1795354501000                  a Windows agent: milliseconds since 1970
//	1                              older Windows agents: says nothing
//
// A time without a zone is taken for UTC as long as it is then less than a zone
// step old: in another zone it would have to lie in the future or be stale by
// hours to the minute. Else, and in zones known by letters only, its age is not
// known.
func age(updated string, at time.Time) opt.Value[time.Duration] {
	var written time.Time
	most := 10 * 365 * 24 * time.Hour
	if n, rest, ok := lastNumber(updated); ok && rest == "" {
		switch len(updated) {
		case 10:
			written = time.Unix(n, 0)
		case 13:
			written = time.UnixMilli(n)
		}
	} else if t, err := time.Parse(time.ANSIC, updated); err == nil {
		written, most = t, zoneStep
	} else if t, err := time.Parse(time.UnixDate, updated); err == nil && (strings.Contains(updated, " UTC ") || strings.Contains(updated, " GMT ")) {
		written = t
	}
	d := at.Sub(written)
	if at.IsZero() || written.IsZero() || d < -skew || d >= most {
		return opt.Value[time.Duration]{}
	}
	return opt.Of(max(0, d))
}

// qubesMemory reads memory/meminfo of Qubes' meminfo-writer: the lines below,
// or, in later releases, what they make in use as one number of KiB.
//
//	MemTotal: 407444 kB
//	MemFree: 18812 kB
//	Buffers: 17084 kB
//	Cached: 118148 kB
//	SwapTotal: 1048572 kB
//	SwapFree: 1048572 kB
//
// (the form of qmemman/meminfo-writer.c in qubes-linux-utils, made-up values).
func qubesMemory(text string) opt.Value[xen.GuestMemory] {
	m := xen.GuestMemory{Used: kib(text), Path: "memory/meminfo"}
	if m.Used.Has() {
		return opt.Of(m)
	}
	v := map[string]units.KiB{}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, ":")
		size, isKB := strings.CutSuffix(strings.TrimSpace(value), " kB")
		if k, ok := kib(size).Get(); ok && isKB && len(v) < 16 {
			v[key] = k
		}
	}
	used := v["MemTotal"] - v["MemFree"] - v["Buffers"] - v["Cached"] + v["SwapTotal"] - v["SwapFree"]
	if v["MemTotal"] == 0 || used < 0 {
		return opt.Value[xen.GuestMemory]{}
	}
	m.Total, m.Used = opt.Of(v["MemTotal"]), opt.Of(used)
	return opt.Of(m)
}
