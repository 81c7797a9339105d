package tmem

import "xtm/xen"

// The keys that are not counters, and those that are read in a way of their own.
const (
	kCI = 'C'<<8 | 'I'
	kPI = 'P'<<8 | 'I'
	kSI = 'S'<<8 | 'I'
	kPT = 'P'<<8 | 'T'
	kU0 = 'U'<<8 | '0'
	kU1 = 'U'<<8 | '1'
	kSC = 'S'<<8 | 'C'
	kww = 'w'<<8 | 'w'
	kca = 'c'<<8 | 'a'
)

// hostCount is where a key of the G line goes; nil is a key that no release
// prints (tmemc_list_global in xen/common/tmem.c 4.0.0–4.7, tmem_control.c
// 4.8–4.12).
func hostCount(h *xen.TmemHost, key uint16) *xen.Count {
	switch key {
	case 'T'<<8 | 't':
		return &h.Calls
	case 'T'<<8 | 'e':
		return &h.Errors
	case 'C'<<8 | 'f':
		return &h.FailedCopies
	case 'A'<<8 | 'f':
		return &h.FailedAllocs
	case 'P'<<8 | 'f':
		return &h.FailedPages
	case 'T'<<8 | 'a':
		return &h.FreeListPages
	case 'L'<<8 | 'm':
		return &h.LowMemory
	case 'E'<<8 | 't':
		return &h.Evicted
	case 'E'<<8 | 'a':
		return &h.EvictAttempts
	case 'R'<<8 | 't':
		return &h.Relinquished
	case 'R'<<8 | 'a':
		return &h.RelinquishTries
	case 'R'<<8 | 'x':
		return &h.RelinquishMax
	case 'F'<<8 | 'p':
		return &h.FlushedPools
	case 'E'<<8 | 'c':
		return &h.Ephemeral.Now
	case 'E'<<8 | 'm':
		return &h.Ephemeral.Max
	case 'O'<<8 | 'c':
		return &h.Objects.Now
	case 'O'<<8 | 'm':
		return &h.Objects.Max
	case 'N'<<8 | 'c':
		return &h.Nodes.Now
	case 'N'<<8 | 'm':
		return &h.Nodes.Max
	case 'P'<<8 | 'c':
		return &h.Pages.Now
	case 'P'<<8 | 'm':
		return &h.Pages.Max
	case 'F'<<8 | 'c':
		return &h.Frames.Now
	case 'F'<<8 | 'm':
		return &h.Frames.Max
	case 'S'<<8 | 'c':
		return &h.Contents.Now
	case 'S'<<8 | 'm':
		return &h.Contents.Max
	case 'E'<<8 | 'p':
		return &h.EphemeralPuts
	case 'G'<<8 | 'd':
		return &h.DedupPuts
	case 'Z'<<8 | 't':
		return &h.TrailingZeroes
	case 'G'<<8 | 'z':
		return &h.Compressed
	}
	return nil
}

// clientCount is where a key of the C line goes (tmemc_list_client).
func clientCount(c *xen.TmemClient, key uint16) *xen.Count {
	switch key {
	case 'c'<<8 | 'o':
		return &c.Compress
	case 'f'<<8 | 'r':
		return &c.Frozen
	case 'T'<<8 | 'c':
		return &c.Cycles
	case 'G'<<8 | 'e':
		return &c.EphemeralGets
	case 'P'<<8 | 'p':
		return &c.PersistentPuts
	case 'G'<<8 | 'p':
		return &c.PersistentGets
	case 'E'<<8 | 'c':
		return &c.Ephemeral.Now
	case 'E'<<8 | 'm':
		return &c.Ephemeral.Max
	case 'c'<<8 | 'p':
		return &c.CompressedPages
	case 'c'<<8 | 'b':
		return &c.CompressedBytes
	case 'c'<<8 | 'n':
		return &c.PoorlyPacked
	case 'c'<<8 | 'm':
		return &c.NoCompressRoom
	}
	return nil
}

// poolCount is where a counter of a P or an S line goes (tmemc_list_client,
// tmemc_list_shared).
func poolCount(p *xen.TmemPool, key uint16) *xen.Count {
	switch key {
	case 'P'<<8 | 'c':
		return &p.Pages.Now
	case 'P'<<8 | 'm':
		return &p.Pages.Max
	case 'O'<<8 | 'c':
		return &p.Objects.Now
	case 'O'<<8 | 'm':
		return &p.Objects.Max
	case 'N'<<8 | 'c':
		return &p.Nodes.Now
	case 'N'<<8 | 'm':
		return &p.Nodes.Max
	case 'p'<<8 | 's':
		return &p.Puts
	case 'p'<<8 | 't':
		return &p.PutTries
	case 'p'<<8 | 'd':
		return &p.DupFlushed
	case 'p'<<8 | 'r':
		return &p.DupReplaced
	case 'p'<<8 | 'x':
		return &p.PutsRefused
	case 'g'<<8 | 's':
		return &p.Gets
	case 'g'<<8 | 't':
		return &p.GetTries
	case 'f'<<8 | 's':
		return &p.PageFlushes
	case 'f'<<8 | 't':
		return &p.PageFlushTries
	case 'o'<<8 | 's':
		return &p.ObjFlushes
	case 'o'<<8 | 't':
		return &p.ObjFlushTries
	}
	return nil
}
