package capture

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// look is one question about a path, asked in one of the four ways of
// hostfs.Files.
type look struct{ path, way string }

// The ways, as root.tsv names them.
const (
	wayRead   = "read"
	wayList   = "list"
	wayLink   = "link"
	wayExists = "exists"
)

// clean is the form of a path under which it is remembered.
func clean(p string) string { return path.Clean("/" + p) }

// answer is what a look saw; the field that the way fills, or a failure.
type answer struct {
	data    []byte
	names   []string
	target  string
	exists  bool
	failure failure
}

// failure is an error in a form that can be written down: the word for what
// programs test with errors.Is, and the text for people. The zero value is no
// failure.
type failure struct {
	word string // "ENOENT", "timeout", "failed", …
	op   string // of an fs.PathError: "open", "read", "stat", "readlink"
	text string // where there is no op
}

// sentinels are the errors that callers ask for, by the words that stand in the
// tables. The first that holds is recorded.
var sentinels = []struct {
	word string
	err  error
}{
	{"timeout", context.DeadlineExceeded},
	{"canceled", context.Canceled},
	{"too_much_output", run.ErrTooMuchOutput},
	{"too_large", hostfs.ErrTooLarge},
	{"not_supported", cause.ErrNotSupported},
	{"needs_root", cause.ErrNeedsRoot},
	{"no_data", cause.ErrNoData},
	{"absent", fs.ErrNotExist},
	{"denied", fs.ErrPermission},
}

// unrecognized is the word for errors that no caller tells apart.
const unrecognized = "failed"

// failureOf writes an error down.
func failureOf(err error) failure {
	if err == nil {
		return failure{}
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Op != "" {
		if no, ok := errors.AsType[syscall.Errno](pe.Err); ok && unix.ErrnoName(no) != "" {
			return failure{word: unix.ErrnoName(no), op: pe.Op}
		}
	}
	return worded(err)
}

// worded writes an error down by its text.
func worded(err error) failure {
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return failure{word: s.word, text: err.Error()}
		}
	}
	return failure{word: unrecognized, text: err.Error()}
}

// failureAt is failureOf for what may fail elsewhere than at the path: on the
// way to xenstore, or at the device of hypercalls.
func failureAt(path string, err error) failure {
	if f := failureOf(err); f.op == "" || f.err(path).Error() == err.Error() {
		return f
	}
	return worded(err)
}

// err is the error again: equal in text, and for errors.Is.
func (f failure) err(path string) error {
	switch {
	case f == failure{}:
		return nil
	case f.op != "":
		return &fs.PathError{Op: f.op, Path: path, Err: errnoOf(f.word)}
	}
	for _, s := range sentinels {
		if s.word == f.word {
			return &recordedError{f.text, s.err}
		}
	}
	return errors.New(f.text)
}

// recordedError has the text of an error that happened elsewhere.
type recordedError struct {
	text string
	is   error
}

func (e *recordedError) Error() string { return e.text }
func (e *recordedError) Unwrap() error { return e.is }

// errnoOf is the error of a name such as "ENOENT".
func errnoOf(name string) error {
	// Linux numbers its errors up to 133 (asm-generic/errno.h).
	for no := syscall.Errno(1); no < 160; no++ {
		if unix.ErrnoName(no) == name {
			return no
		}
	}
	return errors.New(name)
}

// below tells whether a path lies in a folder, at any depth.
func below(p, dir string) bool {
	return strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
