package domkeys

import (
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// The keys that Guest reads, below the domain's own.
const (
	Meminfo      = "memory/meminfo"
	MeminfoTotal = "data/meminfo_total"
	MeminfoFree  = "data/meminfo_free"
	Updated      = "data/updated"
)

// Guest is what a guest says of its own memory at a time: Qubes' figure, else
// that of another agent. get returns the value of a key, "" where there is none.
func Guest(get func(key string) string, at time.Time) opt.Value[xen.GuestMemory] {
	if m := qubesMemory(get(Meminfo)); m.Has() {
		return m
	}
	return agentMemory(get, at)
}

// agentMemory reads what a guest's agent publishes below data/, in KiB:
//
//	data/meminfo_total = "2035328"
//	data/meminfo_free = "1650012"
//	data/updated = "Sun Nov 22 13:35:01 2026"
//
// xe-guest-utilities writes MemTotal and MemAvailable of /proc/meminfo every
// other minute, xen-guest-agent and the Windows agents the like. A figure that
// cannot be is left out.
func agentMemory(get func(string) string, at time.Time) opt.Value[xen.GuestMemory] {
	m := xen.GuestMemory{Available: KiB(get(MeminfoFree)), Path: MeminfoFree}
	if !m.Available.Has() {
		return opt.Value[xen.GuestMemory]{}
	}
	m.Total = KiB(get(MeminfoTotal))
	if m.Total.Has() && m.Available.Or(0) > m.Total.Or(0) {
		return opt.Value[xen.GuestMemory]{}
	}
	m.Age = age(get(Updated), at)
	return opt.Of(m)
}

const (
	// skew is how far a guest's clock may run ahead of Dom0's.
	skew = time.Minute
	// zoneStep is the smallest difference between two time zones.
	zoneStep = 15 * time.Minute
	// longAgo is older than anything that is still worth a look.
	longAgo = 10 * 365 * 24 * time.Hour
)

// age is how long before at the guest wrote data/updated. Seen in agents:
//
//	Sun Nov 22 13:35:01 2026       xe-guest-utilities (Go): local time, no zone
//	Sun Nov 22 13:35:01 UTC 2026   its shell predecessor: date
//	1795354501000                  a Windows agent: milliseconds since 1970
//	1                              older Windows agents: says nothing
//
// A time without a zone is taken for UTC as long as it is then less than a zone
// step old: in any other zone it would not be. Else its age is not known.
func age(updated string, at time.Time) opt.Value[time.Duration] {
	var written time.Time
	most := longAgo
	if n, err := strconv.ParseInt(updated, 10, 64); err == nil {
		switch len(updated) {
		case 10:
			written = time.Unix(n, 0)
		case 13:
			written = time.UnixMilli(n)
		}
	} else if t, err := time.Parse(time.ANSIC, updated); err == nil {
		written, most = t, zoneStep
	} else if t, err := time.Parse(time.UnixDate, updated); err == nil {
		written = t
		if !strings.Contains(updated, " UTC ") && !strings.Contains(updated, " GMT ") {
			most = zoneStep // Go does not know the zone's letters: as if there were none
		}
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
	m := xen.GuestMemory{Used: KiB(text), Path: Meminfo}
	if m.Used.Has() {
		return opt.Of(m)
	}
	v := map[string]units.KiB{}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, ":")
		size, isKB := strings.CutSuffix(strings.TrimSpace(value), " kB")
		if k, ok := KiB(size).Get(); ok && isKB && len(v) < 16 {
			v[key] = k
		}
	}
	used := v["MemTotal"] - v["MemFree"] - v["Buffers"] - v["Cached"] + v["SwapTotal"] - v["SwapFree"]
	if v["MemTotal"] == 0 || used < 0 {
		return opt.Value[xen.GuestMemory]{}
	}
	m.Total, m.Used = opt.Of(v["MemTotal"]), opt.Of(used)
	if free, ok := v["SwapFree"]; ok {
		m.SwapFree = opt.Of(free)
	}
	return opt.Of(m)
}
