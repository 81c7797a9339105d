// Package tmemtest makes listings for tests and benchmarks: values, and the
// text that Xen would print for them, its defects included.
package tmemtest

import (
	"bytes"
	"fmt"

	"xtm/xen"
)

// Render prints a listing as TMEM_LIST does. It prints the keys that have a
// value, in Xen's order: which they are makes it one of a release and a form.
// With a host it is a listing of all clients and ends in a T line. xl would add
// an empty line.
//
// Later shared pools come out with the first one's identity, as from Xen.
func Render(l xen.Listing) []byte { return RenderInto(l, 1<<30) }

// RenderInto is Render into a buffer of the caller's of so many bytes: G, S, P
// and T lines that do not fit are left out, a C line is cut
// (xen/common/tmem_control.c, 4.8–4.12).
func RenderInto(l xen.Listing, size int) []byte {
	w := writer{size: size}
	host, all := l.Host.Get()
	if all {
		w.checked(hostLine(host))
	}
	w.shared(l.Shared)
	for i := range l.Clients {
		w.client(&l.Clients[i])
	}
	if all {
		w.checked(cyclesLine(l.Cycles))
	}
	return w.answer()
}

// writer is the caller's buffer: what is behind off may hold a part of a line
// that was written over its end.
type writer struct {
	buf  []byte
	off  int
	size int
}

func (w *writer) checked(line []byte) bool {
	if w.off+len(line) >= w.size {
		return false
	}
	w.buf = append(append(w.buf[:w.off], line...), 0)
	w.off += len(line)
	return true
}

// unchecked writes what fits; only a whole line moves the offset.
func (w *writer) unchecked(line []byte) {
	if w.checked(line) {
		return
	}
	w.buf = append(w.buf[:w.off], line[:min(len(line), w.size-w.off)]...)
}

// answer is what the caller sees: the text up to the first NUL, or all.
func (w *writer) answer() []byte {
	text, _, _ := bytes.Cut(w.buf, []byte{0})
	return text
}

func (w *writer) client(c *xen.TmemClient) {
	var b line
	b.text("C=CI:%d", c.ID)
	b.uint32("ww", c.Weight)
	b.uint32("ca", c.Cap)
	b.counts([]count{
		{"co", c.Compress},
		{"fr", c.Frozen},
		{"Tc", c.Cycles},
		{"Ge", c.EphemeralGets},
		{"Pp", c.PersistentPuts},
		{"Gp", c.PersistentGets},
		{"Ec", c.Ephemeral.Now},
		{"Em", c.Ephemeral.Max},
		{"cp", c.CompressedPages},
		{"cb", c.CompressedBytes},
		{"cn", c.PoorlyPacked},
		{"cm", c.NoCompressRoom},
	})
	w.unchecked(b.end())
	for i := range c.Pools {
		p := &c.Pools[i]
		var b line
		b.text("P=CI:%d,PI:%d,PT:%s,U0:%x,U1:%x", c.ID, p.ID, kind(p), p.UUID[0], p.UUID[1])
		b.counts(poolCounts(p))
		if !w.checked(b.end()) {
			return
		}
	}
}

// shared prints the S lines through one buffer, whose offset is not reset
// between pools as it should be.
func (w *writer) shared(pools []xen.TmemPool) {
	info := make([]byte, 1024)
	n := 0
	for i := range pools {
		p := &pools[i]
		name := fmt.Sprintf("S=SI:%d,PT:%s,U0:%x,U1:%x", p.ID, kind(p), p.UUID[0], p.UUID[1])
		copy(info[n:], name)
		n = len(name)
		var b line
		for _, id := range p.Sharers {
			b.text(",SC:%d", id)
		}
		b.counts(poolCounts(p))
		n += copy(info[n:], b.end())
		if !w.checked(info[:n]) {
			return
		}
	}
}

func kind(p *xen.TmemPool) string {
	k := []byte("EP")
	if p.Persistent {
		k[0] = 'P'
	}
	if p.Shared {
		k[1] = 'S'
	}
	return string(k)
}

type count struct {
	key string
	v   xen.Count
}

// line is one line of the text.
type line struct{ b []byte }

func (b *line) text(format string, args ...any) { b.b = fmt.Appendf(b.b, format, args...) }

func (b *line) counts(cs []count) {
	for _, c := range cs {
		if v, ok := c.v.Get(); ok {
			b.text(",%s:%d", c.key, v)
		}
	}
}

// uint32 prints as %d does for a uint32.
func (b *line) uint32(key string, c xen.Count) {
	if v, ok := c.Get(); ok {
		b.text(",%s:%d", key, int32(v)) //nolint:gosec // the wrap is Xen's
	}
}

func (b *line) end() []byte { return append(b.b, '\n') }

func hostLine(h xen.TmemHost) []byte {
	var b line
	b.counts([]count{
		{"Tt", h.Calls},
		{"Te", h.Errors},
		{"Cf", h.FailedCopies},
		{"Af", h.FailedAllocs},
		{"Pf", h.FailedPages},
		{"Ta", h.FreeListPages},
		{"Lm", h.LowMemory},
		{"Et", h.Evicted},
		{"Ea", h.EvictAttempts},
		{"Rt", h.Relinquished},
		{"Ra", h.RelinquishTries},
		{"Rx", h.RelinquishMax},
		{"Fp", h.FlushedPools},
		{"Ec", h.Ephemeral.Now},
		{"Em", h.Ephemeral.Max},
		{"Oc", h.Objects.Now},
		{"Om", h.Objects.Max},
		{"Nc", h.Nodes.Now},
		{"Nm", h.Nodes.Max},
		{"Pc", h.Pages.Now},
		{"Pm", h.Pages.Max},
		{"Fc", h.Frames.Now},
		{"Fm", h.Frames.Max},
		{"Sc", h.Contents.Now},
		{"Sm", h.Contents.Max},
		{"Ep", h.EphemeralPuts},
		{"Gd", h.DedupPuts},
		{"Zt", h.TrailingZeroes},
		{"Gz", h.Compressed},
	})
	text := b.end()
	if text[0] == ',' {
		text = text[1:]
	}
	return append([]byte("G="), text...)
}

func poolCounts(p *xen.TmemPool) []count {
	return []count{
		{"Pc", p.Pages.Now},
		{"Pm", p.Pages.Max},
		{"Oc", p.Objects.Now},
		{"Om", p.Objects.Max},
		{"Nc", p.Nodes.Now},
		{"Nm", p.Nodes.Max},
		{"ps", p.Puts},
		{"pt", p.PutTries},
		{"pd", p.DupFlushed},
		{"pr", p.DupReplaced},
		{"px", p.PutsRefused},
		{"gs", p.Gets},
		{"gt", p.GetTries},
		{"fs", p.PageFlushes},
		{"ft", p.PageFlushTries},
		{"os", p.ObjFlushes},
		{"ot", p.ObjFlushTries},
	}
}

// cyclesLine is the letter alone without statistics, as from 4.4.
func cyclesLine(cycles []xen.TmemCycles) []byte {
	var b line
	for i, c := range cycles {
		sep := ","
		if i == 0 {
			sep = "T="
		}
		b.text("%s%sn:%d,%st:%d,%sx:%d,%sm:%d", sep, c.Tag, c.Samples, c.Tag, c.Total, c.Tag, c.Max, c.Tag, c.Min)
	}
	if len(cycles) == 0 {
		b.text("T")
	}
	return b.end()
}
