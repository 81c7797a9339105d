// Package xl reads a Xen host through the programs of its own toolstack: xl,
// xentop and xenstore-ls. It needs no library of Xen's and works from 4.1 on.
//
// Each program has a file with a parser of its own. What a program cannot say
// becomes a gap of the snapshot, not its end. They run one after the other, for
// Dom0 often has one CPU, and those whose figures are added up first, side by
// side.
package xl

import (
	"context"
	"errors"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/xentop"
)

// Source reads the host that its two seams lead to: the running one, or a
// capture.
type Source struct {
	run   run.Func
	files hostfs.Files
}

// New returns a source; it touches nothing yet.
func New(run run.Func, files hostfs.Files) *Source { return &Source{run, files} }

// Snapshot reads the host. The error is set only when neither xl nor xentop
// could be read, or when ctx ended: cause.ErrNotSupported where this is no
// Dom0, cause.ErrNeedsRoot, cause.ErrNoData where they are not installed. All
// else that is missing stands in Snapshot.Gaps.
//
// xl list decides which domains there are. One that xentop does not show, being
// torn down or without a name, is kept with the whole MiB that xl list has for
// it, for its memory is taken all the same; one that only xentop shows was made
// in between and is kept without a number.
func (s *Source) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	if err := s.dom0(); err != nil {
		return xen.Snapshot{}, err
	}
	r := &reader{ctx: ctx, src: s, snap: xen.Snapshot{Source: "xl"}}
	list, errList := r.list()
	errInfo := r.info()
	top, errTop := read(r, xentopCmd, xentop.ParseBatch)
	if errList != nil && errInfo != nil && errTop != nil {
		return xen.Snapshot{}, s.explain(mostTelling(errInfo, errList, errTop))
	}
	r.gap("host memory", errInfo)
	r.gap("domain numbers", errList)
	r.gap("limits and exact memory of domains", errTop)
	var gaps []xen.Gap
	r.snap.Domains, gaps = join(list, errList == nil, top, errTop == nil)
	r.snap.Gaps = append(r.snap.Gaps, gaps...)
	answer := r.tmem()
	r.uptime()
	r.dmesg()
	r.config()
	r.xenstore()
	r.state(answer)
	return r.snap, ctx.Err()
}

// Probe tells whether this source can work here, at the price of one xl info:
// nil is yes, an error that wraps cause.ErrNotSupported, cause.ErrNeedsRoot or
// cause.ErrNoData is no, with its reason, and any other is "could not tell".
func (s *Source) Probe(ctx context.Context) error {
	if err := s.dom0(); err != nil {
		return err
	}
	r := &reader{ctx: ctx, src: s}
	if err := r.info(); err != nil {
		return s.explain(err)
	}
	return nil
}

// The commands. Captures are replayed by these very words.
var (
	listVerboseCmd = run.Cmd{Name: "xl", Args: []string{"list", "-v"}}
	listCmd        = run.Cmd{Name: "xl", Args: []string{"list"}}
	infoCmd        = run.Cmd{Name: "xl", Args: []string{"info"}}
	xentopCmd      = run.Cmd{Name: "xentop", Args: []string{"-b", "-f", "-i", "1"}}
	uptimeCmd      = run.Cmd{Name: "xl", Args: []string{"uptime"}}
	dmesgCmd       = run.Cmd{Name: "xl", Args: []string{"dmesg"}}
	// xl list -l asks QEMU and xenstore for each device: 15 s for five domains
	// under emulation.
	configCmd = run.Cmd{Name: "xl", Args: []string{"list", "-l"}, Timeout: 40 * time.Second, MaxOutput: 32 << 20}
)

// reader reads one snapshot.
type reader struct {
	ctx  context.Context
	src  *Source
	snap xen.Snapshot
}

// output runs a command and returns what it printed. The snapshot's times are
// the commands' own, so that a replay has those of the recording.
func (r *reader) output(c run.Cmd) (run.Result, error) {
	res, err := r.src.run(r.ctx, c)
	if !res.Start.IsZero() {
		if end := res.Start.Add(res.Duration); end.After(r.snap.End) {
			r.snap.End = end
		}
		if r.snap.Begin.IsZero() || res.Start.Before(r.snap.Begin) {
			r.snap.Begin = res.Start
		}
	}
	if err == nil {
		err = failure(c, res)
	}
	return res, err
}

// read runs a command and parses its output.
func read[T any](r *reader, c run.Cmd, parse func([]byte) (T, error)) (T, error) {
	res, err := r.output(c)
	if err != nil {
		var none T
		return none, err
	}
	v, err := parse(res.Stdout)
	if err != nil {
		return v, &parseError{c.String(), err}
	}
	return v, nil
}

// gap notes what could not be read; nil is no gap. Where the user has ended the
// run there is nothing to note.
func (r *reader) gap(what string, err error) {
	if err == nil || r.ctx.Err() != nil {
		return
	}
	g := xen.GapOf(what, err)
	if h, ok := errors.AsType[interface {
		error
		Hints() []string
	}](err); ok && len(h.Hints()) > 0 {
		g.Advice = h.Hints()[0]
	}
	r.snap.Gaps = append(r.snap.Gaps, g)
}

// uptime adds how long each domain has run.
func (r *reader) uptime() {
	up, err := read(r, uptimeCmd, parseUptime)
	r.gap("uptime", err)
	r.each(func(d *xen.Domain, id int) {
		if t, ok := up[id]; ok {
			d.Uptime = t
		}
	})
}

// each visits the domains whose numbers are known.
func (r *reader) each(visit func(d *xen.Domain, id int)) {
	for i := range r.snap.Domains {
		if id, ok := r.snap.Domains[i].ID.Get(); ok {
			visit(&r.snap.Domains[i], int(id))
		}
	}
}
