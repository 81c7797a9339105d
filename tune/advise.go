package tune

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// Evidence is what advice is made from: a report over an interval, and the two
// snapshots at its ends where it was made of two, for what a report leaves out.
type Evidence struct {
	Report      report.Report
	Before, Now *xen.Snapshot
}

// Sure is how well advice is founded.
type Sure string

// The degrees.
const (
	// Certain follows from how Xen works and from what was counted.
	Certain Sure = "certain"
	// Likely follows from what was counted, if the host goes on as it did.
	Likely Sure = "likely"
	// Guess needs to be looked at in the guest.
	Guess Sure = "guess"
)

// Advice is one change that should help.
type Advice struct {
	Check  string `json:"check"`
	Domain Ref    `json:"domain"`
	// What is to be done, Seen why, Brings what it should bring.
	What   string `json:"what"`
	Seen   string `json:"seen"`
	Brings string `json:"brings"`
	Sure   Sure   `json:"sure"`
	// Calls are what xtm can do itself, Commands what is left to the user.
	Calls    []Call             `json:"calls,omitempty"`
	Commands []string           `json:"commands,omitempty"`
	Evidence []finding.Evidence `json:"evidence,omitempty"`
	// Gauge is the figure that will show whether it helped, Was its value now.
	Gauge Gauge              `json:"gauge"`
	Was   opt.Value[float64] `json:"was,omitzero"`
}

// The checks that are tune's own.
const (
	CheckCompress = "compress-not-worth-it"
	CheckIdle     = "idle-and-large"
)

// Advise looks for what to change. On a host on which nothing is wrong it returns
// nothing.
func Advise(e Evidence) []Advice {
	var out []Advice
	cold := coldest(&e.Report)
	for i := range e.Report.Domains {
		d := &e.Report.Domains[i]
		id, ok := d.ID.Get()
		if !ok || d.State.Dying {
			continue
		}
		for _, f := range e.Report.Findings {
			if f.Subject == d.Label() && f.Verdict.Problem() {
				if a, ok := fromFinding(&e, d, f, cold); ok {
					out = append(out, a)
				}
			}
		}
		if a, ok := compress(&e, d, id); ok {
			out = append(out, a)
		}
		if a, ok := idle(&e, d, id); ok {
			out = append(out, a)
		}
	}
	for i := range out {
		out[i].Was = out[i].Gauge.read(&e, out[i].Domain)
	}
	return out
}

func refOf(d *report.Domain) Ref { return Ref{ID: d.ID.Or(0), UUID: d.UUID, Name: d.Name} }

// fromFinding makes advice of what a report found.
func fromFinding(e *Evidence, d *report.Domain, f finding.Finding, cold units.DomID) (Advice, bool) {
	a := Advice{Check: f.Check, Domain: refOf(d), Seen: f.Seen, Evidence: f.Evidence, Sure: Certain}
	switch f.Check {
	case report.CheckShrinks:
		a.What = "switch its selfballooning off and give it its memory back; in the guest:"
		a.Brings = fmt.Sprintf("the %d MiB that it lacks, and an end of swapping to its disk", lacks(d)/1024)
		a.Commands = []string{"xtm tune guest set selfballooning=0", fmt.Sprintf("xtm tune guest set target_kb=%d", d.Target.Or(0))}
		a.Gauge = GaugeCurrent
	case report.CheckNoSwap:
		a.What = fmt.Sprintf("give it a swap area of at least %d MiB, its maximum; in the guest:", d.Maximum.Or(0)/1024)
		a.Brings = "a persistent pool: it can start programs when it has shrunk, and its swap goes to tmem first"
		a.Commands = []string{"xtm enable-tmem --create-swap"}
		a.Gauge = GaugePersistentPools
		if float64(d.Reclaimed.Or(0)) < 0.1*float64(d.Maximum.Or(0)) {
			a.Sure = Likely // it has hardly shrunk so far
		}
	case report.CheckPutsRefused:
		if f.Verdict != finding.Bad {
			return a, false // not at its limit as far as can be seen
		}
		most := (d.Limit.Or(0) + d.Limit.Or(0)/4) / 1024
		a.What = fmt.Sprintf("raise its limit from %d to %d MiB", d.Limit.Or(0)/1024, most)
		a.Brings = "what went to its swap disk goes to tmem: " + perSecond(d.Persistent().Refused, "refused puts")
		a.Commands = []string{fmt.Sprintf("xl mem-max %d %dm", a.Domain.ID, most)}
		a.Gauge = GaugeRefused
	case report.CheckHitRate:
		return coldCache(e, d, a, cold)
	case report.CheckPinned:
		a.What = "bring its persistent pages home; in the guest:"
		a.Brings = fmt.Sprintf("%d MiB that it holds and does not use", d.PersistentMemory.Or(0)/1024)
		a.Commands = []string{"xtm tune guest set frontswap_selfshrinking=1 selfballooning=1"}
		a.Sure, a.Gauge = Likely, GaugePersistent
	default:
		return a, false
	}
	return a, true
}

