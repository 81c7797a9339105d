package hypercall

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Store is xenstore, as far as a snapshot reads it.
type Store interface {
	// Read returns the value of a key: fs.ErrNotExist where there is none.
	Read(ctx context.Context, path string) (string, error)
}

// Source reads a Xen host from the hypervisor, from xenstore, and from Dom0's
// own files.
type Source struct {
	caller Caller
	store  Store
	files  hostfs.Files
}

// New returns a source; it touches nothing yet.
func New(c Caller, s Store, f hostfs.Files) *Source { return &Source{c, s, f} }

// Probe tells whether this source can work here, at the price of four
// hypercalls: nil is yes, and an error says why not as the function Probe does.
func (s *Source) Probe(ctx context.Context) error {
	_, err := Probe(ctx, s.caller)
	return err
}

// Snapshot reads the host. The error is set only when the hypervisor cannot be
// talked to, or when ctx ended; see Probe. All else that is missing stands in
// Snapshot.Gaps. Its times are those of the hypercalls, so that a replay has
// those of the recording.
func (s *Source) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	h, err := Probe(ctx, s.caller)
	if err != nil {
		return xen.Snapshot{}, err
	}
	r := &reader{ctx: ctx, src: s, hv: h, snap: xen.Snapshot{Source: "hypercall", Host: h.host()}}
	r.dom0()
	domains, err := h.domains(ctx)
	r.gap("domains", err)
	r.snap.Domains = domains
	answer := r.tmem()
	r.xenstore()
	r.console()
	r.snap.TmemState = tmem.State(r.snap.Host, answer)
	r.snap.Begin, r.snap.End = h.begin, h.end
	return r.snap, ctx.Err()
}

// reader reads one snapshot.
type reader struct {
	ctx  context.Context
	src  *Source
	hv   *Hypervisor
	snap xen.Snapshot
}

// gap notes what could not be read; nil is no gap. Where the user has ended the
// run there is nothing to note.
func (r *reader) gap(what string, err error) {
	if err != nil && r.ctx.Err() == nil {
		r.snap.Gaps = append(r.snap.Gaps, xen.GapOf(what, err))
	}
}

// dom0 adds what Dom0's kernel says: "xenhost\n", "4.19.0-tmemlab\n".
func (r *reader) dom0() {
	line := func(what, path string) string {
		b, err := r.src.files.ReadFile(path)
		r.gap(what, err)
		return strings.TrimSpace(string(b))
	}
	r.snap.Host.Name = line("host name", "/proc/sys/kernel/hostname")
	r.snap.Host.Release = line("Dom0's kernel release", "/proc/sys/kernel/osrelease")
}

// tmem reads the listing and what could be given back.
func (r *reader) tmem() tmem.ListAnswer {
	l, at, err := r.hv.Listing(r.ctx, true)
	r.gap("tmem listing", err)
	answer := tmem.ListAnswer{Outcome: outcome(err), Listing: l}
	if err != nil {
		return answer
	}
	r.snap.ListedAt = at
	r.snap.Tmem = opt.Of(answer.Listing)
	freeable, err := r.hv.Freeable(r.ctx)
	r.gap("freeable memory", err)
	if err == nil {
		r.snap.Host.Freeable = opt.Of(freeable.KiB())
	}
	return answer
}

// outcome says in tmem's words how the listing ended.
func outcome(err error) tmem.ListOutcome {
	if err == nil {
		return tmem.ListOK
	}
	r, ok := errors.AsType[*RefusedError](err)
	switch {
	case ok && r.Errno == syscall.ENODEV:
		return tmem.ListNoDevice
	case ok && r.Errno == syscall.ENOSYS:
		return tmem.ListNoCall
	case !ok && errors.Is(err, cause.ErrNotSupported):
		return tmem.ListNotAsked
	default:
		return tmem.ListFailed
	}
}

// console adds what Xen said at boot, and its command line.
func (r *reader) console() {
	if s, err := r.hv.CommandLine(r.ctx); err != nil {
		r.gap("Xen's command line", err)
	} else if s != "" {
		r.snap.Host.CommandLine = opt.Of(s)
	}
	ring, err := r.hv.console(r.ctx)
	r.gap("boot messages", err)
	r.snap.Host.BootMessages = tmem.BootMessages(ring)
	for _, l := range r.snap.Host.BootMessages {
		if _, words, ok := strings.Cut(l, "Command line: "); ok && !r.snap.Host.CommandLine.Has() {
			r.snap.Host.CommandLine = opt.Of(strings.TrimSpace(words))
		}
	}
}
