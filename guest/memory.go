package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/proc"
	"xtm/internal/units"
)

// Memory is what the kernel's own accounts say. The selfballooning driver
// computes with just these figures.
type Memory struct {
	// Managed are the pages that the kernel manages now: MemTotal, the kernel's
	// totalram_pages. The balloon changes it.
	Managed units.Pages `json:"managed_pages"`
	// Committed is Committed_AS: what processes were promised.
	Committed units.Pages `json:"committed_pages"`
	// Available is MemAvailable; absent before 3.14.
	Available opt.Value[units.Pages] `json:"available_pages,omitzero"`
	SwapTotal units.Pages            `json:"swap_total_pages"`
	SwapFree  units.Pages            `json:"swap_free_pages"`
	// Zones is absent where /proc/zoneinfo was not to be had.
	Zones opt.Value[Zones] `json:"zones,omitzero"`
}

// Zones are sums over the kernel's zones.
type Zones struct {
	// Reserve is the kernel's totalreserve_pages.
	Reserve units.Pages `json:"reserve_pages"`
	// MaxPFN is the number of page frames up to the last one, holes included: the
	// kernel's max_pfn.
	MaxPFN units.Pages `json:"max_pfn"`
	// Present are the pages that the guest can have at most, those in the balloon
	// included.
	Present units.Pages `json:"present_pages"`
}

// ReadMemory reads /proc/meminfo and, where it is there, /proc/zoneinfo.
func ReadMemory(files hostfs.Files) (m Memory, err error) {
	p, closeProc, err := proc.Open(files, "meminfo")
	if err != nil {
		return Memory{}, err
	}
	defer func() {
		if e := closeProc(); err == nil {
			err = e
		}
	}()
	info, err := p.Meminfo()
	if err != nil {
		return Memory{}, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	if m, err = memoryOf(info); err != nil {
		return Memory{}, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	z, err := readZones(files)
	switch {
	case err == nil:
		m.Zones = opt.Of(z)
	case cause.Of(err) != cause.NoData:
		return Memory{}, err
	}
	return m, nil
}

func readZones(files hostfs.Files) (z Zones, err error) {
	p, closeProc, err := proc.Open(files, "zoneinfo")
	if err != nil {
		return Zones{}, err
	}
	defer func() {
		if e := closeProc(); err == nil {
			err = e
		}
	}()
	zones, err := p.Zoneinfo()
	if err != nil {
		return Zones{}, fmt.Errorf("read /proc/zoneinfo: %w", err)
	}
	// procfs keeps no start_pfn, so the file is read for that as well.
	b, err := files.ReadFile("/proc/zoneinfo")
	if err != nil {
		return Zones{}, err
	}
	if z, err = zonesOf(zones, b); err != nil {
		return Zones{}, fmt.Errorf("read /proc/zoneinfo: %w", err)
	}
	return z, nil
}

// maxPages is 2^40, more than x86 can address: sums of some stay far from
// overflow.
const maxPages = 1 << 40

func memoryOf(info procfs.Meminfo) (Memory, error) {
	var m Memory
	for _, f := range []struct {
		key  string
		kib  *uint64
		into *units.Pages
	}{
		{"MemTotal", info.MemTotal, &m.Managed},
		{"Committed_AS", info.CommittedAS, &m.Committed},
		{"SwapTotal", info.SwapTotal, &m.SwapTotal},
		{"SwapFree", info.SwapFree, &m.SwapFree},
	} {
		if f.kib == nil || *f.kib/4 > maxPages {
			return Memory{}, fmt.Errorf("no %s, or one out of range", f.key)
		}
		*f.into = units.KiB(*f.kib).Pages()
	}
	if a := info.MemAvailable; a != nil && *a/4 <= maxPages {
		m.Available = opt.Of(units.KiB(*a).Pages())
	}
	return m, nil
}

func zonesOf(zones []procfs.Zoneinfo, raw []byte) (z Zones, err error) {
	for _, zone := range zones {
		keep, err := reserve(zone)
		if err != nil {
			return Zones{}, err
		}
		z.Reserve += keep
		z.Present += units.Pages(*zone.Present)
	}
	z.MaxPFN, err = parseMaxPFN(bytes.NewReader(raw))
	return z, err
}

// reserve is what a zone keeps back: its high watermark and the largest
// protection against allocations that could be had from a higher zone, at most
// the whole zone (calculate_totalreserve_pages in mm/page_alloc.c, Linux 3.1–4.19;
// up to 3.8 there is no managed and present bounds it).
func reserve(z procfs.Zoneinfo) (units.Pages, error) {
	var protection int64
	for _, p := range z.Protection {
		if p == nil || *p < 0 || *p > maxPages {
			return 0, fmt.Errorf("zone %.20q has a protection out of range", z.Zone)
		}
		protection = max(protection, *p)
	}
	size := z.Managed
	if size == nil {
		size = z.Present
	}
	for _, p := range []*int64{z.High, z.Present, size} {
		if p == nil || *p < 0 || *p > maxPages || z.Protection == nil {
			return 0, fmt.Errorf("zone %.20q lacks its watermark, size or protection, or one is out of range", z.Zone)
		}
	}
	return units.Pages(min(*z.High+protection, *size)), nil
}

// parseMaxPFN finds the end of the last zone, which is the kernel's max_pfn. procfs
// leaves start_pfn out. Lines of captures/xen-4.12-selfballoon (an empty zone has
// no start_pfn):
//
//	Node 0, zone    DMA32
//	  pages free     21013
//	        spanned  126976
//	  start_pfn:           4096
//	Node 0, zone   Normal
//	        spanned  0
func parseMaxPFN(r io.Reader) (units.Pages, error) {
	var last, spanned int64
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		if f[0] == "Node" {
			spanned = 0
		}
		if len(f) != 2 || f[0] != "spanned" && f[0] != "start_pfn:" {
			continue
		}
		v, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || v < 0 || v > maxPages {
			return 0, fmt.Errorf("line %d: %.80q is no number of pages", n, lines.Text())
		}
		if f[0] == "spanned" {
			spanned = v
		} else if spanned > 0 {
			last = max(last, v+spanned)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if last == 0 {
		return 0, errors.New("no zone has pages")
	}
	return units.Pages(last), nil
}
