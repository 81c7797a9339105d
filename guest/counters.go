package guest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// CounterPlace is where a range of kernels keeps counters, one number a file.
type CounterPlace struct {
	// Debugfs tells that Dir is below the place where debugfs is mounted.
	Debugfs bool
	Dir     string
	// Names are the files, in the order of the fields of CleancacheCounters or
	// FrontswapCounters.
	Names []string
}

// The places (mm/cleancache.c and mm/frontswap.c). Flushes became invalidates
// when the files moved.
var (
	// Linux 3.0–3.3.
	sysfsCleancache = CounterPlace{false, "/sys/kernel/mm/cleancache", []string{"succ_gets", "failed_gets", "puts", "flushes"}}
	// Linux 3.4–5.16.
	debugCleancache = CounterPlace{true, "cleancache", []string{"succ_gets", "failed_gets", "puts", "invalidates"}}
	// Linux 3.5–6.5; from 5.3 on behalf of zswap alone.
	debugFrontswap = CounterPlace{true, "frontswap", []string{"loads", "succ_stores", "failed_stores", "invalidates"}}
)

// CleancacheCounters count pages since the guest's start; they go on after a
// migration. They are kept without locks, so that some are lost.
type CleancacheCounters struct {
	// SuccGets are pages that came back: a disk read avoided. Only a pool can
	// make it rise.
	SuccGets uint64 `json:"succ_gets"`
	// FailedGets and Puts also rise where no pool and, from 3.10, no driver is.
	FailedGets  uint64 `json:"failed_gets"`
	Puts        uint64 `json:"puts"`
	Invalidates uint64 `json:"invalidates"` // "flushes" up to 3.3
}

// FrontswapCounters count pages since the guest's start.
type FrontswapCounters struct {
	// Loads are swap reads avoided, SuccStores swap writes avoided.
	Loads      uint64 `json:"loads"`
	SuccStores uint64 `json:"succ_stores"`
	// FailedStores went to the disk: no pool, or the domain stands at its maximum.
	FailedStores uint64 `json:"failed_stores"`
	Invalidates  uint64 `json:"invalidates"`
}

// ReadCleancacheCounters reads cleancache's counters, wherever this kernel keeps
// them. cause.ErrNoData where they are not there, with the reason as far as mounts
// tell it.
func ReadCleancacheCounters(files hostfs.Files, mounts []Mount) (CleancacheCounters, error) {
	n, err := readCounters(files, mounts, "cleancache", &debugCleancache, &sysfsCleancache)
	if err != nil {
		return CleancacheCounters{}, err
	}
	return CleancacheCounters{n[0], n[1], n[2], n[3]}, nil
}

// ReadFrontswapCounters reads frontswap's counters, as ReadCleancacheCounters.
func ReadFrontswapCounters(files hostfs.Files, mounts []Mount) (FrontswapCounters, error) {
	n, err := readCounters(files, mounts, "frontswap", &debugFrontswap)
	if err != nil {
		return FrontswapCounters{}, err
	}
	return FrontswapCounters{n[0], n[1], n[2], n[3]}, nil
}

// debugfsPoint is where debugfs is mounted, or belongs.
func debugfsPoint(mounts []Mount) (point string, mounted bool) {
	if i := slices.IndexFunc(mounts, func(m Mount) bool { return m.Type == "debugfs" }); i >= 0 {
		return mounts[i].Point, true
	}
	return "/sys/kernel/debug", false
}

func readCounters(files hostfs.Files, mounts []Mount, what string, places ...*CounterPlace) ([]uint64, error) {
	debugfs, mounted := debugfsPoint(mounts)
	for _, place := range places {
		dir := place.Dir
		if place.Debugfs {
			dir = path.Join(debugfs, dir)
		}
		counts, err := readPlace(files, dir, place.Names)
		switch cause.Of(err) {
		case "":
			return counts, nil
		case cause.NoData:
			continue
		case cause.NeedsRoot:
			return nil, fmt.Errorf("read %s counters: only root may: %w", what, err)
		default:
			return nil, fmt.Errorf("read %s counters: %w", what, err)
		}
	}
	if !mounted {
		return nil, fmt.Errorf("read %s counters: debugfs is not mounted (mount -t debugfs none %s): %w", what, debugfs, cause.ErrNoData)
	}
	return nil, fmt.Errorf("read %s counters: this kernel has none below %s: %w", what, debugfs, cause.ErrNoData)
}

func readPlace(files hostfs.Files, dir string, names []string) ([]uint64, error) {
	counts := make([]uint64, 0, len(names))
	for _, name := range names {
		n, err := readNumber(files, path.Join(dir, name), 10)
		if err != nil {
			return nil, err
		}
		counts = append(counts, n)
	}
	return counts, nil
}

// readNumber reads a file of one number.
func readNumber(files hostfs.Files, p string, base int) (uint64, error) {
	b, err := files.ReadFile(p)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), base, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %.40q is no number", p, b)
	}
	return n, nil
}