// lacks is how far a domain stands below what the toolstack gave it.
func lacks(d *report.Domain) units.KiB { return max(0, d.Target.Or(0)-d.Current.Or(0)) }

func perSecond(c report.Counter, what string) string {
	if rate, ok := c.PerSecond.Get(); ok {
		return fmt.Sprintf("%.1f %s a second", rate, what)
	}
	return units.Group(c.Total.Or(0)) + " " + what + " so far"
}

// coldest is the domain with the most pages among those with a low hit rate. Only
// one is told to pay for its cache at a time: with weights on two, the larger of
// them is not made to.
func coldest(r *report.Report) units.DomID {
	var worst *report.Domain
	for i := range r.Domains {
		d := &r.Domains[i]
		low := slices.ContainsFunc(r.Findings, func(f finding.Finding) bool {
			return f.Check == report.CheckHitRate && f.Subject == d.Label() && f.Verdict.Problem()
		})
		if low && d.ID.Has() && (worst == nil || d.Ephemeral().Pages.Or(0) > worst.Ephemeral().Pages.Or(0)) {
			worst = d
		}
	}
	if worst == nil {
		return 0
	}
	return worst.ID.Or(0)
}

// coldCache makes a domain that hardly reads its pages back give up its own first.
// Without evictions nobody lacks them, and nothing is to be done.
func coldCache(e *Evidence, d *report.Domain, a Advice, cold units.DomID) (Advice, bool) {
	evicted := e.Report.Host.Evicted
	if evicted.Interval.Or(0) == 0 || a.Domain.ID != cold {
		return a, false
	}
	held := units.Pages(d.Ephemeral().Pages.Or(0)).KiB()
	a.What = "make it give up its own pages first: weight 1 on it, and on no other"
	a.Brings = fmt.Sprintf("of the %d MiB that it holds, what the other caches can use; now %s", held/1024, perSecond(evicted, "pages are evicted"))
	a.Sure, a.Gauge = Likely, GaugeOthersReads
	for i := range e.Report.Domains {
		o := &e.Report.Domains[i]
		if o.Client == nil {
			continue
		}
		want := flag(o.ID == d.ID)
		if w := uint32(o.Client.Weight.Or(0)); w != want { //nolint:gosec // as Xen prints it
			a.Calls = append(a.Calls, Call{OpWeight, refOf(o), w, want, "its weight would make it give up pages instead of " + a.Domain.String()})
		}
	}
	for i := range a.Calls {
		if a.Calls[i].Domain.ID == a.Domain.ID {
			a.Calls[i].Reason = a.Seen
		}
	}
	return a, len(a.Calls) > 0
}

const (
	// compressSample is how many pages must have been tried, packedWell the stored
	// share above which compression saves too little.
	compressSample = 100
	packedWell     = 0.75
)

// clientOf is a domain's line in a snapshot's listing; nil is none.
func clientOf(s *xen.Snapshot, id units.DomID) *xen.TmemClient {
	if s == nil {
		return nil
	}
	l, _ := s.Tmem.Get()
	if i := slices.IndexFunc(l.Clients, func(c xen.TmemClient) bool { return c.ID == id }); i >= 0 {
		return &l.Clients[i]
	}
	return nil
}

