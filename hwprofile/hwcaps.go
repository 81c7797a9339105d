package hwprofile

import (
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/xen"
)

// place is where a feature stands in hw_caps.
type place struct{ word, bit int }

// hw_caps has eight words. Since 4.7 they are leaf 1 EDX and ECX, 80000001 EDX
// and ECX, D:1 EAX, 7:0 EBX and ECX, 80000007 EDX (cpufeatureset.h); before,
// in the order of Linux: 1 EDX, 80000001 EDX, two of its own, 1 ECX, one of
// VIA, 80000001 ECX, 7:0 EBX (asm-x86/cpufeature.h of 4.2 and 4.6).
var (
	sinceXen47  = map[string]place{"vmx": {1, 5}, "aes": {1, 25}, "svm": {3, 2}, "rtm": {5, 11}}
	beforeXen47 = map[string]place{"vmx": {4, 5}, "aes": {4, 25}, "svm": {6, 2}, "rtm": {7, 11}}
)

// physical reads one feature of the physical processor from hw_caps of xl info,
// which Xen keeps less what it was told to mask. Absent where the words cannot
// be read or the release, and so their order, is not known.
//
//	hw_caps : 178bfbfd:82982203:20100800:00000001:00000000:00000000:00000000:00000000
//
// (Xen 4.12.4 under QEMU.)
func physical(caps string, version xen.Version, flag string) opt.Value[bool] {
	places := sinceXen47
	switch {
	case !version.Known():
		return opt.Value[bool]{}
	case version.Before(4, 7):
		places = beforeXen47
	}
	at, known := places[flag]
	words := strings.Split(caps, ":")
	if !known || at.word >= len(words) {
		return opt.Value[bool]{}
	}
	word, err := strconv.ParseUint(words[at.word], 16, 32)
	if err != nil {
		return opt.Value[bool]{}
	}
	return opt.Of(word>>at.bit&1 == 1)
}
