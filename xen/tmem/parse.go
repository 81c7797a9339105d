// Package tmem knows Xen's Transcendent Memory from the toolstack's side: the
// text of TMEM_LIST, what each release of Xen can do, and how to tell whether
// tmem stands behind the guests of a host. It reads nothing itself.
package tmem

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

const (
	// maxText bounds a listing: 1,000 domains with three pools each take 0.6 MiB.
	maxText = 4 << 20
	// maxLine bounds a line: Xen builds each in 1,024 bytes.
	maxLine = 4 << 10
	// maxUnknown bounds what is kept of keys that no release prints.
	maxUnknown = 256
)

// Parse reads the text of TMEM_LIST as xl tmem-list and xm tmem-list print it,
// of any release from 4.0.0 to 4.12, long or short, of all clients or of one.
//
// What the text does not say is absent. Listing.Truncated is set where it
// cannot be whole, or where it fills xl's buffer of 32 KiB, so that lines may
// lack without a trace. An empty text is cause.ErrNoData; anything that Xen does
// not print is an error with the line's number. At most 4 MiB are read.
func Parse(r io.Reader) (xen.Listing, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return xen.Listing{}, fmt.Errorf("read tmem listing: %w", err)
	}
	return ParseBytes(text)
}

// ParseBytes is Parse for a text in memory. It keeps no part of text.
func ParseBytes(text []byte) (xen.Listing, error) { return ParseAnswer(text, toolBuffer) }

// ParseAnswer is ParseBytes for what Xen wrote into a buffer of so many bytes,
// up to the first NUL.
func ParseAnswer(text []byte, buffer int) (xen.Listing, error) {
	if len(text) > maxText {
		return xen.Listing{}, fmt.Errorf("parse tmem listing: more than %d MiB", maxText>>20)
	}
	p := newParser(text, buffer)
	if err := p.run(); err != nil {
		return xen.Listing{}, fmt.Errorf("parse tmem listing: %w", err)
	}
	return p.l, nil
}

// parser holds what must be known beyond one line.
//
// The long form from Xen 4.12.4 under load, shortened (the T line is the letter
// alone from 4.4; xl adds the empty line):
//
//	G=Tt:1672975,Te:81144,Cf:0,Af:0,Pf:14616,Ta:255,Lm:0,Et:42410,…,Gz:0
//	C=CI:1,ww:0,co:0,fr:0,Tc:0,Ge:30720,Pp:8774,Gp:8638,Ec:97798,Em:112640,cp:0,cb:0,cn:0,cm:0
//	P=CI:1,PI:1,PT:PP,U0:0,U1:0,Pc:262,Pm:8774,Oc:16,Om:16,Nc:89,Nm:304,ps:8774,pt:8774,…,ot:0
//	T
//
// Lines come in this order, an S line for each shared pool behind G
// (xen/common/tmem_control.c, tmemc_list, 4.12).
type parser struct {
	text   []byte
	buffer int // what Xen had room for
	line   int // number of the current line, from 1
	lines  int // records read so far
	last   byte
	l      xen.Listing
	pools  []xen.TmemPool // of all clients, in order
	shared [][]byte       // the text of each of l.Shared
	known  [1 << 16 / 64]uint64
	orphan error // the first P line that is not its client's
	ended  bool  // the T line was read
	f      field
}

func newParser(text []byte, buffer int) *parser {
	p := &parser{text: text, buffer: buffer}
	// Room is made for as many lines as there seem to be, but a text cannot ask
	// for more by what it looks like.
	const most = 8192
	p.l.Clients = make([]xen.TmemClient, 0, min(bytes.Count(text, []byte("C=CI:")), most))
	p.pools = make([]xen.TmemPool, 0, min(bytes.Count(text, []byte("P=CI:")), most))
	return p
}