// compress: pages that hardly shrink cost the time of compressing them and are
// stored as they are. Xen keeps a compressed page where that is smaller, and
// counts the others as cn (do_tmem_put_compress in xen/common/tmem.c).
func compress(e *Evidence, d *report.Domain, id units.DomID) (Advice, bool) {
	if d.Client == nil || d.Client.Compress.Or(0) != 1 {
		return Advice{}, false
	}
	stored, sample, seen := 1.0, int64(0), ""
	if c := clientOf(e.Now, id); c != nil {
		packed, poor, bytes := c.CompressedPages.Or(0), c.PoorlyPacked.Or(0), c.CompressedBytes.Or(0)
		if was := clientOf(e.Before, id); was != nil && was.CompressedPages.Or(0) <= packed && was.PoorlyPacked.Or(0) <= poor {
			packed, poor, bytes = packed-was.CompressedPages.Or(0), poor-was.PoorlyPacked.Or(0), bytes-was.CompressedBytes.Or(0)
		}
		sample = packed + poor
		stored = float64(bytes+poor*units.PageSize) / float64(max(1, sample)*units.PageSize)
		seen = fmt.Sprintf("of %s pages that were compressed, %s did not become smaller; all together take %s of their size",
			units.Group(sample), units.Group(poor), units.Percent(stored))
	} else if ratio, ok := d.Client.CompressionRatio.Get(); ok {
		stored, sample = ratio, compressSample
		seen = "its compressed pages take " + units.Percent(ratio) + " of their size; how many did not become smaller is not known"
	}
	if sample < compressSample || stored <= packedWell {
		return Advice{}, false
	}
	ref := refOf(d)
	return Advice{
		Check: CheckCompress, Domain: ref, Sure: Certain, Gauge: GaugeCPUPerPut, Seen: seen,
		What:   "switch its compression off",
		Brings: "the processor time of compressing, about ten times that of a plain put, for a loss of " + units.Percent(1-stored) + " of the room",
		Calls:  []Call{{OpCompress, ref, 1, 0, seen}},
		Evidence: []finding.Evidence{
			{Name: "pages compressed", Value: strconv.FormatInt(sample, 10), Source: "cp + cn"},
			{Name: "share of their size", Value: units.Percent(stored), Source: "(cb + 4096·cn) / (4096·(cp + cn))"},
		},
	}, true
}

const (
	// idleTime is how long a guest must have been watched, idleShare the share of a
	// processor below which it is idle, largeShare that of its maximum above which
	// it is large.
	idleTime   = 30 * time.Second
	idleShare  = 0.05
	largeShare = 0.9
)

// idle: a guest that does nothing and keeps all that it may have, while others
// lose pages.
func idle(e *Evidence, d *report.Domain, id units.DomID) (Advice, bool) {
	long := e.Report.Interval.Or(0)
	used, known := cpuTime(e, id).Get()
	short := e.Report.Host.Evicted.Interval.Or(0) > 0
	if d.Dom0 || !known || long < idleTime || !short || d.Reset != "" || d.State.Paused ||
		float64(used) > idleShare*float64(long) || float64(d.Current.Or(0)) < largeShare*float64(d.Maximum.Or(1)) {
		return Advice{}, false
	}
	a := Advice{
		Check: CheckIdle, Domain: refOf(d), Sure: Guess, Gauge: GaugeCurrent,
		Seen: fmt.Sprintf("it used %s of a processor in %s and keeps %d of the %d MiB that it may have, while %s", units.Percent(float64(used)/float64(long)),
			long.Round(time.Second), d.Current.Or(0)/1024, d.Maximum.Or(0)/1024, perSecond(e.Report.Host.Evicted, "pages of others are evicted")),
		What:     "let it give back what it does not use: see in the guest what it needs (free -m), then:",
		Brings:   fmt.Sprintf("a part of its %d MiB, for the caches of the others", d.Current.Or(0)/1024),
		Commands: []string{fmt.Sprintf("xl mem-set %d %dm", id, d.Current.Or(0)/2/1024)},
		Evidence: []finding.Evidence{
			{Name: "processor time", Value: used.String(), Source: "hypervisor"},
			{Name: "current", Value: fmt.Sprintf("%d KiB", d.Current.Or(0)), Source: "hypervisor"},
		},
	}
	if d.Client != nil {
		a.What, a.Commands = "let it shrink itself; in the guest:", []string{"xtm guard"}
	}
	if says, ok := d.Guest.Get(); ok && says.Available.Has() {
		a.Sure = Likely
		a.Brings = fmt.Sprintf("up to %d MiB, which its agent says it could use without swapping", says.Available.Or(0)/1024)
	}
	return a, true
}

// cpuTime is what a domain used within the interval; absent where it is not known.
func cpuTime(e *Evidence, id units.DomID) opt.Value[time.Duration] {
	if e.Before == nil || e.Now == nil {
		return opt.Value[time.Duration]{}
	}
	was, ok1 := domainOf(*e.Before, id)
	is, ok2 := domainOf(*e.Now, id)
	if !ok1 || !ok2 || was.UUID != is.UUID {
		return opt.Value[time.Duration]{}
	}
	return opt.Both(is.CPUTime, was.CPUTime, func(n, w time.Duration) time.Duration { return n - w })
}

// PlanOf are the calls of all advice.
func PlanOf(advice []Advice) Plan {
	var p Plan
	for _, a := range advice {
		p.Calls = append(p.Calls, a.Calls...)
	}
	return p
}
