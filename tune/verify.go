package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/statedir"
	"xtm/internal/units"
	"xtm/report"
)

// Gauge is a figure that shows whether a change has helped.
type Gauge string

// The gauges, with their units.
const (
	GaugeCurrent         Gauge = "current_kib"
	GaugePersistent      Gauge = "persistent_kib"
	GaugePersistentPools Gauge = "persistent_pools"
	// GaugeRefused is the share of puts that were refused within the interval.
	GaugeRefused Gauge = "puts_refused_share"
	// GaugeOthersReads are the disk reads that the other domains avoided.
	GaugeOthersReads Gauge = "others_disk_reads_avoided_per_second"
	// GaugeCPUPerPut is the processor time of the domain for each of its puts, in
	// microseconds. Its programs are in it too, so it is compared under like load.
	GaugeCPUPerPut Gauge = "cpu_us_per_put"
)

// better tells whether the figure should rise (+1) or fall (−1).
func (g Gauge) better(check string) float64 {
	switch {
	case g == GaugePersistentPools, g == GaugeOthersReads, g == GaugeCurrent && check == report.CheckShrinks:
		return 1
	}
	return -1
}

// read takes the figure from evidence; absent where it cannot.
func (g Gauge) read(e *Evidence, who Ref) opt.Value[float64] {
	i := slices.IndexFunc(e.Report.Domains, func(d report.Domain) bool { return refOf(&d).Same(who) && d.ID.Has() })
	if i < 0 {
		return opt.Value[float64]{}
	}
	d := &e.Report.Domains[i]
	size := func(k opt.Value[units.KiB]) opt.Value[float64] {
		return opt.Map(k, func(k units.KiB) float64 { return float64(k) })
	}
	switch g {
	case GaugeCurrent:
		return size(d.Current)
	case GaugePersistent:
		return size(d.PersistentMemory)
	case GaugePersistentPools:
		if p := d.Persistent(); p != nil {
			return opt.Of(float64(p.Pools.Or(1)))
		}
		return opt.Of(0.0)
	case GaugeRefused:
		p := d.Persistent()
		if p == nil || p.Acceptance.Interval == nil || p.Acceptance.Interval.Whole.Or(0) == 0 {
			return opt.Value[float64]{}
		}
		return opt.Of(float64(p.Refused.Interval.Or(0)) / float64(p.Acceptance.Interval.Whole.Or(1)))
	case GaugeOthersReads:
		return othersReads(&e.Report, i)
	case GaugeCPUPerPut:
		return cpuPerPut(e, d)
	}
	return opt.Value[float64]{}
}

func othersReads(r *report.Report, but int) opt.Value[float64] {
	var sum opt.Value[float64]
	for i := range r.Domains {
		if x := r.Domains[i].Ephemeral(); x != nil && i != but && x.DiskReadsAvoided.PerSecond.Has() {
			sum = opt.Of(sum.Or(0) + x.DiskReadsAvoided.PerSecond.Or(0))
		}
	}
	return sum
}

func cpuPerPut(e *Evidence, d *report.Domain) opt.Value[float64] {
	used, ok := cpuTime(e, d.ID.Or(0)).Get()
	var puts int64
	if x := d.Ephemeral(); x != nil {
		puts += x.Puts.Interval.Or(0)
	}
	if p := d.Persistent(); p != nil {
		puts += p.SwapWritesAvoided.Interval.Or(0)
	}
	if !ok || puts < compressSample {
		return opt.Value[float64]{}
	}
	return opt.Of(float64(used.Microseconds()) / float64(puts))
}

// Applied is advice that was carried out, kept to be verified.
type Applied struct {
	Schema int       `json:"schema"`
	At     time.Time `json:"at"`
	// Interval is what the figures before were measured over.
	Interval time.Duration `json:"interval_ns"`
	Advice   []Advice      `json:"advice"`
	// Undo is the file that takes it back; "" where xtm did nothing itself.
	Undo string `json:"undo,omitempty"`
}

const (
	appliedFile   = statedir.Path + "/tune-advice.json"
	appliedSchema = 1
)

// Keep writes it down, in the place of what was kept before.
func (a Applied) Keep(root hostfs.Root) error {
	a.Schema = appliedSchema
	return statedir.Keep(root, appliedFile, a)
}

// LastApplied is the advice that was carried out last; cause.ErrNoData where none
// was.
func LastApplied(files hostfs.Files) (Applied, error) {
	b, err := files.ReadFile(appliedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Applied{}, fmt.Errorf("no advice was applied on this host: %w", cause.ErrNoData)
	}
	if err != nil {
		return Applied{}, err
	}
	return parseApplied(b)
}

// parseApplied reads what Keep wrote.
func parseApplied(b []byte) (Applied, error) {
	var a Applied
	if err := statedir.Parse(b, appliedSchema, &a); err != nil {
		return a, fmt.Errorf("read %s: %w", appliedFile, err)
	}
	return a, nil
}

// Helped is whether a change has brought what it should.
type Helped string

// The answers.
const (
	DidHelp     Helped = "helped"
	NoChange    Helped = "no difference"
	DidHarm     Helped = "worse"
	CannotTell  Helped = "could not tell"
	DomainGone  Helped = "its domain is gone"
	noiseOfRate        = 0.10
)

// Verified is one piece of advice, before and after.
type Verified struct {
	Advice
	Is     opt.Value[float64] `json:"is,omitzero"`
	Helped Helped             `json:"helped"`
}

// String is "others_disk_reads_avoided_per_second of cache1 (domain 3): 120.0 → 180.5: helped".
func (v Verified) String() string {
	return fmt.Sprintf("%s for %s: %s → %s: %s", v.Gauge, v.Domain, figure(v.Was), figure(v.Is), v.Helped)
}

func figure(x opt.Value[float64]) string {
	f, ok := x.Get()
	if !ok {
		return "not known"
	}
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}

// Showing is the figure that will show whether it helped: "current_kib, 131072 now".
func (a Advice) Showing() string { return string(a.Gauge) + ", " + figure(a.Was) + " now" }

// Verify compares what was measured before with what is measured now. A difference
// of less than a tenth is none.
func Verify(a Applied, e Evidence) []Verified {
	out := make([]Verified, 0, len(a.Advice))
	for _, adv := range a.Advice {
		v := Verified{Advice: adv, Is: adv.Gauge.read(&e, adv.Domain), Helped: CannotTell}
		was, ok1 := v.Was.Get()
		is, ok2 := v.Is.Get()
		there := slices.ContainsFunc(e.Report.Domains, func(d report.Domain) bool { return refOf(&d).Same(adv.Domain) })
		switch better := adv.Gauge.better(adv.Check); {
		case !there:
			v.Helped = DomainGone
		case !ok1 || !ok2:
		case abs(is-was) <= noiseOfRate*max(abs(is), abs(was)):
			v.Helped = NoChange
		case (is-was)*better > 0:
			v.Helped = DidHelp
		default:
			v.Helped = DidHarm
		}
		out = append(out, v)
	}
	return out
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
