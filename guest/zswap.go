package guest

import (
	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

// ReadZswap tells whether zswap is enabled, which takes the pages that frontswap
// offers before or instead of tmem. A kernel with zswap shows some of its
// parameters, and the first ones hid this (mode 0 in mm/zswap.c, Linux 3.13; 0644 in
// 4.19): there it is off unless the command line has "zswap.enabled=1". Absent where
// that was needed and not read.
func ReadZswap(files hostfs.Files, line opt.Value[BootLine]) (opt.Value[bool], error) {
	built, err := files.Exists("/sys/module/zswap")
	if err != nil {
		return opt.Value[bool]{}, err
	}
	if !built {
		return opt.Of(false), nil
	}
	params, err := moduleParameters(files, "zswap")
	if err != nil {
		return opt.Value[bool]{}, err
	}
	if on, ok := params["enabled"]; ok {
		return opt.Of(on), nil
	}
	return opt.Map(line, func(l BootLine) bool {
		on, _ := l.Param("zswap", "enabled")
		return on
	}), nil
}
