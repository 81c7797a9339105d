package tmem

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// shortestHead is the length of the shortest text that names a shared pool.
const shortestHead = len("S=SI:0,PT:ES,U0:0,U1:0")

// maxShared is the number of shared pools that Xen has room for.
const maxShared = 16

// firstShared reads the first S line, the only one that is right as it stands:
//
//	S=SI:0,PT:ES,U0:1f2e,U1:3d4c,SC:3,SC:5
//
// Xen builds each text in one buffer and, from the second pool on, puts the
// pool's name behind the last pool's text but its sharers and counters at the
// name's length (tmemc_list_shared in xen/common/tmem.c and tmem_control.c,
// every release). What comes out begins with as much of the line before as the
// name is long, and goes on rightly:
//
//	S=SI:0,PT:ES,U0:1f2e,U1:3d4c,SC:7
func (p *parser) firstShared(line []byte) error {
	pool, err := p.sharedKeys(line)
	if err == nil {
		p.addShared(pool, line)
	}
	return err
}

func (p *parser) sharedKeys(line []byte) (xen.TmemPool, error) {
	var pool xen.TmemPool
	var id identity
	for p.f.read() {
		var err error
		if p.f.key == kSC {
			var sharer opt.Value[units.DomID]
			sharer, err = p.domID(sharer)
			pool.Sharers = append(pool.Sharers, sharer.Or(0))
		} else if dst := poolCount(&pool, p.f.key); dst != nil {
			err = p.set(dst)
		} else {
			err = p.identify(&pool, &id, kSI)
		}
		if err != nil {
			return pool, err
		}
	}
	switch {
	case p.f.err != nil, !id.slot:
		return pool, p.incomplete("SI", line)
	case !id.kind:
		return pool, p.incomplete("PT", line)
	case !id.low || !id.high:
		return pool, p.incomplete("U0 and U1", line)
	}
	return pool, nil
}

func (p *parser) addShared(pool xen.TmemPool, line []byte) {
	p.l.Shared = append(p.l.Shared, pool)
	p.shared = append(p.shared, line)
}

// laterShared reads an S line behind the first. Its counters can be read; its
// name and its sharers are left to recoverShared.
func (p *parser) laterShared(line []byte) error {
	if len(p.shared) == 2*maxShared {
		return fmt.Errorf("more S lines than Xen has room for, %d: %s", maxShared, quote(line))
	}
	if !bytes.HasPrefix(line, p.shared[0][:shortestHead]) {
		return p.oddShared(line)
	}
	pool := xen.TmemPool{ID: -1, Shared: true, IdentityLost: true}
	if i := bytes.LastIndex(line, []byte(",Pc:")); i >= 0 {
		p.f = field{record: 'S', line: line, next: i + 1}
		for p.f.read() {
			if err := p.set(poolCount(&pool, p.f.key)); err != nil {
				return err
			}
		}
		if p.f.err != nil {
			return p.f.err
		}
	}
	p.addShared(pool, line)
	return nil
}

// oddShared reads a later S line that does not begin as the first one does.
// Either the defect was mended and the line is right, or the line before was
// shorter than this pool's name: then that line was printed a second time, and
// this one is the rest of the name and its sharers, as in
//
//	S=SI:0,PT:ES,U0:0,U1:0,SC:3
//	S=SI:0,PT:ES,U0:0,U1:0,SC:3
//	S=SI:1,PT:ES,U0:8a3f,SC:7
func (p *parser) oddShared(line []byte) error {
	if bytes.HasPrefix(line, []byte("S=")) {
		unknown := len(p.l.Unknown)
		p.f = field{record: 'S', line: line, next: 2}
		pool, err := p.sharedKeys(line)
		if err == nil {
			p.addShared(pool, line)
			return nil
		}
		p.l.Unknown = p.l.Unknown[:unknown]
	}
	n := len(p.shared) - 1
	if n == 0 || !bytes.Contains(line, []byte(",SC:")) {
		return fmt.Errorf("not what Xen prints for a shared pool: %s", quote(line))
	}
	p.l.Shared[n] = xen.TmemPool{ID: -1, Shared: true, IdentityLost: true}
	p.shared[n] = line
	return nil
}

