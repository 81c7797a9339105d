// Package domkeys reads what stands below /local/domain/N in xenstore. It gets
// the values handed in, from whichever program or socket they come.
//
// All of it may have been written by a guest: what cannot be is left out.
package domkeys

import (
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/units"
)

// noLimit is what no domain can have: 2^32−1 pages stand for "no limit".
const noLimit = units.KiB((1<<32 - 1) * 4)

// KiB reads a size such as memory/target: a decimal number of KiB. What is not
// one, or stands for no limit, is absent.
func KiB(s string) opt.Value[units.KiB] {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || units.KiB(n) >= noLimit { //nolint:gosec // 63 bits
		return opt.Value[units.KiB]{}
	}
	return opt.Of(units.KiB(n)) //nolint:gosec // 63 bits
}

// Name is a domain's name as all sources have it: without blanks around it, and
// in UTF-8.
func Name(s string) string { return strings.ToValidUTF8(strings.Trim(s, " "), "\ufffd") }
