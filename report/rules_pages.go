package report

import (
	"fmt"
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// hitRateLow: pages held in Xen that are hardly ever read back take memory that
// other guests' caches could have.
func hitRateLow(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	e := d.Ephemeral()
	if e == nil {
		return none()
	}
	rate, ran, when := window(r, d, e.HitRate)
	switch {
	case !rate.Value.Has():
		return none()
	case rate.Whole.Or(0) < th.MinSample:
		return tooFew("counted gets", rate.Whole.Or(0), th)
	case rate.Value.Or(0) >= th.Limit || !held(ran, th):
		return none()
	}
	return opt.Of(finding.Finding{
		Verdict: finding.Warning,
		Seen: fmt.Sprintf("hit rate %s %s, for %s held in Xen",
			share(rate), when, kib(units.Pages(e.Pages.Or(0)).KiB())),
		// Xen's client_over_quota (common/tmem.c) is true below a client's share: a
		// weight makes a client give its own pages first, and 0 exempts it.
		Advice: "It reads its files once. Give it a weight of 1 and the others 0, so that it gives its own pages first when memory is short, " +
			"or load its tmem module with cleancache=0.",
		Evidence: []finding.Evidence{
			count("gets found", rate.Part, "gs"), count("gets counted", rate.Whole, "gt"),
			count("ephemeral pages", e.Pages, "Ec"), count("lost or flushed, at most", e.LostOrFlushed, "ps − pr − gs − fs − Pc"),
		},
	})
}

// pinned: persistent pages are never lost, so they hold memory until the guest
// reads them back or frees the swap slot.
func pinned(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	p := d.Persistent()
	if p == nil {
		return none()
	}
	read, compared := p.SwapReadsAvoided.Interval.Get()
	pages := p.Pages.Or(0)
	if !compared || read > 0 || !held(r.Interval, th) || pages == 0 ||
		float64(d.PersistentMemory.Or(0)) < th.Limit*float64(d.Current.Or(0)) {
		return none()
	}
	if pages < th.MinSample {
		return tooFew("persistent pages", pages, th)
	}
	return opt.Of(finding.Finding{
		Verdict: finding.Warning,
		Seen: fmt.Sprintf("%s of its %s are persistent pages, and none was read back in the last %s",
			kib(d.PersistentMemory.Or(0)), kib(d.Current.Or(0)), r.Interval.Or(0).Round(time.Second)),
		Advice: "They stay until the guest reads them or frees the swap slots. In the guest, see that frontswap_selfshrinking is 1; " +
			"with memory to spare, swapoff and swapon of its swap area bring them home.",
		Evidence: []finding.Evidence{
			count("persistent pages", p.Pages, "Pc"), count("persistent gets in the interval", p.SwapReadsAvoided.Interval, "Gp"),
		},
	})
}

// frozen: a frozen client's puts are refused. Saving and live migration freeze
// too, so on releases before 4.8 an operator's freeze looks the same.
func frozen(_ *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	if d.Client == nil || float64(d.Client.Frozen.Or(0)) < th.Limit {
		return none()
	}
	f := finding.Finding{
		Verdict: finding.Warning,
		Seen:    "is frozen: its puts are refused and swap goes to its disk",
		Advice: "A save or a live migration freezes a domain while it runs. If none is running, somebody froze it and did not thaw it. " +
			"Thaw it:",
		Evidence: []finding.Evidence{count("frozen", d.Client.Frozen, "fr")},
	}
	if id, ok := d.ID.Get(); ok {
		f.Commands = []string{fmt.Sprintf("xl tmem-thaw %d", id)}
	}
	return opt.Of(f)
}

// takesNoPart: on a host with tmem, a guest that is no client keeps all it was
// given.
func takesNoPart(r *Report, d *Domain, th Threshold) opt.Value[finding.Finding] {
	if d.Dom0 || d.Client != nil || r.Tmem.Answer != xen.TmemOn || !d.Reclaimed.Has() || !held(d.Uptime, th) ||
		float64(d.Reclaimed.Or(0)) > th.Limit*float64(d.Maximum.Or(0)) {
		return none()
	}
	advice := "Nothing of its memory is shared. With a kernel that has tmem it could take part."
	if d.PCI.Or(0) > 0 && d.Type != "pv" {
		advice = "It has devices passed through: the memory of an HVM or PVH guest with devices cannot be ballooned."
	}
	return opt.Of(finding.Finding{
		Verdict: finding.Note,
		Seen:    fmt.Sprintf("is no client of tmem and keeps %s of its %s", kib(d.Current.Or(0)), kib(d.Maximum.Or(0))),
		Advice:  advice,
		Evidence: []finding.Evidence{
			size("current", d.Current, "hypervisor"), size("maximum", d.Maximum, "larger of limit and static maximum"),
		},
	})
}

// overcommitted is the host's own finding: more was promised than there is.
func overcommitted(r *Report) opt.Value[finding.Finding] {
	th := r.Thresholds.Of(CheckOvercommitted)
	ratio, ok := r.Host.Overcommit.Get()
	if !ok || ratio <= th.Limit {
		return none()
	}
	return opt.Of(finding.Finding{
		Check: th.Check, Subject: "host", Verdict: finding.Note,
		Seen: fmt.Sprintf("guests were promised %s where there are %s for them (overcommit ratio %.2f)",
			kib(r.Host.GuestsMaximum.Or(0)), kib(r.Host.GuestsMemory.Or(0)), ratio),
		Advice: fmt.Sprintf("If all grew at once, %s would lack; free and freeable now: %s.",
			kib(r.Host.Shortfall.Or(0)), kib(r.Host.Free.Or(0)+r.Host.Freeable.Or(0))),
		Evidence: []finding.Evidence{
			size("Σ maximum of the guests", r.Host.GuestsMaximum, ""), size("guests' memory", r.Host.GuestsMemory, "total − Xen's own − Dom0"),
		},
	})
}
