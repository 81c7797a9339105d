// Package libvirt reads a Xen host through libvirtd. It is the poorest of the
// sources and chosen only by name: libvirt's Xen driver knows the domains that
// libvirt started, and no others, not what Xen limits them to, and nothing of
// tmem.
package libvirt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/xenstore/domkeys"
)

// XenSystem names the Xen driver of a libvirtd.
const XenSystem = "xen:///system"

// timeout bounds a snapshot: libvirtd answers within milliseconds, and its
// protocol has no deadlines of its own.
const timeout = 20 * time.Second

// Dialer connects to libvirtd; it ends with ctx if it takes longer.
type Dialer func(ctx context.Context) (net.Conn, error)

// Source reads the host of a libvirtd.
type Source struct {
	dial Dialer
	uri  string
}

// New returns a source; it touches nothing yet. The URI is XenSystem, or in
// tests that of another driver.
func New(d Dialer, uri string) *Source { return &Source{d, uri} }

// Snapshot reads the host, within 20 seconds or what ctx allows. Each snapshot
// has a connection of its own. The error is set when libvirtd could not be
// reached or did not list its domains: fs.ErrNotExist where there is no socket,
// cause.ErrNeedsRoot, cause.ErrNotSupported where this libvirtd has no such
// driver. What this source never knows stands in Snapshot.Gaps.
func (s *Source) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type result struct {
		snap xen.Snapshot
		err  error
	}
	done := make(chan result, 1)
	go func() {
		snap, err := s.read(ctx)
		done <- result{snap, err}
	}()
	select {
	case r := <-done:
		if err := ctx.Err(); r.err != nil && err != nil {
			r.err = err // what the library says of its closed connection says less
		}
		if r.err != nil {
			return xen.Snapshot{}, fmt.Errorf("ask libvirtd for %s: %w", s.uri, explain(r.err))
		}
		return r.snap, nil
	case <-ctx.Done():
		return xen.Snapshot{}, fmt.Errorf("ask libvirtd for %s: %w", s.uri, ctx.Err())
	}
}

// read makes a snapshot. The end of ctx closes the connection, and that ends
// every call that waits.
func (s *Source) read(ctx context.Context) (xen.Snapshot, error) {
	connected := make(chan struct{})
	l := golibvirt.NewWithDialer(dialer{ctx, s.dial, connected})
	err := l.ConnectToURI(golibvirt.ConnectURI(s.uri))
	close(connected)
	if err != nil {
		return xen.Snapshot{}, err
	}
	r := reader{l: l, snap: xen.Snapshot{Source: "libvirt", Begin: time.Now().UTC()}}
	r.host()
	if err := r.domains(); err != nil {
		return xen.Snapshot{}, err
	}
	r.limits()
	r.snap.End = time.Now().UTC()
	// libvirtd logs an error for each client that just hangs up.
	_ = l.Disconnect() // the figures are there
	return r.snap, nil
}

// explain adds the cause that an error of libvirt's stands for.
func explain(err error) error {
	e, ok := errors.AsType[golibvirt.Error](err)
	if !ok {
		return err
	}
	switch golibvirt.ErrorNumber(e.Code) {
	case golibvirt.ErrNoConnect, golibvirt.ErrNoSupport:
		return fmt.Errorf("%w: %w", err, cause.ErrNotSupported)
	case golibvirt.ErrAuthFailed, golibvirt.ErrAuthCancelled, golibvirt.ErrAuthUnavailable,
		golibvirt.ErrOperationDenied, golibvirt.ErrAccessDenied:
		return fmt.Errorf("%w: %w", err, cause.ErrNeedsRoot)
	}
	return err
}

// reader reads one snapshot.
type reader struct {
	l    *golibvirt.Libvirt
	snap xen.Snapshot
}

func (r *reader) gap(what string, err error) {
	if err != nil {
		r.snap.Gaps = append(r.snap.Gaps, xen.GapOf(what, explain(err)))
	}
}

// host reads what libvirt calls the node.
func (r *reader) host() {
	h := &r.snap.Host
	name, err := r.l.ConnectGetHostname()
	r.gap("host name", err)
	h.Name = name
	v, err := r.l.ConnectGetVersion()
	r.gap("Xen's version", err)
	h.Version = version(v)
	_, memory, cpus, mhz, nodes, _, cores, threads, err := r.l.NodeGetInfo()
	r.gap("host memory", err)
	if err == nil {
		h.Total, h.Granularity = kib(memory), opt.Of(units.KiB(units.PageSize/1024))
		h.CPUs, h.Nodes, h.CoresPerSocket, h.ThreadsPerCore = count(cpus), count(nodes), count(cores), count(threads)
		if mhz > 0 {
			h.MHz = opt.Of(float64(mhz))
		}
	}
	free, err := r.l.NodeGetFreeMemory() // bytes, unlike the others
	r.gap("free memory", err)
	if err == nil {
		h.Free = kib(free / 1024)
	}
}

