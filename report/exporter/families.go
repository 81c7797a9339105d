package exporter

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"

	dto "github.com/prometheus/client_model/go"
)

// family collects the samples of one metric.
type family struct {
	dto.MetricFamily
}

func newFamily(name, help string, kind dto.MetricType) *family {
	return &family{dto.MetricFamily{Name: &name, Help: &help, Type: &kind}}
}

// sample is a metric with its value, in one piece of memory: a large host has
// tens of thousands.
type sample struct {
	metric  dto.Metric
	gauge   dto.Gauge
	counter dto.Counter
	value   float64
}

// add puts a sample in. Labels are shared between samples, and are not changed.
func (f *family) add(labels []*dto.LabelPair, v opt.Value[float64]) {
	x, ok := v.Get()
	if !ok {
		return
	}
	s := &sample{value: x}
	s.metric.Label = labels
	if f.GetType() == counter {
		s.counter.Value, s.metric.Counter = &s.value, &s.counter
	} else {
		s.gauge.Value, s.metric.Gauge = &s.value, &s.gauge
	}
	f.Metric = append(f.Metric, &s.metric)
}

// present are the families that have a sample, in order of their names.
func present(families []*family) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(families))
	for _, f := range families {
		if len(f.Metric) > 0 {
			out = append(out, &f.MetricFamily)
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}

// labels are pairs of name and value; names come in alphabetical order.
func labels(pairs ...string) []*dto.LabelPair {
	made := make([]dto.LabelPair, len(pairs)/2)
	out := make([]*dto.LabelPair, len(made))
	for i := range made {
		made[i].Name, made[i].Value = &pairs[2*i], &pairs[2*i+1]
		out[i] = &made[i]
	}
	return out
}

// selfFamilies are what the exporter knows without the host.
func selfFamilies(version string, tries map[string]try) []*dto.MetricFamily {
	build := newFamily("xtm_build_info", "xtm's own release, as labels; always 1.", gauge)
	build.add(labels("goversion", runtime.Version(), "version", version), opt.Of(1.0))
	up := newFamily("xtm_source_up", "Whether the source answered when it was asked last.", gauge)
	took := newFamily("xtm_source_duration_seconds", "How long the source took when it was asked last.", gauge)
	for _, name := range slices.Sorted(maps.Keys(tries)) {
		l, t := labels("source", name), tries[name]
		up.add(l, opt.Of(truth(t.err == nil)))
		took.add(l, opt.Of(t.took.Seconds()))
	}
	return present([]*family{build, up, took})
}

// reportFamilies are a report's metrics. was are the levels of the report
// before; those of this one are returned.
func reportFamilies(r *report.Report, was levels) ([]*dto.MetricFamily, levels) {
	out := hostFamilies(r)
	tables := domainMetrics()
	byDomain := make([]*family, len(tables))
	for i, m := range tables {
		byDomain[i] = newFamily(m.name, m.help, m.kind)
	}
	heard := newFamily("xtm_domain_report_timestamp_seconds", "When the guest last wrote its own figures.", gauge)
	pools := newPoolFamilies(was)
	seen := make(map[identity]bool, len(r.Domains))
	for i := range r.Domains {
		d := &r.Domains[i]
		who := identify(d, seen)
		l := who.labels()
		for j, m := range tables {
			byDomain[j].add(l, m.value(d))
		}
		if g, ok := d.Guest.Get(); ok && !r.End.IsZero() {
			heard.add(l, opt.Map(g.Age, func(age time.Duration) float64 { return timestamp(r.End.Add(-age)) }))
		}
		pools.add(who, d)
	}
	out = append(append(append(out, byDomain...), heard), pools.all()...)
	return present(out), pools.now
}

// hostFamilies are those without a domain's labels.
func hostFamilies(r *report.Report) []*family {
	var out []*family
	one := func(name, help string, kind dto.MetricType, v opt.Value[float64], pairs ...string) {
		f := newFamily(name, help, kind)
		f.add(labels(pairs...), v)
		out = append(out, f)
	}
	for _, m := range hostMetrics() {
		one(m.name, m.help, m.kind, m.value(&r.Host))
	}
	one("xtm_host_info", "What the host runs, as labels; always 1.", gauge, opt.Of(1.0),
		"dom0_release", labelValue(r.Host.Release), "recorded", labelValue(r.Recorded), "source", r.Source, "xen", labelValue(r.Host.Version.String()))
	one("xtm_host_domains", "Domains on the host, Dom0 among them.", gauge, opt.Of(float64(len(r.Domains))))
	if !r.End.IsZero() {
		one("xtm_report_timestamp_seconds", "When the host was read; of a recorded host, when it was recorded.", gauge, opt.Of(timestamp(r.End)))
	}
	one("xtm_report_gaps", "Things that the source could not read this time.", gauge, opt.Of(float64(len(r.Gaps))))
	if r.Tmem.Answer != xen.TmemUnknown && r.Tmem.Answer != "" {
		one("xtm_tmem_enabled", "1 where the hypervisor has tmem and has it switched on.", gauge, opt.Of(truth(r.Tmem.Answer == xen.TmemOn)))
	}
	if len(r.SharedPools) > 0 {
		var sum xen.Count
		for _, p := range r.SharedPools {
			if n, ok := p.Pages.Get(); ok {
				sum = opt.Of(sum.Or(0) + n)
			}
		}
		one("xtm_tmem_shared_pool_pages", "Pages in pools that several domains share.", gauge, float(sum))
	}
	return append(out, findingFamily(r))
}

// findingFamily counts the findings, so that their number does not depend on
// that of the domains.
func findingFamily(r *report.Report) *family {
	type key struct{ check, verdict string }
	counts := map[key]float64{}
	for _, f := range r.Findings {
		counts[key{f.Check, string(f.Verdict)}]++
	}
	f := newFamily("xtm_host_findings", "Findings of xtm report, by check and verdict.", gauge)
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.check, b.check), cmp.Compare(a.verdict, b.verdict))
	})
	for _, k := range keys {
		f.add(labels("check", k.check, "verdict", k.verdict), opt.Of(counts[k]))
	}
	return f
}

func inBytes(k opt.Value[units.KiB]) opt.Value[float64] {
	return opt.Map(k, func(k units.KiB) float64 { return float64(k.Bytes()) })
}

func float(c xen.Count) opt.Value[float64] {
	return opt.Map(c, func(n int64) float64 { return float64(n) })
}

func seconds(d opt.Value[time.Duration]) opt.Value[float64] { return opt.Map(d, time.Duration.Seconds) }

func timestamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func domid(d *report.Domain) string {
	id, ok := d.ID.Get()
	if !ok {
		return ""
	}
	return strconv.Itoa(int(id))
}
