package xl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// maxLine bounds a line; names come from xenstore, whose values end at 4 KiB.
const maxLine = 8 << 10

// list reads the domains. One xl list -v has it all; should it fail, the plain
// form lacks only the UUIDs.
func (r *reader) list() ([]xen.Domain, error) {
	domains, err := read(r, listVerboseCmd, parseList)
	if err == nil {
		return domains, nil
	}
	domains, errPlain := read(r, listCmd, parseList)
	if errPlain != nil {
		return nil, err
	}
	r.gap("UUIDs of domains", err)
	return domains, nil
}

// parseList reads xl list and xl list -v; Current is in whole MiB and, from 4.3
// on, counts what is claimed for a domain that is being built.
//
//	Name                                        ID   Mem VCPUs	State	Time(s)   UUID                            Reason-Code	Security Label
//	Domain-0                                     0  1018     2     r-----     104.4 00000000-0000-0000-0000-000000000000        -                -
//	web1                                         1   305     2     r-----      33.2 1d9f7584-e679-11f1-971d-5fe415631a83        -                -
//
// (Xen 4.12.4, xl list -v). The columns up to the time are the same from 4.0 to
// 4.22 (tools/xl/xl_info.c, list_domains).
func parseList(b []byte) ([]xen.Domain, error) {
	var out []xen.Domain
	seen := map[units.DomID]bool{}
	err := rows(b, func(line string) error {
		d, ok := parseListRow(line)
		if !ok {
			return errors.New("want name, ID, memory, VCPUs, state and time")
		}
		id := d.ID.Or(0)
		if seen[id] {
			return fmt.Errorf("domain %d was there already", id)
		}
		seen[id] = true
		out = append(out, d)
		return nil
	})
	slices.SortStableFunc(out, func(a, b xen.Domain) int { return cmp.Compare(a.ID.Or(0), b.ID.Or(0)) })
	return out, err
}

// rows visits the lines below the heading "Name …".
func rows(b []byte, visit func(line string) error) error {
	n, headed := 0, false
	for line := range strings.SplitSeq(string(b), "\n") {
		n++
		var err error
		switch {
		case len(line) > maxLine:
			err = fmt.Errorf("longer than %d bytes", maxLine)
		case line == "":
		case !headed:
			if headed = strings.HasPrefix(line, "Name ") && strings.Contains(line, " ID "); !headed {
				err = errors.New("want a heading with Name and ID")
			}
		default:
			err = visit(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w: %q", n, err, line[:min(len(line), 100)])
		}
	}
	if !headed {
		return errors.New("it is empty: want a heading with Name and ID")
	}
	return nil
}

// parseListRow reads a row from the state on, for the name may hold blanks: the
// last word of six places with its letters or dashes.
func parseListRow(line string) (xen.Domain, bool) {
	at := lastState(line)
	if at < 0 {
		return xen.Domain{}, false
	}
	var d xen.Domain
	left := line[:at]
	vcpus, left, ok1 := lastNumber(left)
	mem, left, ok2 := lastNumber(left)
	id, left, ok3 := lastNumber(left)
	if !ok1 || !ok2 || !ok3 || id > 1<<16-1 || mem > 1<<40 {
		return xen.Domain{}, false
	}
	d.Name = name(left)
	d.ID = opt.Of(units.DomID(id))
	d.Current = opt.Of(units.MiB(mem).KiB())
	d.VCPUs = opt.Of(int(vcpus))
	s := line[at : at+stateWidth]
	d.State = xen.State{
		Running: s[0] == 'r', Blocked: s[1] == 'b', Paused: s[2] == 'p',
		Shutdown: s[3] == 's', Crashed: s[4] == 'c', Dying: s[5] == 'd',
	}
	right := strings.Fields(line[at+stateWidth:])
	if len(right) == 0 {
		return xen.Domain{}, false
	}
	seconds, err := strconv.ParseFloat(right[0], 64)
	if err != nil || !(seconds >= 0 && seconds <= 1e9) { // nor NaN
		return xen.Domain{}, false
	}
	// The column has tenths of a second; a product of floats would not.
	d.CPUTime = opt.Of(time.Duration(seconds*10+0.5) * (time.Second / 10))
	if len(right) > 1 && isUUID(right[1]) {
		d.UUID = strings.ToLower(right[1])
	}
	return d, true
}

const stateWidth = 6

// lastState finds the state: r, b, p, s, why it shut down, d, or dashes
// (shutdown_reason_letters in tools/xl/xl_info.c).
func lastState(line string) int {
	letters := [stateWidth]string{"r-", "b-", "p-", "s-", "-rscw?", "d-"}
next:
	for i := len(line) - stateWidth - 1; i > 0; i-- {
		if line[i-1] != ' ' || line[i+stateWidth] != ' ' {
			continue
		}
		for j, l := range letters {
			if strings.IndexByte(l, line[i+j]) < 0 {
				continue next
			}
		}
		return i
	}
	return -1
}

// lastNumber takes the last word off a text if it is a whole number.
func lastNumber(s string) (n int64, rest string, ok bool) {
	s = strings.TrimRight(s, " ")
	i := strings.LastIndexByte(s, ' ') + 1
	n, err := strconv.ParseInt(s[i:], 10, 64)
	return n, s[:i], err == nil && n >= 0
}

// name is a domain's name as both xl and xentop pad it. What has none in
// xenstore any more is "(null)" in xl.
func name(padded string) string {
	s := strings.ToValidUTF8(strings.Trim(padded, " "), "\ufffd")
	if s == "(null)" {
		return ""
	}
	return s
}

func isUUID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8, i == 13, i == 18, i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return len(s) == 36
}
