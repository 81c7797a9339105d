// Package runtest is a run.Func for tests: scripted answers, no programs.
package runtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
)

// Answer is what one command line does.
type Answer struct {
	Stdout, Stderr string
	ExitCode       int
	// Takes is how long it runs on the fake's clock; 0 is a second.
	Takes time.Duration
	// Err is returned beside the Result, as when the program is not installed.
	Err error
}

// Fake answers command lines from a script. Its clock moves only while a
// command runs, so that its results are the same each time.
type Fake struct {
	mu       sync.Mutex
	now      time.Time
	answers  map[string]Answer
	missing  map[string]bool
	fallback func(run.Cmd) (Answer, bool)
	calls    []string
}

// New returns a fake whose first command starts at this time.
func New(start time.Time) *Fake {
	return &Fake{now: start, answers: map[string]Answer{}, missing: map[string]bool{}}
}

// On scripts the answer to a command line, written as Cmd.String has it.
func (f *Fake) On(line string, a Answer) *Fake {
	f.answers[line] = a
	return f
}

// Lacks makes programs look as if they were not installed.
func (f *Fake) Lacks(programs ...string) *Fake {
	for _, p := range programs {
		f.missing[p] = true
	}
	return f
}

// Else scripts what On does not have; false is no answer.
func (f *Fake) Else(answer func(run.Cmd) (Answer, bool)) *Fake {
	f.fallback = answer
	return f
}

// Calls are the command lines so far, in order.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Run is the run.Func. A command line that was not scripted is an error that
// names it.
func (f *Fake) Run(ctx context.Context, c run.Cmd) (run.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := c.String()
	f.calls = append(f.calls, line)
	r := run.Result{Start: f.now, ExitCode: -1}
	if err := ctx.Err(); err != nil {
		return r, fmt.Errorf("run %s: %w", line, err)
	}
	if f.missing[c.Name] {
		return r, fmt.Errorf("run %s: not installed or not in PATH: %w", line, cause.ErrNoData)
	}
	a, ok := f.answers[line]
	if !ok && f.fallback != nil {
		a, ok = f.fallback(c)
	}
	if !ok {
		return r, fmt.Errorf("runtest: no answer is scripted for %q", line)
	}
	if a.Takes == 0 {
		a.Takes = time.Second
	}
	f.now = f.now.Add(a.Takes)
	r.Stdout, r.Stderr, r.ExitCode, r.Duration = []byte(a.Stdout), []byte(a.Stderr), a.ExitCode, a.Takes
	if c.Stream != nil {
		if _, err := fmt.Fprint(c.Stream, a.Stdout, a.Stderr); err != nil {
			return r, fmt.Errorf("run %s: pass its output on: %w", line, err)
		}
	}
	return r, a.Err
}
