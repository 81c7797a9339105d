package tmem

import (
	"bytes"
	"fmt"
	"strings"

	"xtm/internal/cause"
)

// toolBuffer is the room that libxl, xend and most users of libxc give Xen
// for the text (tools/libxl/libxl.c, 4.0.1–4.12).
const toolBuffer = 32 << 10

// spare is more than any pool's line takes up. Xen leaves out what does not fit
// its caller's buffer, and not always the end: the T line of 4.4 and later, two
// bytes, fits where no pool does. So an answer that leaves fewer bytes of its
// buffer may lack pools without a trace (xen/common/tmem_control.c, tmemc_list,
// 4.12).
const spare = 512

// isCut tells whether a line that could not be read is the cut end of a listing
// of all clients. A C line is written without a look at the buffer's end; xl
// prints what lies before it, goes on with what lies behind it up to a NUL, and
// adds a newline.
func (p *parser) isCut(line []byte, off, end int) bool {
	if !p.l.Host.Has() || p.ended || strings.IndexByte("SCPT", line[0]) < 0 {
		return false
	}
	if off < p.buffer && end > p.buffer {
		return true
	}
	inLastPair := p.f.next >= len(line) || p.f.err != nil && bytes.IndexByte(line[p.f.next:], ',') < 0
	return inLastPair && len(bytes.TrimSpace(p.text[end:])) == 0
}

// finish judges the listing as a whole once its lines are read.
func (p *parser) finish() error {
	if p.lines == 0 {
		return fmt.Errorf("it is empty: %w", cause.ErrNoData)
	}
	l := &p.l
	host, whole := l.Host.Get()
	switch {
	case l.Truncated != "":
	case whole && !p.ended:
		l.Truncated = "it has no T line: the answer was longer than the buffer that Xen was given"
		p.dropCut(host.Ephemeral.Now.Has())
	case !whole && (p.ended || len(l.Shared) > 0):
		l.Truncated = "it has no G line"
	case whole && p.nearlyFull():
		l.Truncated = fmt.Sprintf("it fills the buffer of %d bytes that Xen was given: pools that did not fit are left out without a trace", p.buffer)
	}
	if p.orphan != nil && l.Truncated == "" {
		return p.orphan
	}
	p.hand()
	if l.Truncated == "" {
		p.recoverShared()
	}
	p.noteShared()
	return nil
}

// dropCut drops a last line that can be read but lacks the end of its form.
func (p *parser) dropCut(long bool) {
	l := &p.l
	switch p.last {
	case 'C':
		n := len(l.Clients) - 1
		if c := &l.Clients[n]; !c.PersistentGets.Has() || long != c.NoCompressRoom.Has() {
			l.Clients = l.Clients[:n]
		}
	case 'P':
		n := len(p.pools) - 1
		if long != p.pools[n].ObjFlushTries.Has() {
			p.pools = p.pools[:n]
		}
	}
}

// nearlyFull tells whether the buffer may have been too small. xl adds a newline
// to what it was given.
func (p *parser) nearlyFull() bool {
	n := len(p.text)
	return n <= p.buffer+1 && n+spare > p.buffer
}

// hand gives each client its pools, which lie in the order of the clients.
func (p *parser) hand() {
	rest := p.pools
	for i := range p.l.Clients {
		c := &p.l.Clients[i]
		n := 0
		for n < len(rest) && rest[n].Client.Or(0) == c.ID {
			n++
		}
		if n > 0 {
			c.Pools, rest = rest[:n:n], rest[n:]
		}
	}
}
