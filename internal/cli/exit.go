package cli

import (
	"context"
	"errors"

	"xtm/internal/cause"
	"xtm/internal/render"
)

// The exit codes, the same for every command.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitProblems     = 3
	exitNotSupported = 4
	exitNeedsRoot    = 5
	exitPartly       = 6
	exitInterrupted  = 130
)

// exitHelp stands in every command's help.
const exitHelp = `EXIT CODES:
   0 done   1 failed   2 usage   3 the check found problems   4 not supported here
   5 needs root   6 partly applied   130 interrupted`

// exitError gives an outcome its code. Without an error it is a result that
// needs no words, such as problems found.
type exitError struct {
	code  int
	err   error
	hints []string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error   { return e.err }
func (e *exitError) Hints() []string { return e.hints }

// usageError is a command line that makes no sense.
type usageError struct {
	msg   string
	hints []string
}

func (e *usageError) Error() string   { return e.msg }
func (e *usageError) Hints() []string { return e.hints }

// hinter is an error that knows what to do next.
type hinter interface {
	error
	Hints() []string
}

// exitCode maps an error to its code.
func exitCode(err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case cause.Of(err) == cause.NeedsRoot:
		return exitNeedsRoot
	case errors.Is(err, cause.ErrNotSupported):
		return exitNotSupported
	default:
		return exitFailed
	}
}

// explainRefusal gives a refusal its exit code.
func explainRefusal(err error) error {
	r, ok := errors.AsType[*cause.RefusalError](err)
	if !ok {
		return err
	}
	code := map[cause.Kind]int{cause.Impossible: exitNotSupported, cause.Unsaid: exitUsage, cause.Blocked: exitFailed}[r.Kind]
	hints := make([]string, len(r.Ways))
	for i, w := range r.Ways {
		hints[i] = render.Escape(w)
	}
	return &exitError{code, errors.New(render.Escape(r.Error())), hints}
}
