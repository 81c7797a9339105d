// Package cause names why something could not be had. Every layer wraps these
// with %w, so that a command can turn them into an exit code and a report into
// a word.
package cause

import (
	"context"
	"errors"
	"io/fs"
)

var (
	// ErrNotSupported is conclusive: this machine, release or build lacks it.
	ErrNotSupported = errors.New("not supported here")
	// ErrNoData means that there is nothing to read, which is not a failure.
	ErrNoData = errors.New("no data")
	// ErrNeedsRoot means that the caller lacks a privilege.
	ErrNeedsRoot = errors.New("needs root")
	// ErrNotRestored is joined to the error of a change that failed and could not
	// be undone either.
	ErrNotRestored = errors.New("not everything could be restored")
)

// Word is the machine-readable kind of an error in JSON and metrics.
type Word string

// The words. "" is no error at all.
const (
	NotSupported Word = "not_supported"
	NoData       Word = "no_data"
	NeedsRoot    Word = "needs_root"
	Timeout      Word = "timeout"
	Failed       Word = "failed"
)

// Of classifies an error. fs.ErrNotExist counts as no data and
// fs.ErrPermission as a missing privilege, so that plain file errors need no
// wrapping; what is not recognised has failed.
func Of(err error) Word {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNotSupported):
		return NotSupported
	case errors.Is(err, ErrNeedsRoot), errors.Is(err, fs.ErrPermission):
		return NeedsRoot
	case errors.Is(err, ErrNoData), errors.Is(err, fs.ErrNotExist):
		return NoData
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	default:
		return Failed
	}
}
