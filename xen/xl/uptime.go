package xl

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
)

// parseUptime reads xl uptime, by domain number.
//
//	Name                                ID Uptime
//	Domain-0                             0  0:02:22
//	web1                                 1 1 day,  2:10:01
//	my guest                             2 12 days,  0:00:59
//
// (the first from Xen 4.12.4, the others in the form of tools/xl/xl_info.c,
// uptime_to_string, which 4.1 to 4.22 share).
func parseUptime(b []byte) (map[int]opt.Value[time.Duration], error) {
	up := map[int]opt.Value[time.Duration]{}
	err := rows(b, func(line string) error {
		line = strings.TrimRight(line, " ")
		at := strings.LastIndexByte(line, ' ') + 1
		t, ok := clock(line[at:])
		rest := strings.TrimRight(line[:at], " ")
		for _, word := range [2]string{" days,", " day,"} {
			if before, has := strings.CutSuffix(rest, word); has {
				days, left, okDays := lastNumber(before)
				ok, rest = ok && okDays && days < 1e5, left
				t += time.Duration(days) * 24 * time.Hour
			}
		}
		id, _, okID := lastNumber(rest)
		if !ok || !okID || id > 1<<16-1 {
			return errors.New("want name, ID and uptime")
		}
		up[int(id)] = opt.Of(t)
		return nil
	})
	return up, err
}

// clock reads "2:10:01".
func clock(s string) (time.Duration, bool) {
	var t time.Duration
	parts := strings.Split(s, ":")
	for _, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > 59 {
			return 0, false
		}
		t = t*60 + time.Duration(n)*time.Second
	}
	return t, len(parts) == 3
}
