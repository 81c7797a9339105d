package xen

import (
	"xtm/internal/opt"
	"xtm/internal/units"
)

// Count is a counter or gauge of a tmem listing. Releases and forms differ in
// what they print: what was not printed is absent.
type Count = opt.Value[int64]

// Listing is one answer of TMEM_LIST. A listing is not one instant: Xen fills
// it while guests go on.
type Listing struct {
	Host    opt.Value[TmemHost] `json:"host,omitzero"` // absent in the listing of one domain
	Shared  []TmemPool          `json:"shared,omitempty"`
	Clients []TmemClient        `json:"clients,omitempty"`
	// TotalsOnly marks a source that shows clients but no pools (a xentop
	// screen): a client without pools there may still have some.
	TotalsOnly bool `json:"totals_only,omitempty"`
	// Cycles are the T line's statistics (4.0–4.3).
	Cycles []TmemCycles `json:"cycles,omitempty"`
	// Truncated says why the listing cannot be whole; "" is whole.
	Truncated string `json:"truncated,omitempty"`
	// Notes are soft contradictions, such as a known defect of the release.
	Notes []string `json:"notes,omitempty"`
	// Unknown keeps what this program has no field for.
	Unknown []UnknownKey `json:"unknown,omitempty"`
}

// UnknownKey is a key of a listing that no release read so far prints.
type UnknownKey struct {
	Line   int    `json:"line"`   // from 1
	Record string `json:"record"` // "G", "C", "P", "S", "T"
	Key    string `json:"key"`
	Value  string `json:"value"`
}

// Peak is a gauge with its highest value so far.
type Peak struct {
	Now Count `json:"now,omitzero"`
	Max Count `json:"max,omitzero"`
}

// TmemHost is the G line. Counters run since boot.
type TmemHost struct {
	Calls           Count `json:"calls,omitzero"`              // Tt hypercalls
	Errors          Count `json:"errors,omitzero"`             // Te; non-zero is normal
	FailedCopies    Count `json:"failed_copies,omitzero"`      // Cf
	FailedAllocs    Count `json:"failed_allocs,omitzero"`      // Af
	FailedPages     Count `json:"failed_page_allocs,omitzero"` // Pf
	FreeListPages   Count `json:"free_list_pages,omitzero"`    // Ta, now
	LowMemory       Count `json:"low_memory_events,omitzero"`  // Lm
	Evicted         Count `json:"evicted_pages,omitzero"`      // Et
	EvictAttempts   Count `json:"evict_attempts,omitzero"`     // Ea
	Relinquished    Count `json:"relinquished_pages,omitzero"` // Rt, handed back to Xen's heap
	RelinquishTries Count `json:"relinquish_tries,omitzero"`   // Ra
	RelinquishMax   Count `json:"relinquish_max,omitzero"`     // Rx
	FlushedPools    Count `json:"flushed_pools,omitzero"`      // Fp

	// The rest is in the long form only.
	Ephemeral      Peak  `json:"ephemeral_pages,omitzero"`  // Ec Em
	Objects        Peak  `json:"objects,omitzero"`          // Oc Om
	Nodes          Peak  `json:"nodes,omitzero"`            // Nc Nm
	Pages          Peak  `json:"pages,omitzero"`            // Pc Pm, ephemeral and persistent
	Frames         Peak  `json:"frames,omitzero"`           // Fc Fm; not in 4.0.0
	Contents       Peak  `json:"contents,omitzero"`         // Sc Sm, dedup up to 4.7
	EphemeralPuts  Count `json:"ephemeral_puts,omitzero"`   // Ep
	DedupPuts      Count `json:"dedup_puts,omitzero"`       // Gd
	TrailingZeroes Count `json:"tze_bytes,omitzero"`        // Zt
	Compressed     Count `json:"compressed_bytes,omitzero"` // Gz
}

