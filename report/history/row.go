package history

import (
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/history/block"
	"xtm/xen"
)

// row is one reading of all columns of a table.
type row []int64

// absent stands for a figure that was not told. No counter of Xen's reaches it.
const absent = block.Absent

func newRow(t *table) row {
	r := make(row, len(t.columns))
	for i := range r {
		r[i] = absent
	}
	return r
}

// at is a figure, absent where it was not told.
func (r row) at(i int) xen.Count {
	if i >= len(r) || r[i] == absent {
		return xen.Count{}
	}
	return opt.Of(r[i])
}

func put[C ~int, T ~int | ~int64](r row, c C, v opt.Value[T]) {
	if n, ok := v.Get(); ok {
		r[c] = int64(n)
	}
}

// get is a figure in a type of its own.
func get[T ~int | ~int64, C ~int](r row, c C) opt.Value[T] {
	return opt.Map(r.at(int(c)), func(n int64) T { return T(n) })
}

func seconds(d opt.Value[time.Duration]) xen.Count {
	return opt.Map(d, func(d time.Duration) int64 { return int64(d / time.Second) })
}

func duration(n xen.Count) opt.Value[time.Duration] {
	return opt.Map(n, func(n int64) time.Duration { return time.Duration(n) * time.Second })
}

// bit is a flag and whether it is set.
type bit struct {
	flag int64
	set  bool
}

func flagsOf(bits ...bit) int64 {
	var f int64
	for _, b := range bits {
		if b.set {
			f |= b.flag
		}
	}
	return f
}

// domainRow is what is kept of a domain; c is nil where it is no client.
func domainRow(d xen.Domain, c *xen.TmemClient, list opt.Value[xen.Listing]) row {
	r := newRow(domainTable)
	r[Flags] = flagsOf(
		bit{flagRunning, d.State.Running}, bit{flagBlocked, d.State.Blocked}, bit{flagPaused, d.State.Paused},
		bit{flagShutdown, d.State.Shutdown}, bit{flagCrashed, d.State.Crashed}, bit{flagDying, d.State.Dying},
		bit{flagUnlimited, d.Unlimited}, bit{flagListed, list.Has()}, bit{flagClient, c != nil},
	)
	put(r, UptimeSeconds, seconds(d.Uptime))
	put(r, Current, d.Current)
	put(r, Limit, d.Limit)
	put(r, StaticMax, d.StaticMax)
	put(r, Target, d.Target)
	put(r, PCIDevices, d.PCI)
	if g, ok := d.Guest.Get(); ok {
		put(r, GuestTotal, g.Total)
		put(r, GuestAvailable, g.Available)
		put(r, GuestUsed, g.Used)
		put(r, GuestAgeSeconds, seconds(g.Age))
	}
	if c != nil {
		r.client(c)
		if !list.Or(xen.Listing{}).TotalsOnly {
			r.pools(c.Pools)
		}
	}
	return r
}

func (r row) client(c *xen.TmemClient) {
	put(r, Weight, c.Weight)
	put(r, Cap, c.Cap)
	put(r, Compress, c.Compress)
	put(r, Frozen, c.Frozen)
	put(r, EphemeralPages, c.Ephemeral.Now)
	put(r, EphemeralPeak, c.Ephemeral.Max)
	put(r, CompressedPages, c.CompressedPages)
	put(r, CompressedBytes, c.CompressedBytes)
	put(r, DiskReadsAvoided, c.EphemeralGets)
	put(r, SwapWritesAvoided, c.PersistentPuts)
	put(r, SwapReadsAvoided, c.PersistentGets)
}

