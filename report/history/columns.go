package history

// Column is a figure of a domain. The numbers are part of the file's format:
// new ones go to the end.
type Column int

// The figures of a domain, each as its source printed it. Sizes are in KiB,
// pages are of 4 KiB, letters are keys of a tmem listing (Xen
// xen/common/tmem_control.c). Sums are over the domain's own pools of a kind.
const (
	Flags         Column = iota // see flag
	UptimeSeconds               // absent where the source does not tell
	Current
	Limit
	StaticMax
	Target
	PCIDevices
	GuestTotal
	GuestAvailable
	GuestUsed
	GuestAgeSeconds
	Weight
	Cap
	Compress
	Frozen
	EphemeralPools // private ones
	SharedPools    // shared ephemeral ones
	EphemeralPages // Ec
	EphemeralPeak  // Em
	// EphemeralPoolPages is Σ Pc; absent where it is EphemeralPages.
	EphemeralPoolPages
	PersistentPools
	PersistentPages // Σ Pc
	PersistentPeak  // Σ Pm
	CompressedPages
	CompressedBytes

	// These rise, and start again at 0 with a new client.
	DiskReadsAvoided  // Ge
	SwapWritesAvoided // Pp
	SwapReadsAvoided  // Gp

	// These are sums over pools, so they fall when a pool goes.
	EphemeralPuts     // ps
	EphemeralPutTries // pt
	EphemeralReplaced // pr
	EphemeralGets     // gs
	EphemeralGetTries // gt
	EphemeralFlushes  // fs
	PersistentPuts
	PersistentPutTries
	PersistentRefused // px
	PersistentGets
	PersistentGetTries
)

// HostColumn is a figure of the host; new ones go to the end.
type HostColumn int

// The figures of the host.
const (
	BeginMilli HostColumn = iota // Unix time
	EndMilli
	ListedMilli // absent where there was no listing
	About       // the row of table about
	HostFlags   // see flag
	Gaps        // how many things could not be read
	Domains     // how many there were
	Total
	Free
	Outstanding
	HostFreeable // Xen's own answer
	Granularity
	FreeListPages // Ta
	HostEphemeralPages
	// The bands as report.Host has them, so that a picture of the host needs
	// no domain.
	XensOwn
	Dom0
	Guests
	GuestsMaximum
	GuestsPersistent
	Reclaimed

	// These run since the host's boot.
	Calls        // Tt
	Evicted      // Et
	Relinquished // Rt
	LowMemory    // Lm
	FailedPages  // Pf

	// These are sums over the domains. Their rise is that of the domains, for
	// a domain that goes takes its part of the sum along.
	HostDiskReadsAvoided
	HostSwapWritesAvoided
	HostSwapReadsAvoided
)

// flag is a bit of Flags or HostFlags.
const (
	flagRunning int64 = 1 << iota
	flagBlocked
	flagPaused
	flagShutdown
	flagCrashed
	flagDying
	flagUnlimited  // no limit set in Xen
	flagListed     // there was a tmem listing
	flagClient     // the domain was in it
	flagTotalsOnly // the source shows clients without their pools
	flagHostLine   // the listing had a line of the host
)

// kind says how a column's readings are put together over time.
type kind uint8

const (
	state      kind = iota // the last one counts
	level                  // mean, lowest and highest count too
	client                 // counts, of a tmem client
	ephemeral              // counts, summed over pools
	persistent             // the same
	machine                // counts, since the host's boot
	summed                 // counts, over the domains
)

// column is a figure's name in SQL, CSV and JSON.
type column struct {
	name string
	kind kind
}

// table is a list of columns with the places of those that are treated alike.
type table struct {
	name             string
	columns          []column
	levels, counters []int
	// slot is a column's place in levels or counters.
	slot []int
}

func newTable(name string, columns []column) *table {
	t := &table{name: name, columns: columns, slot: make([]int, len(columns))}
	for i, c := range columns {
		switch c.kind {
		case state:
		case level:
			t.slot[i], t.levels = len(t.levels), append(t.levels, i)
		default:
			t.slot[i], t.counters = len(t.counters), append(t.counters, i)
		}
	}
	return t
}

// domainTable is in the order of Column.
var domainTable = newTable("domain", []column{
	{"flags", state},
	{"uptime_s", state},
	{"current_kib", level},
	{"limit_kib", state},
	{"static_max_kib", state},
	{"target_kib", state},
	{"pci_devices", state},
	{"guest_total_kib", state},
	{"guest_available_kib", level},
	{"guest_used_kib", state},
	{"guest_age_s", state},
	{"weight", state},
	{"cap", state},
	{"compress", state},
	{"frozen", state},
	{"ephemeral_pools", state},
	{"shared_pools", state},
	{"ephemeral_pages", level},
	{"ephemeral_peak_pages", state},
	{"ephemeral_pool_pages", state},
	{"persistent_pools", state},
	{"persistent_pages", level},
	{"persistent_peak_pages", state},
	{"compressed_pages", state},
	{"compressed_bytes", state},
	{"disk_reads_avoided", client},
	{"swap_writes_avoided", client},
	{"swap_reads_avoided", client},
	{"ephemeral_puts", ephemeral},
	{"ephemeral_put_tries", ephemeral},
	{"ephemeral_replaced", ephemeral},
	{"ephemeral_gets", ephemeral},
	{"ephemeral_get_tries", ephemeral},
	{"ephemeral_flushes", ephemeral},
	{"persistent_puts", persistent},
	{"persistent_put_tries", persistent},
	{"persistent_refused", persistent},
	{"persistent_gets", persistent},
	{"persistent_get_tries", persistent},
})

// hostTable is in the order of HostColumn.
var hostTable = newTable("host", []column{
	{"begin_ms", state},
	{"end_ms", state},
	{"listed_ms", state},
	{"about", state},
	{"flags", state},
	{"gaps", state},
	{"domains", state},
	{"total_kib", state},
	{"free_kib", level},
	{"outstanding_kib", state},
	{"freeable_kib", level},
	{"granularity_kib", state},
	{"tmem_free_list_pages", level},
	{"ephemeral_pages", level},
	{"xens_own_kib", level},
	{"dom0_kib", level},
	{"guests_kib", level},
	{"guests_maximum_kib", level},
	{"guests_persistent_kib", level},
	{"reclaimed_kib", level},
	{"calls", machine},
	{"evicted_pages", machine},
	{"relinquished_pages", machine},
	{"low_memory_events", machine},
	{"failed_page_allocs", machine},
	{"disk_reads_avoided", summed},
	{"swap_writes_avoided", summed},
	{"swap_reads_avoided", summed},
})