// TmemClient is a C line and the P lines behind it: one domain's pools and
// settings. Counters start again when the domain is destroyed or migrates.
type TmemClient struct {
	ID units.DomID `json:"domid"`
	// Position is the index in Snapshot.Domains where the source shows no
	// domid (a xentop screen); ID means nothing then.
	Position opt.Value[int] `json:"position,omitzero"`
	Weight   Count          `json:"weight,omitzero"`   // ww, a uint32 that Xen prints with %d
	Cap      Count          `json:"cap,omitzero"`      // ca, up to 4.7; no code ever heeded it
	Compress Count          `json:"compress,omitzero"` // co
	Frozen   Count          `json:"frozen,omitzero"`   // fr
	Cycles   Count          `json:"cycles,omitzero"`   // Tc, 0 from 4.4

	EphemeralGets  Count `json:"ephemeral_gets,omitzero"`  // Ge, successful
	PersistentPuts Count `json:"persistent_puts,omitzero"` // Pp, successful
	PersistentGets Count `json:"persistent_gets,omitzero"` // Gp, successful

	// The rest is in the long form only.
	Ephemeral       Peak  `json:"ephemeral_pages,omitzero"`  // Ec Em
	CompressedPages Count `json:"compressed_pages,omitzero"` // cp
	CompressedBytes Count `json:"compressed_bytes,omitzero"` // cb
	PoorlyPacked    Count `json:"poorly_packed,omitzero"`    // cn
	NoCompressRoom  Count `json:"no_compress_room,omitzero"` // cm

	Pools []TmemPool `json:"pools,omitempty"`
}

// TmemPool is a P or an S line.
type TmemPool struct {
	// Client owns the pool; absent on an S line.
	Client opt.Value[units.DomID] `json:"domid,omitzero"`
	// ID is the slot, 0–15; -1 of a second or later S line, whose own Xen
	// does not print. On the P line of a shared pool it is the owner's.
	ID         int       `json:"id"`
	Persistent bool      `json:"persistent"`
	Shared     bool      `json:"shared"`
	UUID       [2]uint64 `json:"uuid"` // 0 of a private pool
	// Sharers are the domains of an S line; none where they cannot be told.
	Sharers []units.DomID `json:"sharers,omitempty"`
	// IdentityLost marks a second or later S line whose UUID could not be
	// recovered: Xen repeats the first one's there. Its counters are right.
	IdentityLost bool `json:"identity_lost,omitempty"`

	// The rest is in the long form only.
	Pages          Peak  `json:"pages,omitzero"`              // Pc Pm
	Objects        Peak  `json:"objects,omitzero"`            // Oc Om
	Nodes          Peak  `json:"nodes,omitzero"`              // Nc Nm
	Puts           Count `json:"puts,omitzero"`               // ps, good
	PutTries       Count `json:"put_tries,omitzero"`          // pt
	DupFlushed     Count `json:"dup_puts_flushed,omitzero"`   // pd
	DupReplaced    Count `json:"dup_puts_replaced,omitzero"`  // pr
	PutsRefused    Count `json:"puts_refused,omitzero"`       // px
	Gets           Count `json:"gets,omitzero"`               // gs, found
	GetTries       Count `json:"get_tries,omitzero"`          // gt
	PageFlushes    Count `json:"page_flushes,omitzero"`       // fs, found
	PageFlushTries Count `json:"page_flush_tries,omitzero"`   // ft
	ObjFlushes     Count `json:"object_flushes,omitzero"`     // os, found
	ObjFlushTries  Count `json:"object_flush_tries,omitzero"` // ot
}

// TmemCycles is one tag of the T line, in CPU cycles.
type TmemCycles struct {
	Tag     string `json:"tag"` // "G" get found, "P" put, "g" get missed, …
	Samples int64  `json:"samples"`
	Total   int64  `json:"total"`
	Max     int64  `json:"max"`
	// Min is 2147483647 where there was no sample.
	Min int64 `json:"min"`
}