// pools counts the pools of each kind and adds up what they count.
func (r row) pools(pools []xen.TmemPool) {
	r[EphemeralPools], r[SharedPools], r[PersistentPools] = 0, 0, 0
	for i := range pools {
		switch p := &pools[i]; {
		case p.Shared && !p.Persistent:
			r[SharedPools]++
		case p.Persistent:
			r[PersistentPools]++
			r.add([]sum{
				{PersistentPages, p.Pages.Now},
				{PersistentPeak, p.Pages.Max},
				{PersistentPuts, p.Puts},
				{PersistentPutTries, p.PutTries},
				{PersistentRefused, p.PutsRefused},
				{PersistentGets, p.Gets},
				{PersistentGetTries, p.GetTries},
			})
		default:
			r[EphemeralPools]++
			r.add([]sum{
				{EphemeralPoolPages, p.Pages.Now},
				{EphemeralPuts, p.Puts},
				{EphemeralPutTries, p.PutTries},
				{EphemeralReplaced, p.DupReplaced},
				{EphemeralGets, p.Gets},
				{EphemeralGetTries, p.GetTries},
				{EphemeralFlushes, p.PageFlushes},
			})
		}
	}
	if r[EphemeralPoolPages] == r[EphemeralPages] {
		r[EphemeralPoolPages] = absent
	}
}

// sum is a pool's part of a column.
type sum struct {
	column Column
	part   xen.Count
}

// add adds up; parts that were not told do not count.
func (r row) add(parts []sum) {
	for _, s := range parts {
		if n, ok := s.part.Get(); ok {
			r[s.column] = max(r[s.column], 0) + n
		}
	}
}

// hostRow is what is kept of the host. Sums over its domains come from its
// report, which is where they are defined.
func hostRow(s xen.Snapshot, h report.Host, about int64) row {
	r := newRow(hostTable)
	list, listed := s.Tmem.Get()
	r[BeginMilli], r[EndMilli] = s.Begin.UnixMilli(), s.End.UnixMilli()
	if !s.ListedAt.IsZero() {
		r[ListedMilli] = s.ListedAt.UnixMilli()
	}
	r[About], r[Gaps], r[Domains] = about, int64(len(s.Gaps)), int64(len(s.Domains))
	r[HostFlags] = flagsOf(bit{flagListed, listed}, bit{flagTotalsOnly, list.TotalsOnly}, bit{flagHostLine, list.Host.Has()})
	put(r, Total, s.Host.Total)
	put(r, Free, s.Host.Free)
	put(r, Outstanding, s.Host.Outstanding)
	put(r, HostFreeable, s.Host.Freeable)
	put(r, Granularity, s.Host.Granularity)
	put(r, XensOwn, h.XensOwn)
	put(r, Dom0, h.Dom0)
	put(r, Guests, h.Guests)
	put(r, GuestsMaximum, h.GuestsMaximum)
	put(r, GuestsPersistent, h.Persistent)
	put(r, Reclaimed, h.Reclaimed)
	if g, ok := list.Host.Get(); ok {
		put(r, FreeListPages, g.FreeListPages)
		put(r, HostEphemeralPages, g.Ephemeral.Now)
		put(r, Calls, g.Calls)
		put(r, Evicted, g.Evicted)
		put(r, Relinquished, g.Relinquished)
		put(r, LowMemory, g.LowMemory)
		put(r, FailedPages, g.FailedPages)
	}
	put(r, HostDiskReadsAvoided, h.DiskReadsAvoided.Total)
	put(r, HostSwapWritesAvoided, h.SwapWritesAvoided.Total)
	put(r, HostSwapReadsAvoided, h.SwapReadsAvoided.Total)
	return r
}

// has tells whether a bit of the flags is set.
func (r row) has(column int, bit int64) bool { return r[column] != absent && r[column]&bit != 0 }

// milli is a time of a row.
func milli(n int64) time.Time { return time.UnixMilli(n).UTC() }

// restoreDomain makes the domain and, where it was one, the client again.
func restoreDomain(r row, w who) (xen.Domain, *xen.TmemClient) {
	f := func(bit int64) bool { return r.has(int(Flags), bit) }
	d := xen.Domain{
		ID: w.id, UUID: w.uuid, Name: w.name, Type: w.kind,
		State: xen.State{
			Running: f(flagRunning), Blocked: f(flagBlocked), Paused: f(flagPaused),
			Shutdown: f(flagShutdown), Crashed: f(flagCrashed), Dying: f(flagDying),
		},
		Unlimited: f(flagUnlimited), Uptime: duration(r.at(int(UptimeSeconds))),
		Current: get[units.KiB](r, Current), Limit: get[units.KiB](r, Limit), StaticMax: get[units.KiB](r, StaticMax),
		Target: get[units.KiB](r, Target), PCI: get[int](r, PCIDevices),
	}
	g := xen.GuestMemory{
		Total: get[units.KiB](r, GuestTotal), Available: get[units.KiB](r, GuestAvailable), Used: get[units.KiB](r, GuestUsed),
		Age: duration(r.at(int(GuestAgeSeconds))), Path: w.guestPath,
	}
	if g.Total.Has() || g.Available.Has() || g.Used.Has() {
		d.Guest = opt.Of(g)
	}
	if !f(flagClient) {
		return d, nil
	}
	return d, restoreClient(r, w)
}