// version reads major·10⁶ + minor·10³ + release. The Xen driver knows no
// release and says 0; a driver for tests may say anything.
func version(v uint64) xen.Version {
	out := xen.Version{Major: int(v / 1_000_000 % 1000), Minor: int(v / 1000 % 1000)}
	if release := v % 1000; release > 0 && out.Known() {
		out.Extra = fmt.Sprintf(".%d", release)
	}
	return out
}

func count(n int32) opt.Value[int] {
	if n <= 0 {
		return opt.Value[int]{}
	}
	return opt.Of(int(n))
}

// noLimit is what no domain can have: Xen's 2^32−1 pages stand for "no limit".
const noLimit = (1<<32 - 1) * 4

// kib is absent for what cannot be.
func kib(n uint64) opt.Value[units.KiB] {
	if n >= 1<<52 {
		return opt.Value[units.KiB]{}
	}
	return opt.Of(units.KiB(n))
}

// domains reads those that run.
func (r *reader) domains() error {
	list, _, err := r.l.ConnectListAllDomains(1, golibvirt.ConnectListDomainsActive)
	if err != nil {
		return err
	}
	for _, dom := range list {
		if dom.ID < 0 || dom.ID > 1<<16-1 {
			continue // it stopped meanwhile
		}
		d, err := r.domain(dom)
		if golibvirt.IsNotFound(err) {
			continue
		}
		r.gap(fmt.Sprintf("memory of domain %d", dom.ID), err)
		r.snap.Domains = append(r.snap.Domains, d)
	}
	slices.SortFunc(r.snap.Domains, func(a, b xen.Domain) int { return cmp.Compare(a.ID.Or(0), b.ID.Or(0)) })
	return nil
}

func (r *reader) domain(dom golibvirt.Domain) (xen.Domain, error) {
	u := dom.UUID
	d := xen.Domain{
		ID: opt.Of(units.DomID(dom.ID)), Name: domkeys.Name(dom.Name),
		UUID: fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
	}
	state, promised, current, vcpus, cpu, err := r.l.DomainGetInfo(dom)
	if err != nil {
		return d, err
	}
	d.State = stateOf(golibvirt.DomainState(state))
	d.Current = kib(current)
	// Seen on Xen 4.17 with libvirt 9.0: what libvirt calls the maximum is that
	// of its definition, 524,288 KiB where Xen's max_pages was 263,168.
	if promised < noLimit {
		d.StaticMax = kib(promised)
	}
	d.VCPUs = opt.Of(int(vcpus))
	if cpu < 1<<63 {
		d.CPUTime = opt.Of(time.Duration(cpu))
	}
	kind, err := r.l.DomainGetOsType(dom)
	d.Type = typeOf(kind)
	return d, err
}

// stateOf translates: to libvirt a domain runs until it is paused, whether it
// has a CPU at the moment or waits.
func stateOf(s golibvirt.DomainState) xen.State {
	switch s {
	case golibvirt.DomainRunning:
		return xen.State{Running: true}
	case golibvirt.DomainBlocked:
		return xen.State{Blocked: true}
	case golibvirt.DomainPaused:
		return xen.State{Paused: true}
	case golibvirt.DomainShutdown, golibvirt.DomainShutoff:
		return xen.State{Shutdown: true}
	case golibvirt.DomainCrashed:
		return xen.State{Shutdown: true, Crashed: true}
	}
	return xen.State{}
}

// typeOf reads the types of libvirt's Xen driver; a PV guest was "linux" first.
func typeOf(os string) string {
	switch os {
	case "xen", "linux":
		return "pv"
	case "xenpvh":
		return "pvh"
	case "hvm":
		return "hvm"
	}
	return ""
}

// limits tells what this source cannot know.
func (r *reader) limits() {
	r.gap("domains that libvirt did not start", fmt.Errorf(
		"libvirt's Xen driver does not list those that xl or another toolstack started, so that sums over domains may lack them: %w", cause.ErrNotSupported))
	r.gap("limits of domains", fmt.Errorf("libvirt shows the maximum that a domain was promised, not the one that Xen enforces now: %w", cause.ErrNotSupported))
	r.gap("tmem listing", fmt.Errorf("libvirt knows nothing of tmem: %w", cause.ErrNotSupported))
	for i := range r.snap.Gaps {
		if g := &r.snap.Gaps[i]; g.Cause == cause.NotSupported {
			g.Advice = "use --source hypercall or --source xl"
		}
	}
	r.snap.TmemState = tmem.State(r.snap.Host, tmem.ListAnswer{})
}
