package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"xtm/capture"
	"xtm/internal/cause"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/xl"
)

// autoSource asks the hypervisor, and where that does not work it asks xl, from
// then on: a vendor's Xen may take no hypercall that is known here. A recording
// that lacks some of what is asked today is read through xl too, if it has that.
type autoSource struct {
	seams capture.Seams
	// without is why hypercalls do not work; nil as long as they do, and where
	// there never were any.
	without error
	// tried, where set, is told of each attempt and how long it took.
	tried func(source string, took time.Duration, err error)
}

// Snapshot says in a gap why xl was used. Its error is xl's.
func (s *autoSource) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	var part xen.Snapshot
	if s.seams.Calls != nil && s.without == nil {
		w := &watched{calls: s.seams.Calls, store: s.seams.Store}
		begin := time.Now()
		snap, err := hypercall.New(w, w.asStore(), s.seams.Files).Snapshot(ctx)
		if err == nil {
			part, err = snap, w.lacks
		}
		s.tell("hypercall", begin, err)
		if err == nil || ctx.Err() != nil {
			return snap, err
		}
		s.without = err
	}
	begin := time.Now()
	snap, err := xl.New(s.seams.Run, s.seams.Files).Snapshot(ctx)
	s.tell("xl", begin, err)
	switch {
	case s.without == nil:
		return snap, err
	case err != nil && ctx.Err() == nil && part.Source != "":
		s.without = nil // a part is more than nothing, the next time too
		return part, nil
	case err != nil:
		return snap, neither(err, s.without)
	}
	g := xen.GapOf("hypercalls", s.without)
	g.Why += "; xl was asked instead"
	snap.Gaps = append(snap.Gaps, g)
	return snap, nil
}

func (s *autoSource) tell(source string, begin time.Time, err error) {
	if s.tried != nil {
		s.tried(source, time.Since(begin), err)
	}
}

// neither is the error where xl and hypercalls failed; the kind is xl's.
func neither(xl, calls error) error {
	return fmt.Errorf("%w; nor by hypercalls: %s", xl, calls.Error())
}

// watched remembers the first hypercall that could not be issued, and the first
// key that a recording lacks.
type watched struct {
	calls hypercall.Caller
	store hypercall.Store
	lacks error
}

func (w *watched) Call(ctx context.Context, r *hypercall.Request) (hypercall.Answer, error) {
	a, err := w.calls.Call(ctx, r)
	if err != nil && w.lacks == nil {
		w.lacks = err
	}
	return a, err
}

func (w *watched) Read(ctx context.Context, path string) (string, error) {
	v, err := w.store.Read(ctx, path)
	if errors.Is(err, cause.ErrNoData) && !errors.Is(err, fs.ErrNotExist) && w.lacks == nil {
		w.lacks = err
	}
	return v, err
}

// eachReader is a store that reads many keys at once: a live one, which lacks
// nothing as a recording may.
type eachReader interface {
	ReadEach(ctx context.Context, paths []string) ([]string, []error)
}

// watchedEach is a watched one of those.
type watchedEach struct {
	*watched
	eachReader
}

// asStore is what the hypercall source reads.
func (w *watched) asStore() hypercall.Store {
	if s, ok := w.store.(eachReader); ok {
		return watchedEach{w, s}
	}
	return w
}