func (p *parser) run() error {
	for off := 0; off < len(p.text) && p.l.Truncated == ""; {
		p.line++
		line, end := p.text[off:], len(p.text)
		n := bytes.IndexByte(line, '\n')
		if n >= 0 {
			line, end = line[:n], off+n+1
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if err := p.cutOr(line, off, end, n >= 0); err != nil {
			return err
		}
		off = end
	}
	return p.finish()
}

// cutOr reads a line, unless it is one that Xen or a copy of the text cut off:
// then it is dropped and the listing is truncated.
func (p *parser) cutOr(line []byte, off, end int, newline bool) error {
	if len(line) == 0 {
		return nil
	}
	if !newline && p.lines > 0 && (len(line) > 1 || line[0] != 'T') {
		// A number at its end may lack digits, so that even a line that can be
		// read is not to be trusted.
		p.l.Truncated = fmt.Sprintf("its last line, %d, has no end", p.line)
		return nil
	}
	err := p.record(line)
	if err == nil {
		p.lines++
		p.last = line[0]
		return nil
	}
	if p.isCut(line, off, end) {
		p.l.Truncated = fmt.Sprintf("line %d is cut off", p.line)
		return nil
	}
	return fmt.Errorf("line %d: %w", p.line, err)
}

func (p *parser) record(line []byte) error {
	p.f = field{record: line[0], line: line, next: 2}
	switch {
	case p.ended:
		return fmt.Errorf("the T line ends a listing, this is behind it: %s", quote(line))
	case len(line) > maxLine:
		return fmt.Errorf("longer than %d bytes: %s", maxLine, quote(line))
	case len(line) == 1 && line[0] == 'T':
		p.ended = true
		return nil
	case len(p.shared) > 0 && (line[0] == 'S' || line[0] == ','):
		return p.laterShared(line)
	case len(line) < 2 || line[1] != '=':
		return fmt.Errorf("not a line of a tmem listing: %s", quote(line))
	}
	switch line[0] {
	case 'G':
		return p.host(line)
	case 'S':
		return p.firstShared(line)
	case 'C':
		return p.client(line)
	case 'P':
		return p.pool(line)
	case 'T':
		err := p.cycles()
		if p.ended = err == nil; !p.ended {
			p.l.Cycles = nil
		}
		return err
	}
	return fmt.Errorf("no release prints %q lines: %s", line[0], quote(line))
}

func (p *parser) host(line []byte) error {
	if p.lines > 0 {
		return fmt.Errorf("a G line begins a listing, this is a second one: %s", quote(line))
	}
	var h xen.TmemHost
	for p.f.read() {
		if err := p.set(hostCount(&h, p.f.key)); err != nil {
			return err
		}
	}
	if p.f.err != nil || !h.Calls.Has() {
		return p.incomplete("Tt", line)
	}
	p.l.Host = opt.Of(h)
	return nil
}

func (p *parser) client(line []byte) error {
	var c xen.TmemClient
	var id opt.Value[units.DomID]
	for p.f.read() {
		var err error
		switch p.f.key {
		case kCI:
			id, err = p.domID(id)
		case kww:
			err = p.setUint32(&c.Weight)
		case kca:
			err = p.setUint32(&c.Cap)
		default:
			err = p.set(clientCount(&c, p.f.key))
		}
		if err != nil {
			return err
		}
	}
	if p.f.err != nil || !id.Has() {
		return p.incomplete("CI", line)
	}
	c.ID = id.Or(0)
	if p.remember(c.ID) {
		return fmt.Errorf("a second C line of domain %d: %s", c.ID, quote(line))
	}
	p.l.Clients = append(p.l.Clients, c)
	return nil
}

// remember tells whether a client was there before.
func (p *parser) remember(id units.DomID) bool {
	bit := uint64(1) << (id % 64)
	was := p.known[id/64]&bit != 0
	p.known[id/64] |= bit
	return was
}

func (p *parser) pool(line []byte) error {
	p.pools = append(p.pools, xen.TmemPool{})
	pool := &p.pools[len(p.pools)-1]
	err := p.poolKeys(pool, line)
	if err == nil {
		err = p.attach(pool.Client.Or(0), line)
	}
	if err != nil {
		p.pools = p.pools[:len(p.pools)-1]
	}
	return err
}

func (p *parser) poolKeys(pool *xen.TmemPool, line []byte) error {
	var id identity
	for p.f.read() {
		var err error
		if p.f.key == kCI {
			pool.Client, err = p.domID(pool.Client)
		} else if dst := poolCount(pool, p.f.key); dst != nil {
			err = p.set(dst)
		} else {
			err = p.identify(pool, &id, kPI)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case p.f.err != nil, !pool.Client.Has():
		return p.incomplete("CI", line)
	case !id.slot:
		return p.incomplete("PI", line)
	case !id.kind:
		return p.incomplete("PT", line)
	}
	return nil
}

// attach makes sure that the last client is the one a pool belongs to. Xen
// prints a client's pools straight behind it, except that from 4.8 on a C line
// that runs over the buffer's end is overwritten by what comes next: such
// pools get a client of which only the number is known.
func (p *parser) attach(id units.DomID, line []byte) error {
	if n := len(p.l.Clients); n > 0 && p.l.Clients[n-1].ID == id {
		return nil
	}
	err := fmt.Errorf("a P line of domain %d is not behind its C line: %s", id, quote(line))
	if !p.l.Host.Has() || p.remember(id) {
		return err
	}
	if p.orphan == nil {
		p.orphan = fmt.Errorf("line %d: %w", p.line, err)
	}
	p.l.Clients = append(p.l.Clients, xen.TmemClient{ID: id})
	return nil
}

// cycles reads the T line of 4.0–4.3, here from a 4.3 host, shortened. Its tags
// G P g p F O C (or 1 2 3 4) c d are followed by n, t, x, m: samples, sum,
// highest, lowest (xen/include/xen/tmem_xen.h, SCNPRINTF_CYC_COUNTER).
//
//	T=Gn:12480,Gt:49920000,Gx:90000,Gm:1200,Pn:34500,Pt:172500000,…,dm:2147483647
func (p *parser) cycles() error {
	var have [1 << 16 / 64]uint64 // keys, as in known
	for p.f.read() {
		tag, kind := byte(p.f.key>>8), strings.IndexByte("ntxm", byte(p.f.key))
		if kind < 0 || strings.IndexByte("GPgpFO1234Ccd", tag) < 0 {
			if err := p.keepUnknown(); err != nil {
				return err
			}
			continue
		}
		if !p.f.number {
			return p.bad("not a number")
		}
		bit := uint64(1) << (p.f.key % 64)
		if have[p.f.key/64]&bit != 0 {
			return p.bad("twice in its line")
		}
		have[p.f.key/64] |= bit
		n := slices.IndexFunc(p.l.Cycles, func(c xen.TmemCycles) bool { return c.Tag[0] == tag })
		if n < 0 {
			n = len(p.l.Cycles)
			p.l.Cycles = append(p.l.Cycles, xen.TmemCycles{Tag: string(rune(tag))})
		}
		c := &p.l.Cycles[n]
		*[...]*int64{&c.Samples, &c.Total, &c.Max, &c.Min}[kind] = p.f.value
	}
	return p.f.err
}
