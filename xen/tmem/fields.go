package tmem

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// field walks over the KEY:VALUE pairs of one line. Keys are two characters,
// so that a key is a number, and a switch over keys needs no string.
type field struct {
	record byte
	line   []byte
	next   int // where the next pair begins
	start  int // of the value
	end    int
	key    uint16
	value  int64
	number bool // value is the text's decimal number
	err    error
}

// read reads a pair. It is false at the end and at something that is no pair,
// which err tells apart.
func (f *field) read() bool {
	if f.next >= len(f.line) {
		return false
	}
	b := f.line[f.next:]
	if len(b) < 3 || b[2] != ':' || b[0] == ',' || b[1] == ',' {
		pair, _, _ := bytes.Cut(b, []byte(","))
		f.err = fmt.Errorf("want a key of two characters, a colon and a value: %s", quote(pair))
		return false
	}
	f.key = uint16(b[0])<<8 | uint16(b[1])
	i, first, n := 3, 3, int64(0)
	neg := len(b) > 3 && b[3] == '-'
	if neg {
		i, first = 4, 4
	}
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		n = n*10 + int64(d)
	}
	if neg {
		n = -n
	}
	f.value, f.number = n, i > first && (i == len(b) || b[i] == ',')
	if f.number && i-first > 18 {
		f.value, f.number = wide(b[3:i])
	}
	for i < len(b) && b[i] != ',' {
		i++
	}
	if i == len(b)-1 {
		f.next = len(f.line)
		f.err = fmt.Errorf("ends in a comma: %s", quote(b))
		return false
	}
	f.start = f.next + 3
	f.end = f.next + i
	f.next += i + 1
	return true
}

// text is the value as it stands.
func (f *field) text() []byte { return f.line[f.start:f.end] }

// pair is the key and the value as they stand.
func (f *field) pair() []byte { return f.line[f.start-3 : f.end] }

// wide reads a number of 19 digits and more. Xen prints some signed
// counters with %lu, so that −1 is 18446744073709551615.
func wide(b []byte) (int64, bool) {
	if u, err := strconv.ParseUint(string(b), 10, 64); err == nil {
		return int64(u), true //nolint:gosec // the wrap is the point
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

// set stores the current value as a counter; without one to store it in the
// key is kept as unknown.
func (p *parser) set(dst *xen.Count) error {
	switch {
	case dst == nil:
		return p.keepUnknown()
	case dst.Has():
		return p.bad("twice in its line")
	case !p.f.number:
		return p.bad("not a number")
	}
	*dst = opt.Of(p.f.value)
	return nil
}

// setUint32 stores a uint32 that Xen prints with %d: tmem-set -w -5 is the
// weight 4294967291, and the listing shows ww:-5.
func (p *parser) setUint32(dst *xen.Count) error {
	if p.f.number && (p.f.value < math.MinInt32 || p.f.value > math.MaxUint32) {
		return p.bad("not a number of 32 bits")
	}
	if p.f.value < 0 {
		p.f.value += 1 << 32
	}
	return p.set(dst)
}

// domID reads a domain number into a value that is still absent.
func (p *parser) domID(old opt.Value[units.DomID]) (opt.Value[units.DomID], error) {
	switch {
	case old.Has():
		return old, p.bad("twice in its line")
	case !p.f.number || p.f.value < 0 || p.f.value > 0xffff:
		return old, p.bad("not a domain number")
	}
	return opt.Of(units.DomID(p.f.value)), nil
}

// identity tells which of a pool's keys were there.
type identity struct{ slot, kind, low, high bool }

// identify reads the keys that say which pool a P or an S line is about; slot
// is the key of its number, PI or SI.
func (p *parser) identify(pool *xen.TmemPool, id *identity, slot uint16) error {
	var seen *bool
	var ok bool
	switch p.f.key {
	case slot:
		seen = &id.slot
		ok = p.f.number && p.f.value >= 0 && p.f.value <= 0xffff
		pool.ID = int(p.f.value)
	case kPT:
		seen = &id.kind
		t := p.f.text()
		ok = len(t) == 2 && (t[0] == 'P' || t[0] == 'E') && (t[1] == 'P' || t[1] == 'S')
		if ok {
			pool.Persistent, pool.Shared = t[0] == 'P', t[1] == 'S'
		}
	case kU0:
		seen = &id.low
		pool.UUID[0], ok = hex(p.f.text())
	case kU1:
		seen = &id.high
		pool.UUID[1], ok = hex(p.f.text())
	default:
		return p.keepUnknown()
	}
	switch {
	case *seen:
		return p.bad("twice in its line")
	case !ok:
		return p.bad("not a value of this key")
	}
	*seen = true
	return nil
}

// hex reads a word of a uuid: hexadecimal in lower case, without a prefix.
func hex(b []byte) (uint64, bool) {
	var n uint64
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, len(b) > 0 && len(b) <= 16
}

func (p *parser) keepUnknown() error {
	if len(p.l.Unknown) == maxUnknown {
		return p.bad(fmt.Sprintf("the key no. %d that no release prints", maxUnknown+1))
	}
	p.l.Unknown = append(p.l.Unknown, xen.UnknownKey{
		Line:   p.line,
		Record: string(rune(p.f.record)),
		Key:    string(p.f.pair()[:2]),
		Value:  string(p.f.text()),
	})
	return nil
}

// bad is an error about the current pair.
func (p *parser) bad(why string) error {
	return fmt.Errorf("%s in the %c line: %s", why, p.f.record, quote(p.f.pair()))
}

// incomplete is an error about a line without a key that it needs, or about
// what stopped its reading before.
func (p *parser) incomplete(key string, line []byte) error {
	if p.f.err != nil {
		return p.f.err
	}
	return fmt.Errorf("has no %s: %s", key, quote(line))
}

// quote makes a part of the text safe to print, and short.
func quote(b []byte) string {
	const most = 60
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "…"
	}
	return strconv.Quote(string(b))
}
