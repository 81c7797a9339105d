package top

import (
	"strconv"
	"time"

	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// row is one domain as the screen shows it.
type row struct {
	*report.Domain
	key     string
	cpu     opt.Value[float64] // of one processor, between two readings
	vcpus   opt.Value[int]
	cpuTime opt.Value[time.Duration]
	past    []opt.Value[float64]
	why     string
}

// keyOf names a domain for as long as it lives.
func keyOf(d *report.Domain) string {
	if id, ok := d.ID.Get(); ok {
		return strconv.Itoa(int(id)) + " " + d.UUID
	}
	return d.Name
}

// find is the same domain in a snapshot, or nil.
func find(s *xen.Snapshot, d *report.Domain) *xen.Domain {
	if s == nil {
		return nil
	}
	for i := range s.Domains {
		if c := &s.Domains[i]; c.ID == d.ID && c.UUID == d.UUID && c.Name == d.Name {
			return c
		}
	}
	return nil
}

func cpusOf(s *xen.Snapshot, d *report.Domain) (vcpus opt.Value[int], used opt.Value[time.Duration]) {
	if c := find(s, d); c != nil {
		return c.VCPUs, c.CPUTime
	}
	return vcpus, used
}

// cpuOf is the share of a processor that the domain had between two snapshots.
func cpuOf(prev, cur *xen.Snapshot, d *report.Domain) opt.Value[float64] {
	before, after := find(prev, d), find(cur, d)
	if before == nil || after == nil {
		return opt.Value[float64]{}
	}
	a, okA := before.CPUTime.Get()
	b, okB := after.CPUTime.Get()
	wall := cur.End.Sub(prev.End)
	if !okA || !okB || b < a || wall <= 0 {
		return opt.Value[float64]{}
	}
	return opt.Of(float64(b-a) / float64(wall))
}
