package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/kernelbuild"
	"xtm/kernelbuild/kconfig"
)

// Job is one build.
type Job struct {
	Machine
	// Dir is the work folder, absolute: source, objects, journal and, in out,
	// the packages. A build that was interrupted goes on in the same folder.
	Dir     string
	Options kernelbuild.Options
	// Export is the machine that the kernel is for.
	Export kernelbuild.Export
	// Chroot is the other Debian that this runs in, for the record; "" for none.
	Chroot string
	Now    func() time.Time
	// Client fetches from an archive of old versions.
	Client *http.Client
	// Patience is how long to wait where that archive asks to; 0 is 20 s.
	Patience time.Duration
	// Report gets what happens, as it happens; it may be called from several
	// goroutines, one at a time.
	Report func(Event)
}

// Event is something that happened.
type Event struct {
	Phase Phase
	Kind  EventKind
	// Text is a note, or the program that runs.
	Text string
	// Done and Expected count objects; Expected is a guess, 0 where there is none.
	Done, Expected int
	// Elapsed is the time in this phase.
	Elapsed time.Duration
}

// EventKind tells what an Event says.
type EventKind uint8

// The kinds of events.
const (
	Began    EventKind = iota
	Kept               // an earlier run's work still holds
	Noted              // Text is worth reading
	Advanced           // Done and Expected moved
	Ended
)

// Phase names a step of a build.
type Phase string

// The phases, in their order.
const (
	Locate       Phase = "locate"
	Preflight    Phase = "preflight"
	Fetch        Phase = "fetch"
	Scan         Phase = "scan"
	Configure    Phase = "configure"
	VerifyConfig Phase = "verify-config"
	Probe        Phase = "probe"
	Build        Phase = "build"
	PackageCheck Phase = "package-check"
)

// PhaseError is a phase that failed.
type PhaseError struct {
	Phase Phase
	Err   error
	// Findings explain it, where it was a judgement.
	Findings []finding.Finding
	// Failure is the first error in Log, where a program failed.
	Failure *kernelbuild.Failure
	Log     string
}

func (e *PhaseError) Error() string { return fmt.Sprintf("%s: %s", e.Phase, e.Err) }
func (e *PhaseError) Unwrap() error { return e.Err }

// ErrDiffers means that the kernel's own configuration is not what was asked
// for, so nothing was built.
var ErrDiffers = errors.New("the configuration differs from what was asked for")

// session is a run of a job.
type session struct {
	Job
	journal *journal
	builder kernelbuild.Builder
	base    *kconfig.Config
	tree    *kernelbuild.Tree
	plan    kernelbuild.Plan
	record  kernelbuild.Record
}

// Paths in the work folder.
func (s *session) path(names ...string) string {
	return filepath.Join(append([]string{s.Dir}, names...)...)
}
func (s *session) treeDir() string { return s.path("src", "linux") }
func (s *session) out() string     { return s.path("out") }

// Plan tells what Build would do. Nothing is fetched or changed; a tree that the
// user named, or that an earlier run left, is read.
func (j Job) Plan(ctx context.Context) (kernelbuild.Plan, error) {
	s, err := j.open()
	if err != nil {
		return kernelbuild.Plan{}, err
	}
	if err := s.readTree(); err != nil {
		return kernelbuild.Plan{}, err
	}
	err = s.makePlan(ctx)
	return s.plan, err
}

func (j Job) open() (*session, error) {
	s := &session{Job: j}
	if s.Report == nil {
		s.Report = func(Event) {}
	}
	var err error
	if s.base, err = j.Export.Base(); err != nil {
		return nil, fmt.Errorf("%s: %w", j.Export.Target.ConfigPath, err)
	}
	return s, nil
}

// Build carries the job out and returns the record, which also stands beside the
// packages. An error is a *PhaseError where a phase failed; it wraps
// cause.ErrNotSupported where no configuration fulfils the wishes, ErrDiffers
// where this one does not, and ErrBusy where another run is at work.
func (j Job) Build(ctx context.Context) (kernelbuild.Record, error) {
	s, err := j.open()
	if err != nil {
		return kernelbuild.Record{}, err
	}
	if err := os.MkdirAll(s.out(), 0o755); err != nil {
		return kernelbuild.Record{}, fmt.Errorf("make work folder: %w", err)
	}
	held, err := lock(s.Dir)
	if err != nil {
		return kernelbuild.Record{}, err
	}
	defer held.Close() //nolint:errcheck // its contents are of no use any more
	if s.journal, err = openJournal(s.path("journal.json")); err != nil {
		return kernelbuild.Record{}, err
	}
	s.record = kernelbuild.Record{Schema: kernelbuild.RecordSchema, State: kernelbuild.Building, Target: j.Export.Target}
	s.record.Inputs.Chroot = j.Chroot
	chain := ""
	for _, st := range steps() {
		if chain, err = s.step(ctx, st, chain); err != nil {
			s.record.State = kernelbuild.Failed
			return s.record, errors.Join(err, s.saveRecord())
		}
	}
	s.record.State = kernelbuild.Checked
	return s.record, s.saveRecord()
}

// step runs a phase, or keeps what an earlier run did, and returns the hash that
// the next one's inputs begin with.
func (s *session) step(ctx context.Context, st step, chain string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	begin := s.Now()
	old := s.journal.Phases[st.phase]
	var inputs string
	if st.inputs != nil {
		inputs = hashOf(append([]string{chain}, st.inputs(s)...)...)
		if old != nil && old.Done && old.Inputs == inputs && st.holds(s, old.Result) {
			s.Report(Event{Phase: st.phase, Kind: Kept})
			s.record.Phases = append(s.record.Phases, kernelbuild.PhaseTime{Phase: string(st.phase), Begin: old.Begin, Seconds: old.Seconds, Kept: true})
			return hashOf(inputs, old.Begin.String()), nil
		}
	}
	now := &entry{Inputs: inputs, Begin: begin.UTC().Round(0)}
	if st.inputs != nil {
		if old != nil && !old.Done && old.Inputs == inputs {
			s.Report(Event{Phase: st.phase, Kind: Noted, Text: "goes on where it was interrupted"})
			now.Begin = old.Begin
			now.Result = old.Result
		} else if old != nil && old.Inputs != inputs {
			s.Report(Event{Phase: st.phase, Kind: Noted, Text: "its inputs changed: it is done anew"})
		}
		s.journal.Phases[st.phase] = now
		if err := s.journal.save(); err != nil {
			return "", err
		}
	}
	s.Report(Event{Phase: st.phase, Kind: Began})
	result, err := st.run(s, ctx)
	took := s.Now().Sub(begin)
	s.record.Phases = append(s.record.Phases, kernelbuild.PhaseTime{Phase: string(st.phase), Begin: begin.UTC().Round(0), Seconds: took.Round(time.Millisecond).Seconds()})
	if err != nil {
		if _, ok := errors.AsType[*PhaseError](err); !ok {
			err = &PhaseError{Phase: st.phase, Err: err}
		}
		return "", err
	}
	s.Report(Event{Phase: st.phase, Kind: Ended, Elapsed: took})
	if st.inputs == nil {
		return chain, nil
	}
	now.Done, now.Seconds, now.Result = true, took.Seconds(), result
	return hashOf(inputs, now.Begin.String()), s.journal.save()
}

// saveRecord writes what is known so far.
func (s *session) saveRecord() error {
	if s.plan.Names.Release == "" {
		return nil // it failed before it had a name
	}
	return kernelbuild.WriteRecord(hostfs.Host, s.path("out", kernelbuild.RecordName), s.record)
}
