// Package report turns snapshots of a Xen host into what an administrator
// wants to know: how much memory each domain gave up, what its tmem pools saved
// it, how far the host is overcommitted, and what to do. It computes from
// values alone; what it returns feeds every renderer, metric and history.
package report

import (
	"time"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Schema is the version of Report's JSON form. It rises when a field changes
// its meaning or goes; new fields do not raise it. docs/report.schema.json
// describes it.
const Schema = 1

// Report is everything xtm says of a host.
type Report struct {
	Schema int `json:"schema"`
	// Source is how it was read; Recorded is where it was recorded, "" is live.
	Source   string    `json:"source"`
	Recorded string    `json:"recorded,omitempty"`
	Begin    time.Time `json:"begin,omitzero"`
	End      time.Time `json:"end,omitzero"`
	// Interval is the time between the two snapshots that the interval figures
	// rest on; absent when there is one snapshot only.
	Interval opt.Value[time.Duration] `json:"interval_ns,omitzero"`

	Tmem xen.TmemState `json:"tmem"`
	Host Host          `json:"host"`
	// Domains in order of their numbers, Dom0 among them.
	Domains []Domain `json:"domains"`
	// SharedPools belong to no single domain, so they count in none.
	SharedPools []Pool            `json:"shared_pools,omitempty"`
	Findings    []finding.Finding `json:"findings"`
	// Thresholds are those that the findings were judged by.
	Thresholds Thresholds `json:"thresholds"`
	Gaps       []xen.Gap  `json:"gaps,omitempty"`
	// Notes are contradictions within what was read: sums that do not agree,
	// counters that went back.
	Notes []string `json:"notes,omitempty"`
}

// Counter is a counter's reading.
type Counter struct {
	// Total runs since the host's boot, or since the domain's first tmem call.
	Total xen.Count `json:"total,omitzero"`
	// Interval is the rise within Report.Interval; absent without a second
	// snapshot and where the counter started again.
	Interval xen.Count `json:"interval,omitzero"`
	// PerSecond is Interval by time.
	PerSecond opt.Value[float64] `json:"per_second,omitzero"`
}

// Ratio is a share with the two numbers that it is made of.
type Ratio struct {
	Part  xen.Count `json:"part,omitzero"`
	Whole xen.Count `json:"whole,omitzero"`
	// Value is Part/Whole; absent where nothing was counted.
	Value opt.Value[float64] `json:"value,omitzero"`
}

// Efficiency is a Ratio since the start and within the interval.
type Efficiency struct {
	Total Ratio `json:"total"`
	// Interval is nil without a second snapshot to compare with.
	Interval *Ratio `json:"interval,omitempty"`
}

// Host is the memory of the machine and who has it. The bands Xen's own, Dom0,
// guests, ephemeral, tmem's free list and free add up to Total.
type Host struct {
	Name    string      `json:"name,omitempty"`
	Version xen.Version `json:"xen"`
	Release string      `json:"dom0_release,omitempty"`

	Total opt.Value[units.KiB] `json:"total_kib,omitzero"`
	Free  opt.Value[units.KiB] `json:"free_kib,omitzero"`
	// Granularity is the step in which the source knows Total and Free.
	Granularity opt.Value[units.KiB] `json:"granularity_kib,omitzero"`
	// XensOwn is total − free − Σ current − ephemeral − tmem's free list;
	// where the host has no listing, freeable stands for the last two. Absent
	// when it would be negative: then the readings do not belong together.
	XensOwn opt.Value[units.KiB] `json:"xens_own_kib,omitzero"`
	Dom0    opt.Value[units.KiB] `json:"dom0_kib,omitzero"`
	// Guests is Σ current of all guests, persistent pages included.
	Guests     opt.Value[units.KiB] `json:"guests_current_kib,omitzero"`
	Persistent opt.Value[units.KiB] `json:"guests_persistent_kib,omitzero"`
	Ephemeral  opt.Value[units.KiB] `json:"ephemeral_kib,omitzero"`
	FreeList   opt.Value[units.KiB] `json:"tmem_free_list_kib,omitzero"`

	// GuestsMemory is total − Xen's own − Dom0's current: what guests can have
	// together.
	GuestsMemory opt.Value[units.KiB] `json:"guests_memory_kib,omitzero"`
	// GuestsMaximum is Σ maximum of all guests.
	GuestsMaximum opt.Value[units.KiB] `json:"guests_maximum_kib,omitzero"`
	// Overcommit is GuestsMaximum / GuestsMemory: above 1 not all can grow.
	Overcommit opt.Value[float64] `json:"overcommit,omitzero"`
	// Shortfall is what would lack if every guest grew to its maximum; 0 when
	// all of them fit.
	Shortfall opt.Value[units.KiB] `json:"shortfall_kib,omitzero"`
	// Freeable is what Xen can take back at once. FreeableEstimate marks the
	// sum of ephemeral pages and tmem's free list, where Xen's own answer is
	// not to be had: too high when pages are compressed.
	Freeable         opt.Value[units.KiB] `json:"freeable_kib,omitzero"`
	FreeableEstimate bool                 `json:"freeable_is_estimate,omitempty"`
	// Reclaimed is Σ reclaimed of all guests.
	Reclaimed opt.Value[units.KiB] `json:"reclaimed_kib,omitzero"`

	// Evictions and low-memory events are known for the host only.
	Evicted      Counter `json:"evicted_pages,omitzero"`
	Relinquished Counter `json:"relinquished_pages,omitzero"`
	LowMemory    Counter `json:"low_memory_events,omitzero"`
	FailedPages  Counter `json:"failed_page_allocs,omitzero"`

	// Sums over all domains that are tmem clients.
	DiskReadsAvoided  Counter `json:"disk_reads_avoided_pages,omitzero"`
	SwapWritesAvoided Counter `json:"swap_writes_avoided_pages,omitzero"`
	SwapReadsAvoided  Counter `json:"swap_reads_avoided_pages,omitzero"`
}

// Domain is one domain's memory and what tmem does for it.
type Domain struct {
	ID    opt.Value[units.DomID] `json:"domid,omitzero"`
	UUID  string                 `json:"uuid,omitempty"`
	Name  string                 `json:"name"`
	Dom0  bool                   `json:"dom0,omitempty"`
	State xen.State              `json:"state"`
	Type  string                 `json:"type,omitempty"`
	PCI   opt.Value[int]         `json:"pci_devices,omitzero"`

	// Current is Xen's tot_pages; PersistentMemory is the part of it that
	// holds the domain's persistent tmem pages.
	Current          opt.Value[units.KiB] `json:"current_kib,omitzero"`
	PersistentMemory opt.Value[units.KiB] `json:"persistent_kib,omitzero"`
	Limit            opt.Value[units.KiB] `json:"limit_kib,omitzero"`
	Unlimited        bool                 `json:"unlimited,omitempty"`
	StaticMax        opt.Value[units.KiB] `json:"static_max_kib,omitzero"`
	Target           opt.Value[units.KiB] `json:"target_kib,omitzero"`
	// Maximum is the larger of Limit and StaticMax.
	Maximum opt.Value[units.KiB] `json:"maximum_kib,omitzero"`
	// Reclaimed is Maximum − Current: what the domain may have and has not.
	Reclaimed opt.Value[units.KiB] `json:"reclaimed_kib,omitzero"`
	// RoomForPuts is Limit − Current: a persistent put needs a page of it.
	RoomForPuts opt.Value[units.KiB] `json:"room_for_puts_kib,omitzero"`
	// Guest is what the guest itself says; GuestSays is why there is nothing.
	Guest opt.Value[xen.GuestMemory] `json:"guest,omitzero"`
	// Uptime as xl uptime has it.
	Uptime opt.Value[time.Duration] `json:"uptime_ns,omitzero"`

	// Client is nil for a domain that never called tmem, and where there
	// is no listing.
	Client *Client `json:"tmem,omitempty"`
	// Reset says why the interval's figures are absent for this domain; "" where
	// they are whole or where there is no interval.
	Reset Reset `json:"reset,omitempty"`
}

// Ephemeral are the domain's ephemeral pools, or nil.
func (d *Domain) Ephemeral() *Ephemeral {
	if d.Client == nil {
		return nil
	}
	return d.Client.Ephemeral
}

// Persistent are the domain's persistent pools, or nil.
func (d *Domain) Persistent() *Persistent {
	if d.Client == nil {
		return nil
	}
	return d.Client.Persistent
}

// Client is what tmem holds for one domain and saved it.
type Client struct {
	Weight   xen.Count `json:"weight,omitzero"`
	Cap      xen.Count `json:"cap,omitzero"`
	Compress xen.Count `json:"compress,omitzero"`
	Frozen   xen.Count `json:"frozen,omitzero"`

	// Ephemeral and Persistent are nil where the domain has no such pool:
	// it cannot have hits then, which is not the same as having none.
	Ephemeral  *Ephemeral  `json:"ephemeral,omitempty"`
	Persistent *Persistent `json:"persistent,omitempty"`
	// CompressionRatio is bytes stored / bytes given, of the pages that were
	// compressed; smaller is better. Absent where none was.
	CompressionRatio opt.Value[float64] `json:"compression_ratio,omitzero"`
	// Pools in slot order.
	Pools []Pool `json:"pools,omitempty"`
}

// Ephemeral is a domain's clean page cache in Xen, all its pools together.
type Ephemeral struct {
	// Pools is how many; absent where the source shows only totals.
	Pools xen.Count `json:"pools,omitzero"`
	Pages xen.Count `json:"pages,omitzero"`
	Peak  xen.Count `json:"peak_pages,omitzero"`
	// HitRate is successful gets / counted gets: Xen does not count gets on an
	// empty pool.
	HitRate Efficiency `json:"hit_rate"`
	Puts    Counter    `json:"puts,omitzero"`
	// LostOrFlushed is at most ps − pr − gs − fs − Pc: pages that were put and
	// neither read back nor are there now. Xen counts neither evictions nor
	// object flushes by page, so they cannot be told apart.
	LostOrFlushed xen.Count `json:"lost_or_flushed_at_most,omitzero"`
	// DiskReadsAvoided is compared with the same balloon size without tmem.
	DiskReadsAvoided Counter `json:"disk_reads_avoided_pages,omitzero"`
}

// Persistent is a domain's swap in Xen.
type Persistent struct {
	// Pools is how many; absent where the source shows only totals.
	Pools xen.Count `json:"pools,omitzero"`
	Pages xen.Count `json:"pages,omitzero"`
	Peak  xen.Count `json:"peak_pages,omitzero"`
	// Acceptance is successful puts / attempted puts.
	Acceptance        Efficiency `json:"put_acceptance"`
	Refused           Counter    `json:"puts_refused,omitzero"`
	SwapWritesAvoided Counter    `json:"swap_writes_avoided_pages,omitzero"`
	SwapReadsAvoided  Counter    `json:"swap_reads_avoided_pages,omitzero"`
}

// Reset is a reason why a domain's counters cannot be compared with the
// snapshot before. Xen starts them at 0 for every new client.
type Reset string

// The reasons.
const (
	// ResetNew: the domain was not there before.
	ResetNew Reset = "new"
	// ResetRenumbered: the same uuid under a new number, so it was rebooted,
	// restored or has migrated.
	ResetRenumbered Reset = "renumbered"
	// ResetReborn: the same number under another uuid, or a younger domain.
	ResetReborn Reset = "reborn"
	// ResetCounters: a counter went back though the domain seems the same.
	ResetCounters Reset = "counters_restarted"
)

// Pool is one pool of a domain, or a pool shared by several.
type Pool struct {
	ID         int  `json:"id"`
	Persistent bool `json:"persistent"`
	Shared     bool `json:"shared,omitempty"`
	// Sharers of a shared pool, by number.
	Sharers []units.DomID `json:"sharers,omitempty"`
	// IdentityLost marks a shared pool whose ID Xen garbled.
	IdentityLost bool      `json:"identity_lost,omitempty"`
	Pages        xen.Count `json:"pages,omitzero"`
	Peak         xen.Count `json:"peak_pages,omitzero"`
	Objects      xen.Count `json:"objects,omitzero"`
	// Puts is good puts / attempted puts; Gets is gets found / counted gets.
	Puts    Efficiency `json:"puts"`
	Gets    Efficiency `json:"gets"`
	Refused Counter    `json:"puts_refused,omitzero"`
}
