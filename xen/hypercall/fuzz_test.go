package hypercall

import (
	"bytes"
	"testing"
	"time"
)

// FuzzDomains reads entries whose length must be found. The seeds are entries of
// each release, alone and in twos.
func FuzzDomains(f *testing.F) {
	for _, v := range readVectors(f) {
		e := v["domain entry"].b
		next := bytes.Clone(e)
		next[0] = 9
		version := uint32(v["sysctl version"].n)
		f.Add(append(bytes.Clone(e), bytes.Repeat([]byte{marker}, 300)...), 1, version)
		f.Add(append(append(bytes.Clone(e), next...), bytes.Repeat([]byte{marker}, 300)...), 2, version)
	}
	f.Fuzz(func(t *testing.T, buf []byte, n int, version uint32) {
		domains, err := parseDomains(buf, int(uint32(n)), version)
		if err != nil {
			return
		}
		if len(domains) != int(uint32(n)) || n > 0 && len(buf) < n*shortestEntry-7 {
			t.Fatalf("%d domains of %d in %d bytes", len(domains), n, len(buf))
		}
		last := -1
		for _, d := range domains {
			if id := int(d.ID.Or(0)); id <= last || id > lastDomID || d.Current.Or(0) < 0 || d.Limit.Or(0) < 0 || d.CPUTime.Or(0) < 0 {
				t.Fatalf("%+v behind domain %d", d, last)
			}
			last = int(d.ID.Or(0))
		}
	})
}

// FuzzPhysinfo reads the host in each layout.
func FuzzPhysinfo(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v["answer physinfo"].b[payloadAt:], uint32(v["sysctl version"].n))
	}
	f.Fuzz(func(t *testing.T, b []byte, version uint32) {
		h := &Hypervisor{sysctl: version, physical: parsePhysinfo(version, b)}
		if h.physical.check() != nil {
			return
		}
		host := h.host()
		if host.Free.Or(0) < 0 || host.Free.Or(0) > host.Total.Or(0) || host.Outstanding.Or(0) > host.Total.Or(0) || len(host.HWCaps) != 8*9-1 {
			t.Fatalf("%+v", host)
		}
	})
}

// FuzzTimes reads what stands in xenstore and in /proc/uptime.
func FuzzTimes(f *testing.F) {
	f.Add("1795354329.15")
	f.Add("66.27 103.94\n")
	f.Add("-1.5")
	f.Fuzz(func(t *testing.T, s string) {
		for _, d := range []int64{int64(parseUptime(s).Or(0)), int64(since(s, time.Unix(1<<39, 0)).Or(0))} {
			if d < 0 {
				t.Fatalf("%q is %d ns", s, d)
			}
		}
	})
}