// restoreClient makes as many pools as there were. The first of a kind has the
// sums of all: which pool had which part is not kept.
func restoreClient(r row, w who) *xen.TmemClient {
	at := func(c Column) xen.Count { return r.at(int(c)) }
	c := &xen.TmemClient{
		ID: w.id.Or(0), Weight: at(Weight), Cap: at(Cap), Compress: at(Compress), Frozen: at(Frozen),
		Ephemeral:       xen.Peak{Now: at(EphemeralPages), Max: at(EphemeralPeak)},
		CompressedPages: at(CompressedPages), CompressedBytes: at(CompressedBytes),
		EphemeralGets: at(DiskReadsAvoided), PersistentPuts: at(SwapWritesAvoided), PersistentGets: at(SwapReadsAvoided),
	}
	pages := at(EphemeralPoolPages)
	if !pages.Has() {
		pages = at(EphemeralPages)
	}
	sums := []struct {
		n    int64
		pool xen.TmemPool
	}{
		{max(0, r[EphemeralPools]), xen.TmemPool{
			Pages: xen.Peak{Now: pages}, Puts: at(EphemeralPuts), PutTries: at(EphemeralPutTries), DupReplaced: at(EphemeralReplaced),
			Gets: at(EphemeralGets), GetTries: at(EphemeralGetTries), PageFlushes: at(EphemeralFlushes),
		}},
		{max(0, r[PersistentPools]), xen.TmemPool{
			Persistent: true, Pages: xen.Peak{Now: at(PersistentPages), Max: at(PersistentPeak)},
			Puts: at(PersistentPuts), PutTries: at(PersistentPutTries), PutsRefused: at(PersistentRefused),
			Gets: at(PersistentGets), GetTries: at(PersistentGetTries),
		}},
		{max(0, r[SharedPools]), xen.TmemPool{Shared: true}},
	}
	for _, s := range sums {
		for i := range min(s.n, mostPools) {
			p := xen.TmemPool{Persistent: s.pool.Persistent, Shared: s.pool.Shared}
			if i == 0 {
				p = s.pool
			}
			p.ID = len(c.Pools)
			c.Pools = append(c.Pools, p)
		}
	}
	return c
}

// mostPools is Xen's own bound of a domain's pools.
const mostPools = 16

// restoreHost adds what the row has of the host.
func restoreHost(r row, s *xen.Snapshot) {
	s.Host.Total, s.Host.Free = get[units.KiB](r, Total), get[units.KiB](r, Free)
	s.Host.Outstanding, s.Host.Freeable = get[units.KiB](r, Outstanding), get[units.KiB](r, HostFreeable)
	s.Host.Granularity = get[units.KiB](r, Granularity)
	if !r.has(int(HostFlags), flagListed) {
		return
	}
	if ms, ok := r.at(int(ListedMilli)).Get(); ok {
		s.ListedAt = milli(ms)
	}
	at := func(c HostColumn) xen.Count { return r.at(int(c)) }
	list := xen.Listing{TotalsOnly: r.has(int(HostFlags), flagTotalsOnly)}
	if r.has(int(HostFlags), flagHostLine) {
		list.Host = opt.Of(xen.TmemHost{
			Calls: at(Calls), FreeListPages: at(FreeListPages), Ephemeral: xen.Peak{Now: at(HostEphemeralPages)},
			Evicted: at(Evicted), Relinquished: at(Relinquished), LowMemory: at(LowMemory), FailedPages: at(FailedPages),
		})
	}
	s.Tmem = opt.Of(list)
}
