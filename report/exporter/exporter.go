// Package exporter shows a host's report to Prometheus, by HTTP or as a file
// for node_exporter's textfile collector.
//
// A scrape reads the host once; scrapes that come meanwhile share its reading.
// What could not be told has no sample: a zero would be a claim.
package exporter

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"xtm/report"
	"xtm/xen"

	dto "github.com/prometheus/client_model/go"
)

// Source reads the host. Its error means that nothing could be read.
type Source interface {
	Snapshot(ctx context.Context) (xen.Snapshot, error)
}

// Recorder keeps snapshots for later, as history does.
type Recorder interface {
	Append(ctx context.Context, s xen.Snapshot) error
}

// The defaults of Options.
const (
	DefaultTimeout     = 9 * time.Second // Prometheus' own default is 10 s
	DefaultWindow      = 5 * time.Minute
	DefaultRecordEvery = time.Minute
)

// Options are how an Exporter works. Zero values are defaults.
type Options struct {
	// SourceName is the source's label, where the source does not call Tried.
	SourceName string
	// Version is xtm's own.
	Version    string
	Thresholds report.Thresholds
	// Timeout ends one reading of the host.
	Timeout time.Duration
	// Window is the time that findings look back at least; at most it is twice
	// that. Until an exporter has run so long they look back to its start.
	Window time.Duration
	// Recorder gets a snapshot at most once in RecordEvery; nil keeps none.
	Recorder    Recorder
	RecordEvery time.Duration
	// Log gets what nobody waits for, such as a Recorder's failure.
	Log *slog.Logger
	Now func() time.Time
}

// Exporter turns readings of one host into metrics. Its methods may be called
// from several goroutines.
type Exporter struct {
	source  Source
	o       Options
	scrapes chan struct{} // a place each

	mu     sync.Mutex
	flight *flight
	tries  map[string]try
	// The rest belongs to the reading that is under way, of which there is one.
	older, newer *xen.Snapshot
	held         levels
	recorded     time.Time
	unrecorded   bool // the recorder failed the last time
}

// try is the last attempt to read by one source.
type try struct {
	took time.Duration
	err  error
	at   time.Time
}

// New makes an exporter of a source.
func New(source Source, o Options) *Exporter {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.RecordEvery == 0 {
		o.RecordEvery = DefaultRecordEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Exporter{source: source, o: o, scrapes: make(chan struct{}, maxScrapes), tries: map[string]try{}, held: levels{}}
}

// Tried takes note that a source was asked, how long that took and whether it
// answered. Sources that consist of several call it during Snapshot; for others
// the exporter does.
func (e *Exporter) Tried(source string, took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tries[source] = try{took, err, e.o.Now()}
}

// flight is one reading, for which several scrapes may wait.
type flight struct {
	done     chan struct{}
	families []*dto.MetricFamily
	err      error
}

// read returns the metrics of a reading that ended before ctx did. The error is
// why there is none of the host; what the exporter knows of itself is there all
// the same.
func (e *Exporter) read(ctx context.Context) ([]*dto.MetricFamily, error) {
	begin := e.o.Now()
	e.mu.Lock()
	f := e.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		e.flight = f
		// The reading outlives a scrape that gives up: the next one shares it.
		go e.fly(context.WithoutCancel(ctx), f)
	}
	e.mu.Unlock()
	select {
	case <-f.done:
		return f.families, f.err
	case <-ctx.Done():
		return selfFamilies(e.o.Version, e.late(e.o.Now().Sub(begin))), ctx.Err()
	}
}

// late are the sources of a reading that did not end in time: none answered.
func (e *Exporter) late(waited time.Duration) map[string]try {
	tries := e.attempts()
	if len(tries) == 0 {
		tries[e.o.SourceName] = try{}
	}
	for name := range tries {
		tries[name] = try{took: waited, err: context.DeadlineExceeded}
	}
	return tries
}

// attempts is a copy of the last attempts, by source.
func (e *Exporter) attempts() map[string]try {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.tries)
}

// fly reads the host once.
func (e *Exporter) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	begin := e.o.Now()
	snap, err := e.source.Snapshot(ctx)
	end := e.o.Now()
	if !e.toldSince(begin) {
		e.Tried(e.o.SourceName, end.Sub(begin), err)
	}
	f.err, f.families = err, selfFamilies(e.o.Version, e.attempts())
	if err == nil {
		r := e.compute(snap)
		var own []*dto.MetricFamily
		own, e.held = reportFamilies(&r, e.held)
		f.families = append(f.families, own...)
		e.record(ctx, snap, end)
	}
	e.mu.Lock()
	e.flight = nil
	e.mu.Unlock()
	close(f.done)
}

// toldSince tells whether a source told of an attempt.
func (e *Exporter) toldSince(begin time.Time) bool {
	for _, t := range e.attempts() {
		if !t.at.Before(begin) {
			return true
		}
	}
	return false
}

// compute judges against the snapshot that is at least a window old, where
// there is one, so that a finding that no longer holds goes away.
func (e *Exporter) compute(cur xen.Snapshot) report.Report {
	prev := e.older
	if prev == nil {
		prev = e.newer
	}
	r := report.Compute(prev, cur, e.o.Thresholds)
	if e.newer == nil || cur.End.Sub(e.newer.End) >= e.o.Window {
		e.older, e.newer = e.newer, &cur
	}
	return r
}

// record hands the snapshot to the recorder. Its failure is no scrape's.
func (e *Exporter) record(ctx context.Context, s xen.Snapshot, now time.Time) {
	if e.o.Recorder == nil || !e.recorded.IsZero() && now.Sub(e.recorded) < e.o.RecordEvery {
		return
	}
	e.recorded = now
	err := e.o.Recorder.Append(ctx, s)
	switch {
	case err != nil && !e.unrecorded:
		e.o.Log.Error("history stopped, scrapes go on", "error", err)
	case err == nil && e.unrecorded:
		e.o.Log.Warn("history goes on")
	}
	e.unrecorded = err != nil
}
