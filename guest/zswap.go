package guest

import (
	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

// ReadZswap tells whether zswap is enabled, which takes the pages that frontswap
// offers before or instead of tmem. Its parameter is in sysfs from 4.2; in 3.11–4.1
// (mode 0 in mm/zswap.c, Linux 3.13) only the command line tells, and it is off
// unless "zswap.enabled=1" is there. Absent where that was needed and not read.
func ReadZswap(files hostfs.Files, v Version, line opt.Value[BootLine]) (opt.Value[bool], error) {
	params, err := moduleParameters(files, "zswap")
	if err != nil {
		return opt.Value[bool]{}, err
	}
	if on, ok := params["enabled"]; ok {
		return opt.Of(on), nil
	}
	if v.AtLeast(4, 2) || v.Before(3, 11) {
		return opt.Of(false), nil // this kernel was built without it
	}
	return opt.Map(line, func(l BootLine) bool {
		on, _ := l.Param("zswap", "enabled")
		return on
	}), nil
}