// recoverShared finds the uuids and sharers of later S lines by elimination:
// the P lines of the sharers have the right uuid. Where two pools of uuids of
// one length have the same sharers nothing tells which is which. The slot is
// in no other line: it stays -1.
//
// Xen 4.5 does not count the domain that made a pool among its sharers
// (X:a36590e1b5), so that P lines prove nothing there; the first S line, which
// is right, shows it.
func (p *parser) recoverShared() {
	sharers := p.sharersByUUID()
	if len(sharers) == 0 {
		return
	}
	first := &p.l.Shared[0]
	if !slices.Equal(slices.Sorted(slices.Values(first.Sharers)), sharers[first.UUID]) {
		return
	}
	for i := range p.l.Shared {
		if pool := &p.l.Shared[i]; !pool.IdentityLost {
			delete(sharers, pool.UUID)
		}
	}
	for progress := true; progress; {
		progress = false
		for k := range p.l.Shared {
			pool := &p.l.Shared[k]
			if !pool.IdentityLost {
				continue
			}
			fits := p.candidates(k, sharers)
			if len(fits) > 0 {
				pool.Sharers = sharers[fits[0]]
			}
			for _, uuid := range fits {
				if !slices.Equal(sharers[uuid], pool.Sharers) {
					pool.Sharers = nil
				}
			}
			if len(fits) == 1 {
				pool.UUID, pool.IdentityLost = fits[0], false
				delete(sharers, fits[0])
				progress = true
			}
		}
	}
}

// sharersByUUID collects the domains that have a P line of each shared pool,
// in order of their numbers. It is empty where nothing is to be recovered.
func (p *parser) sharersByUUID() map[[2]uint64][]units.DomID {
	if len(p.shared) < 2 {
		return nil
	}
	m := map[[2]uint64][]units.DomID{}
	for i := range p.pools {
		if pool := &p.pools[i]; pool.Shared {
			m[pool.UUID] = append(m[pool.UUID], pool.Client.Or(0))
		}
	}
	if len(m) > maxShared {
		return nil
	}
	for _, ids := range m {
		slices.Sort(ids)
	}
	return m
}

// candidates are the uuids whose pool could have printed S line k.
func (p *parser) candidates(k int, sharers map[[2]uint64][]units.DomID) [][2]uint64 {
	var fits [][2]uint64
	for uuid, ids := range sharers {
		head := shortestHead - 2 + len(fmt.Sprintf("%x%x", uuid[0], uuid[1]))
		if p.fits(k, head, ids) || p.fits(k, head+1, ids) { // slots 0–9, 10–15
			fits = append(fits, uuid)
		}
	}
	return fits
}

// fits tells whether S line k is the line before up to head, and lists just
// these sharers from there.
func (p *parser) fits(k, head int, ids []units.DomID) bool {
	line, before := p.shared[k], p.shared[k-1]
	if len(line) < head || !bytes.HasPrefix(before, line[:head]) {
		return false
	}
	listed, err := readSharers(line[head:])
	if err != nil {
		return false
	}
	slices.Sort(listed)
	return slices.Equal(listed, ids)
}

// readSharers reads ",SC:3,SC:5" up to the counters or the end.
func readSharers(b []byte) ([]units.DomID, error) {
	if len(b) > 0 && b[0] != ',' {
		return nil, errors.New("not at the end of a pair")
	}
	var ids []units.DomID
	f := field{record: 'S', line: b, next: 1}
	for f.read() && f.key == kSC {
		if !f.number || f.value < 0 || f.value > 0xffff {
			return nil, errors.New("not a domain number")
		}
		ids = append(ids, units.DomID(f.value))
	}
	return ids, f.err
}

// noteShared says which pools could not be told apart.
func (p *parser) noteShared() {
	lost := 0
	for i := range p.l.Shared {
		if p.l.Shared[i].IdentityLost {
			lost++
		}
	}
	if lost > 0 {
		p.l.Notes = append(p.l.Notes, fmt.Sprintf(
			"%d of %d shared pools cannot be told apart: Xen repeats the first one's uuid in their lines", lost, len(p.l.Shared)))
	}
}
