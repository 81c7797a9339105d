// Package saved reads single files that somebody kept of a host: a screen of
// interactive xentop, or the text of xl tmem-list. They are one package because
// a user names a file and not its kind: Detect tells.
//
// Such a file lacks much that a live source has. What it lacks are gaps of the
// snapshot.
package saved

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/xentop"
)

// Kind is what a file holds.
type Kind string

// The kinds; each is also the Source of its snapshots.
const (
	Screen  Kind = "screen"
	Listing Kind = "listing"
)

// maxSize bounds a file: 1,000 domains with three pools each list in 0.6 MiB.
const maxSize = 4 << 20

// ErrUnknown means that a file is of no kind that is accepted.
var ErrUnknown = errors.New("accepted are: a capture (a folder or .tar.gz of xtm capture), " +
	"the text of xl tmem-list [-l] -a, and a screen of interactive xentop saved as text")

// looksLike are the marks of texts that people try, and what to do instead.
var looksLike = []struct{ mark, what string }{
	{"<!DOCTYPE", "an HTML page: save its text only"},
	{"<html", "an HTML page: save its text only"},
	{" STATE   CPU(sec)", "the table of xentop -b, which lacks the host's memory and everything of tmem: run xtm capture instead"},
	{"total tmem ops=", "the output of xen-tmem-list-parse: keep its input, xl tmem-list -l -a, instead"},
	{"Name                                        ID   Mem", "the output of xl list: run xtm capture instead"},
	{"xen_version            :", "the output of xl info: run xtm capture instead"},
}

// Detect tells which kind of file this is. Its error wraps ErrUnknown, or is
// xentop.ErrRecording.
func Detect(b []byte) (Kind, error) {
	text := append([]byte("\n"), b[:min(len(b), maxSize)]...)
	switch {
	case len(b) > maxSize:
		return "", fmt.Errorf("this has more than %d MiB: %w", maxSize>>20, ErrUnknown)
	case bytes.Contains(text, []byte("\nG=Tt:")), bytes.Contains(text, []byte("\nC=CI:")):
		return Listing, nil
	case bytes.Contains(text, []byte("xentop - ")) && bytes.IndexByte(b, 0x1b) >= 0:
		return "", xentop.ErrRecording
	case bytes.Contains(text, []byte("\nxentop - ")):
		return Screen, nil
	case len(bytes.TrimSpace(b)) == 0:
		return "", fmt.Errorf("this is empty: %w", ErrUnknown)
	}
	for _, l := range looksLike {
		if bytes.Contains(text, []byte(l.mark)) {
			return "", fmt.Errorf("this looks like %s; %w", l.what, ErrUnknown)
		}
	}
	return "", fmt.Errorf("no kind of file that is known: %w", ErrUnknown)
}

// Source is a file that was read.
type Source struct{ snap xen.Snapshot }

// Open reads a file of either kind. The name says where it was recorded.
func Open(name string, b []byte) (*Source, error) {
	kind, err := Detect(b)
	if err == nil {
		var snap xen.Snapshot
		if kind == Screen {
			snap, err = screen(b)
		} else {
			snap, err = listing(b)
		}
		if err == nil {
			snap.Source, snap.Recorded = string(kind), name
			return &Source{snap}, nil
		}
	}
	return nil, fmt.Errorf("open %s: %w", name, err)
}

// Snapshot returns what the file holds. Its times are unknown: a listing has
// none, a screen no date.
func (s *Source) Snapshot(context.Context) (xen.Snapshot, error) { return s.snap, nil }

// Advice behind the gaps.
const (
	adviceCapture = "run xtm capture on the host: it keeps all that a report needs"
	adviceKeyT    = "press t in xentop, then save the screen again"
)

func gap(what, why, advice string) xen.Gap {
	return xen.Gap{What: what, Why: why, Cause: cause.NoData, Advice: advice}
}

// screen makes a snapshot of a xentop screen. Domains have no numbers there, so
// that tmem's clients are tied to them by position.
func screen(b []byte) (xen.Snapshot, error) {
	s, err := xentop.ParseScreen(b)
	if err != nil {
		return xen.Snapshot{}, err
	}
	snap := xen.Snapshot{Host: s.Host, Domains: s.Domains}
	if s.Hidden > 0 {
		snap.Gaps = append(snap.Gaps, gap(fmt.Sprintf("%d of %d domains", s.Hidden, s.Hidden+len(s.Domains)),
			"the screen was too short to show them", "save the screen of a higher terminal"))
	}
	if len(s.Clients) > 0 {
		snap.Tmem = opt.Of(xen.Listing{Clients: s.Clients, TotalsOnly: true})
		snap.Gaps = append(snap.Gaps, gap("attempted puts and gets", "a xentop screen counts successes only", adviceCapture))
		snap.TmemState = xen.TmemState{Answer: xen.TmemOn, Evidence: fmt.Sprintf("xentop shows Tmem lines with figures for %d domains", len(s.Clients))}
		return snap, nil
	}
	snap.TmemState = tmem.State(s.Host, tmem.ListAnswer{})
	if freeable, ok := s.Host.Freeable.Get(); ok {
		snap.TmemState = xen.TmemState{Answer: xen.TmemOn, Evidence: fmt.Sprintf("xentop shows %d KiB freeable, which only tmem has", freeable)}
	}
	if snap.TmemState.Answer == xen.TmemRemoved {
		snap.Gaps = append(snap.Gaps, xen.Gap{What: "tmem listing", Why: snap.TmemState.Evidence, Cause: cause.NotSupported})
	} else {
		snap.Gaps = append(snap.Gaps, gap("tmem listing", "the screen has no Tmem lines: they were not switched on, or no domain has any figure", adviceKeyT))
	}
	return snap, nil
}

// listing makes a snapshot of a tmem listing, whose clients are domains known by
// number only. What a terminal showed before it is passed over; its lines count.
func listing(b []byte) (xen.Snapshot, error) {
	text := append([]byte("\n"), b...)
	start := bytes.Index(text, []byte("\nG=Tt:"))
	if start < 0 {
		start = bytes.Index(text, []byte("\nC=CI:"))
	}
	before := bytes.Count(b[:start], []byte("\n"))
	l, err := tmem.ParseBytes(append(bytes.Repeat([]byte("\n"), before), b[start:]...))
	if err != nil {
		return xen.Snapshot{}, err
	}
	snap := xen.Snapshot{
		Tmem:      opt.Of(l),
		TmemState: tmem.State(xen.Host{}, tmem.ListAnswer{Outcome: tmem.ListOK, Listing: l}),
		Gaps:      []xen.Gap{gap("memory of the host and of domains, their names", "a tmem listing has none of it", adviceCapture)},
	}
	snap.Domains = make([]xen.Domain, 0, len(l.Clients))
	for _, c := range l.Clients {
		snap.Domains = append(snap.Domains, xen.Domain{ID: opt.Of(c.ID)})
	}
	slices.SortFunc(snap.Domains, func(a, b xen.Domain) int { return cmp.Compare(a.ID.Or(0), b.ID.Or(0)) })
	return snap, nil
}
