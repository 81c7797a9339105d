package xentop

import (
	"errors"
	"slices"

	"xtm/xen"
)

// ErrNoTable means that there is no table of xentop's in the text, or none with
// a domain in it: there is always Domain-0.
var ErrNoTable = errors.New("no xentop table: want a line that starts with NAME and STATE, and domains below it")

// ParseBatch reads the table of xentop -b: name, state, CPU time in whole
// seconds, current and maximum memory, VCPUs. Of several iterations it returns
// the last. The lines that -n, -v, -x and -r add are passed over. Domain numbers
// are not in it.
//
//	    NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS …
//	  cache1 ------         35    0.0      77864    2.8     197632       7.2     1    0        0        0    2 …
//	Domain-0 -----r        115    0.0    1042668   37.9    1048576      38.1     2    0        0        0    0 …
//
// (Xen 4.12.4, xentop -b -f -i 1, columns cut here). libxenstat leaves out a
// domain without a name in xenstore: one that is being made or torn down.
func ParseBatch(b []byte) ([]xen.Domain, error) {
	var t table
	for in := (lines{rest: string(b)}); ; {
		line, ok := in.next()
		if !ok {
			break
		}
		if len(line) > maxLine {
			return nil, in.errorf(line, "longer than %d bytes", maxLine)
		}
		if isHeader(line) {
			t.header()
			continue
		}
		if d, ok := parseRow(line); ok && t.headers > 0 {
			if t.add(d); len(t.rows) > maxDomains {
				return nil, in.errorf(line, "more than %d domains", maxDomains)
			}
			continue
		}
		if line != "" && !isDetail(line) {
			return nil, in.errorf(line, "not a line of xentop's table")
		}
	}
	if len(t.rows) == 0 {
		return nil, ErrNoTable
	}
	return t.rows, nil
}

// table collects the rows of one iteration. A header starts the next one,
// unless it is repeated before each domain (-r): then a name that was there
// already starts it.
type table struct {
	headers  int
	rows     []xen.Domain
	sinceTop int // rows since the last header
	repeated bool
}

func (t *table) header() {
	t.headers++
	t.repeated = t.headers > 1 && t.sinceTop == 1 && (t.headers == 2 || t.repeated)
	if !t.repeated {
		t.rows = nil
	}
	t.sinceTop = 0
}

func (t *table) add(d xen.Domain) {
	if t.repeated && slices.ContainsFunc(t.rows, func(r xen.Domain) bool { return r.Name == d.Name }) {
		t.rows = nil
	}
	t.rows = append(t.rows, d)
	t.sinceTop++
}
