package report

import (
	"fmt"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
)

// shrinks: a guest's kernel says "enabled" and shrinks itself whether or not
// the host has tmem. With no pool behind it, it reclaims its own cache and
// swaps to disk (captures of 4.12 without tmem: 192 → 76 MiB, 109,564 failed
// stores), and without swap it cannot start programs.
func shrinks(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	target, current := d.Target.Or(0), d.Current.Or(0)
	if d.Dom0 || d.State.Paused || !d.Target.Has() || !d.Current.Has() || !held(d.Uptime, th) ||
		float64(current) >= float64(target)*(1-th.Limit) {
		return none()
	}
	verdict, why := hasPool(r, d)
	if verdict == finding.Good {
		return none()
	}
	return opt.Of(finding.Finding{
		Verdict: verdict,
		Seen: fmt.Sprintf("has shrunk itself to %s of the %s that the toolstack gave it, and no pool stands behind it: %s",
			kib(current), kib(target), why),
		Advice: "Unless you are ballooning it just now, it squeezes itself for nothing and may fail to start programs. " +
			"In the guest, switch selfballooning off and give the memory back:",
		Commands: []string{
			"echo 0 > /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballooning",
			fmt.Sprintf("echo %d > /sys/devices/system/xen_memory/xen_memory0/target_kb", target),
		},
		Evidence: []finding.Evidence{
			size("current", d.Current, "hypervisor"), size("toolstack target", d.Target, "memory/target"),
			{Name: "tmem", Value: string(r.Tmem.Answer), Source: r.Tmem.Evidence},
		},
	})
}

// noSwap: frontswap fronts an existing swap area. Without one there is no
// persistent pool, and a guest that shrank itself fails to map memory.
func noSwap(_ *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	e := d.Ephemeral()
	if e == nil || d.Persistent() != nil || float64(e.Pools.Or(0)) < th.Limit || !held(d.Uptime, th) {
		return none()
	}
	gaveUp := ""
	if k, ok := d.Reclaimed.Get(); ok {
		gaveUp = "; it gave up " + kib(k)
	}
	return opt.Of(finding.Finding{
		Verdict: finding.Warning,
		Seen: fmt.Sprintf("has %d ephemeral pools and no persistent one, so no swap area is active in it%s",
			e.Pools.Or(0), gaveUp),
		Advice: "A guest without swap that shrinks itself fails to start programs (Cannot allocate memory). " +
			"Give it a swap area of at least its maximum memory; it is written to only when a put is refused.",
		Evidence: []finding.Evidence{
			count("ephemeral pools", e.Pools, "P lines with PT:E"), count("persistent pools", opt.Of[int64](0), "P lines with PT:P"),
		},
	})
}

// putsRefused: a persistent page is billed to the domain, so a put fails once
// the domain stands at max_pages, and the page goes to the swap disk.
func putsRefused(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	p := d.Persistent()
	if p == nil || d.Client.Frozen.Or(0) == 1 {
		return none()
	}
	accepted, _, when := window(r, d, p.Acceptance)
	refused := p.Refused.Total
	if p.Acceptance.Interval != nil && r.Interval.Has() {
		refused = p.Refused.Interval
	}
	tries, n := accepted.Whole.Or(0), refused.Or(0)
	switch {
	case n == 0 || !refused.Has():
		return none()
	case tries < th.MinSample:
		return tooFew("attempted puts", tries, th)
	case float64(n) < th.Limit*float64(tries):
		return none()
	}
	f := finding.Finding{
		Verdict: finding.Bad,
		Seen: fmt.Sprintf("%s of %s puts were refused %s (%s went to its swap disk instead)",
			units.Group(n), units.Group(tries), when, units.Percent(float64(n)/float64(tries))),
		Evidence: []finding.Evidence{
			count("puts refused", refused, "px"), count("puts attempted", accepted.Whole, "pt"),
			size("current", d.Current, "hypervisor"), size("limit", d.Limit, "hypervisor"),
			size("room for puts", d.RoomForPuts, "limit − current"),
		},
	}
	room, known := d.RoomForPuts.Get()
	switch {
	case !known:
		f.Verdict = finding.Warning
		f.Advice = "Puts are refused while a domain stands at its limit; this source does not show it."
	case room > d.Limit.Or(0)/50:
		f.Verdict = finding.Note
		f.Seen += "; it has room for " + kib(room) + " now"
		f.Advice = "It stood at its limit earlier. Watch with --interval whether it goes on; if it does, raise the limit."
	default:
		f.Seen += "; it stands at its limit with room for " + kib(room)
		f.Advice = "A put needs a page below the limit. Raise the limit; the domain takes memory only when it needs it:"
		if id, ok := d.ID.Get(); ok {
			f.Commands = []string{fmt.Sprintf("xl mem-max %d %dm", id, (d.Limit.Or(0)+d.Limit.Or(0)/4)/1024)}
		}
	}
	return opt.Of(f)
}

// acceptanceFalling compares the interval with the time before it.
func acceptanceFalling(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	p := d.Persistent()
	if p == nil || p.Acceptance.Interval == nil || d.Client.Frozen.Or(0) == 1 || !held(r.Interval, th) {
		return none()
	}
	in := *p.Acceptance.Interval
	total := p.Acceptance.Total
	before := NewRatio(opt.Of(total.Part.Or(0)-in.Part.Or(0)), opt.Of(total.Whole.Or(0)-in.Whole.Or(0)))
	switch {
	case !before.Value.Has() || in.Whole.Or(0) == 0:
		return none()
	case in.Whole.Or(0) < th.MinSample:
		return tooFew("attempted puts in the interval", in.Whole.Or(0), th)
	case before.Value.Or(0)-in.Value.Or(0) < th.Limit:
		return none()
	}
	return opt.Of(finding.Finding{
		Verdict: finding.Warning,
		Seen:    fmt.Sprintf("put acceptance fell from %s before the interval to %s within it", share(before), share(in)),
		Advice:  "Either the domain reached its limit or Xen ran out of pages to take back: compare room for puts and the host's free memory.",
		Evidence: []finding.Evidence{
			count("puts attempted in the interval", in.Whole, "pt"), count("puts accepted in the interval", in.Part, "ps"),
			size("room for puts", d.RoomForPuts, "limit − current"),
		},
	})
}
