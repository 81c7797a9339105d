// Package xentop reads what xentop prints: the table of its batch mode, and the
// screen of its interactive mode saved as text. It is apart from packages xl and
// saved because both read the same table.
package xentop

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

const (
	// maxLine bounds a line. A name comes from xenstore, whose values end at
	// 4 KiB.
	maxLine = 8 << 10
	// maxDomains is more than Xen has numbers for (DOMID_FIRST_RESERVED, 0x7ff0).
	maxDomains = 1 << 15
)

// lines walks through a text and knows where it is.
type lines struct {
	rest string
	n    int // of the line that next returned, from 1
}

func (l *lines) next() (string, bool) {
	if l.rest == "" {
		return "", false
	}
	line, rest, _ := strings.Cut(l.rest, "\n")
	l.rest = rest
	l.n++
	return strings.TrimRight(line, " \r"), true
}

// errorf names the line that next returned.
func (l *lines) errorf(line, format string, args ...any) error {
	return fmt.Errorf("line %d: %s: %q", l.n, fmt.Sprintf(format, args...), line[:min(len(line), 100)])
}

// isHeader tells whether a line names the table's columns.
func isHeader(line string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "NAME ")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, " "), "STATE ")
}

// isDetail tells whether a line belongs to the domain above it:
//
//	VCPUs(sec):   0:         22s  1:         20s
//	            2:          7s
//	Net0 RX:     2512bytes        0pkts        0err        0drop  TX: …
//	VBD BlkBack 51712 [ca: 0]  OO:        0   RD:     6121   WR:        4   …
//
// xentop -v breaks the VCPU line when the terminal is too narrow for it.
func isDetail(line string) bool {
	switch s := strings.TrimLeft(line, " "); {
	case strings.HasPrefix(s, "VCPUs(sec):"), strings.HasPrefix(s, "VBD "), strings.HasPrefix(s, "Tmem:"):
		return true
	case strings.HasPrefix(s, "Net"):
		number, rest, _ := strings.Cut(s[len("Net"):], " ")
		return isNumber(number) && strings.HasPrefix(rest, "RX:")
	default:
		vcpu, rest, ok := strings.Cut(s, ":")
		return ok && isNumber(vcpu) && strings.HasSuffix(rest, "s")
	}
}

// parseRow reads one domain. The name may hold spaces and may be empty, and
// widths grow with what is in them, so the row is read from the state on: the
// last word of six letters or dashes with blanks around it.
//
//	  web1 -----r         42    0.0     376892   13.7     525312      19.1     2    0        0        0    3 …
//	my guest --b---        172    0.1     225820    1.4   no limit       n/a     2    1     7837      655    1 …
//
// (the first from xentop -b -f of Xen 4.12.4, the second made up). A narrow
// terminal cuts the row: it must reach past MAXMEM(k), the rest may be missing.
func parseRow(line string) (xen.Domain, bool) {
	at := lastState(line)
	if at < 0 {
		return xen.Domain{}, false
	}
	d := xen.Domain{
		Name:  strings.ToValidUTF8(strings.Trim(line[:at], " "), "\ufffd"),
		State: stateOf(line[at : at+stateWidth]),
	}
	f := words(line[at+stateWidth:])
	cpu, okCPU := f.number()
	okCPUShare := f.share()
	current, okCurrent := f.number()
	okShare := f.share()
	if f.word("no") {
		d.Unlimited = f.word("limit")
	} else if limit, ok := f.number(); ok {
		d.Limit = opt.Of(units.KiB(limit))
	}
	okLimitShare := f.share() || f.word("n/a")
	if !okCPU || !okCPUShare || !okCurrent || !okShare || !d.Unlimited && !d.Limit.Has() || !okLimitShare {
		return xen.Domain{}, false
	}
	d.CPUTime = opt.Of(time.Duration(min(cpu, maxSeconds)) * time.Second)
	d.Current = opt.Of(units.KiB(current))
	vcpus, ok := f.number()
	if whole := len(f) > 0; ok && whole { // the last number may be cut
		d.VCPUs = opt.Of(int(vcpus))
	}
	for len(f) > 0 {
		if _, ok := f.number(); !ok {
			return xen.Domain{}, false
		}
	}
	return d, true
}

const (
	stateWidth = 6
	// maxSeconds is what a time.Duration holds.
	maxSeconds = int64(1<<63-1) / int64(time.Second)
)

// lastState finds the state column: each place holds its letter or a dash.
func lastState(line string) int {
	for i := len(line) - stateWidth; i >= 0; i-- {
		if (i == 0 || line[i-1] == ' ') && (i+stateWidth == len(line) || line[i+stateWidth] == ' ') && isState(line[i:i+stateWidth]) {
			return i
		}
	}
	return -1
}

func isState(s string) bool {
	for i := range len(s) {
		if s[i] != '-' && s[i] != "dsbcpr"[i] {
			return false
		}
	}
	return true
}

// stateOf reads the letters of tools/xenstat/xentop/xentop.c, print_state.
func stateOf(s string) xen.State {
	return xen.State{
		Dying: s[0] == 'd', Shutdown: s[1] == 's', Blocked: s[2] == 'b',
		Crashed: s[3] == 'c', Paused: s[4] == 'p', Running: s[5] == 'r',
	}
}

// words are taken from the front of a row.
type words string

// peek returns the next word, "" at the end, and what follows it.
func (w words) peek() (string, words) {
	s := strings.TrimLeft(string(w), " ")
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], words(s[i:])
	}
	return s, ""
}

// number takes a whole number of at most 18 digits.
func (w *words) number() (int64, bool) {
	word, rest := w.peek()
	if !isNumber(word) {
		return 0, false
	}
	n, err := strconv.ParseInt(word, 10, 64)
	*w = rest
	return n, err == nil
}

// share takes a number with decimals.
func (w *words) share() bool {
	word, rest := w.peek()
	whole, tenth, ok := strings.Cut(word, ".")
	if !ok || !isNumber(whole) || !isNumber(tenth) {
		return false
	}
	*w = rest
	return true
}

func (w *words) word(want string) bool {
	word, rest := w.peek()
	if word != want {
		return false
	}
	*w = rest
	return true
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 18
}
