package capture

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"xtm/internal/run"
)

// Recorder hands out seams and keeps what is read and run through them.
type Recorder struct {
	under Seams
	meta  Meta

	mu    sync.Mutex
	runs  []*ran // nil results are still running
	looks map[look]answer
	calls []called
	keys  map[string]kept
}

// Record starts a recording of what is read through the recorder's own seams.
// Of m the caller gives XTM, Role, Begin and Recorded; where the seams are those
// of a capture, its whole Meta.
func Record(under Seams, m Meta) *Recorder {
	m.Schema = Schema
	return &Recorder{under: under, meta: m, looks: map[look]answer{}, keys: map[string]kept{}}
}

// Seams are the recorded seams. They may be used by several goroutines.
func (r *Recorder) Seams() Seams {
	s := Seams{Files: recordedFiles{r}, Run: r.run}
	if r.under.Calls != nil {
		s.Calls = recordedCalls{r}
	}
	if r.under.Store != nil {
		s.Store = recordedStore{r}
	}
	return s
}

// run is a run.Func. Times lose their zone and their monotonic part, so that a
// source computes the same figures now and from the capture.
func (r *Recorder) run(ctx context.Context, c run.Cmd) (run.Result, error) {
	slot := &ran{argv: c.Argv()}
	r.mu.Lock()
	at := len(r.runs)
	r.runs = append(r.runs, nil)
	r.mu.Unlock()

	res, err := r.under.Run(ctx, c)
	res.Start = res.Start.UTC().Round(0)
	slot.result, slot.failure = res, failureOf(err)
	slot.result.Stdout = slices.Clone(res.Stdout)
	slot.result.Stderr = slices.Clone(res.Stderr)

	r.mu.Lock()
	r.runs[at] = slot
	r.mu.Unlock()
	return res, err
}

// hasRun tells whether a program was run with these arguments.
func (r *Recorder) hasRun(argv []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.runs, func(x *ran) bool { return x != nil && slices.Equal(x.argv, argv) })
}

// look answers from what is recorded, else asks and records.
func (r *Recorder) look(path, way string, ask func() (answer, error)) answer {
	key := look{clean(path), way}
	r.mu.Lock()
	a, seen := r.looks[key]
	r.mu.Unlock()
	if seen {
		return a
	}
	a, err := ask()
	a.failure = failureOf(err)
	if err != nil {
		a = answer{failure: a.failure}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, seen := r.looks[key]; seen {
		return first
	}
	if key.path == "/" || fs.ValidPath(key.path[1:]) {
		r.looks[key] = a
	}
	return a
}

// recordedFiles is a recorder as hostfs.Files.
type recordedFiles struct{ *Recorder }

func (r recordedFiles) ReadFile(path string) ([]byte, error) {
	a := r.look(path, wayRead, func() (a answer, err error) {
		a.data, err = r.under.Files.ReadFile(path)
		return a, err
	})
	return slices.Clone(a.data), a.failure.err(clean(path))
}

func (r recordedFiles) ReadDir(path string) ([]string, error) {
	a := r.look(path, wayList, func() (a answer, err error) {
		a.names, err = r.under.Files.ReadDir(path)
		return a, err
	})
	return slices.Clone(a.names), a.failure.err(clean(path))
}

func (r recordedFiles) Readlink(path string) (string, error) {
	a := r.look(path, wayLink, func() (a answer, err error) {
		a.target, err = r.under.Files.Readlink(path)
		return a, err
	})
	return a.target, a.failure.err(clean(path))
}

func (r recordedFiles) Exists(path string) (bool, error) {
	a := r.look(path, wayExists, func() (a answer, err error) {
		a.exists, err = r.under.Files.Exists(path)
		return a, err
	})
	return a.exists, a.failure.err(clean(path))
}

// Options say what Capture does to the recording.
type Options struct {
	// Redact replaces names, uuids and addresses with pseudonyms. Hypercalls are
	// left out where a tmem listing has shared pools.
	Redact bool
}

// Capture closes the recording: secrets are always scrubbed, xenstore is
// filtered, and names are replaced where that is asked for. Programs that are
// still running are left out.
func (r *Recorder) Capture(end time.Time, o Options) *Capture {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &Capture{Meta: r.meta, looks: maps.Clone(r.looks), calls: slices.Clone(r.calls), keys: maps.Clone(r.keys)}
	c.Meta.Begin, c.Meta.End = c.Meta.Begin.UTC().Round(0), end.UTC().Round(0)
	for _, x := range r.runs {
		if x != nil {
			c.runs = append(c.runs, *x)
		}
	}
	c.scrub()
	if o.Redact {
		c.redact()
	}
	return c
}
