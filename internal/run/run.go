// Package run is the only place that starts other programs.
package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cmd is a program to run. Its environment is LC_ALL=C and what Env adds to
// the environment that New was given. A name without a slash is looked up in
// that environment's PATH, then where administrators' programs live.
type Cmd struct {
	Name  string
	Args  []string
	Stdin []byte
	Env   []string // KEY=value, appended
	Dir   string
	// Timeout ends the program; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxOutput bounds stdout and stderr each, in bytes; 0 is DefaultMaxOutput.
	// A program that writes more has failed with ErrTooMuchOutput.
	MaxOutput int
	// Stream, where set, gets stdout and stderr as they come, beside the Result.
	Stream io.Writer
}

// The defaults of Cmd. xl in a loaded Dom0 was seen to need 15 s.
const (
	DefaultTimeout   = 60 * time.Second
	DefaultMaxOutput = 16 << 20
)

// ErrTooMuchOutput means that a program wrote more than Cmd.MaxOutput.
var ErrTooMuchOutput = errors.New("too much output")

// Argv is the program and its arguments.
func (c Cmd) Argv() []string { return append([]string{c.Name}, c.Args...) }

// String is the command line as a person would type it.
func (c Cmd) String() string {
	q := make([]string, 0, len(c.Args)+1)
	for _, a := range c.Argv() {
		q = append(q, Quote(a))
	}
	return strings.Join(q, " ")
}

// Quote writes one word for a POSIX shell, plain where it can be.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Result is what a program did. A non-zero exit code is not an error of Func:
// some programs of Xen's say 0 when they failed and others 255 when they had
// little to say, so callers judge.
type Result struct {
	Stdout, Stderr []byte
	ExitCode       int
	Start          time.Time
	Duration       time.Duration
}

// Func runs a program. The error is set only when the program is not installed
// (cause.ErrNoData), could not be started (fs.ErrPermission and the like),
// wrote too much, or was ended by a signal, the context or its timeout.
type Func func(ctx context.Context, c Cmd) (Result, error)

// Checked runs a program that has to succeed: a non-zero exit code is an
// *ExitError.
func (f Func) Checked(ctx context.Context, c Cmd) (Result, error) {
	r, err := f(ctx, c)
	if err == nil {
		err = r.Check(c)
	}
	return r, err
}

// ExitError is a program's own failure.
type ExitError struct {
	Cmd    string
	Code   int
	Stderr string // its last lines
}

func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("run %s: exit status %d", e.Cmd, e.Code)
	}
	return fmt.Sprintf("run %s: exit status %d: %s", e.Cmd, e.Code, e.Stderr)
}

// Check turns a non-zero exit code into an *ExitError.
func (r Result) Check(c Cmd) error {
	if r.ExitCode == 0 {
		return nil
	}
	return &ExitError{c.String(), r.ExitCode, LastLines(r.Stderr, 3)}
}

// LastLines joins the last n non-empty lines with "; ".
func LastLines(b []byte, n int) string {
	var lines []string
	for l := range strings.SplitSeq(string(b), "\n") {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

// New returns a Func that starts real programs with this environment.
func New(environ []string) Func {
	return func(ctx context.Context, c Cmd) (Result, error) {
		timeout, limit := c.Timeout, c.MaxOutput
		if timeout == 0 {
			timeout = DefaultTimeout
		}
		if limit == 0 {
			limit = DefaultMaxOutput
		}
		env := append(append(slices.Clone(environ), "LC_ALL=C"), c.Env...)
		path := searchPath(env)
		start := time.Now()
		file, err := find(c.Name, path)
		if err != nil {
			return Result{Start: start, ExitCode: -1}, fmt.Errorf("run %s: %w", c, err)
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var streaming sync.Mutex
		out := &bounded{limit: limit, also: c.Stream, lock: &streaming, stop: cancel}
		errw := &bounded{limit: limit, also: c.Stream, lock: &streaming, stop: cancel}
		cmd := exec.CommandContext(ctx, file)
		cmd.Args = c.Argv()
		cmd.Env = append(env, "PATH="+strings.Join(path, ":"))
		cmd.Dir = c.Dir
		cmd.Stdin = bytes.NewReader(c.Stdin)
		cmd.Stdout, cmd.Stderr = out, errw
		cmd.WaitDelay = 2 * time.Second
		err = cmd.Run()
		r := Result{out.buf.Bytes(), errw.buf.Bytes(), cmd.ProcessState.ExitCode(), start, time.Since(start)}
		_, exited := errors.AsType[*exec.ExitError](err)
		switch {
		case out.over || errw.over:
			return r, fmt.Errorf("run %s: more than %d bytes: %w", c, limit, ErrTooMuchOutput)
		case out.failed != nil || errw.failed != nil:
			return r, fmt.Errorf("run %s: pass its output on: %w", c, errors.Join(out.failed, errw.failed))
		case ctx.Err() != nil && err != nil:
			return r, fmt.Errorf("run %s: after %s: %w", c, r.Duration.Round(time.Millisecond), ctx.Err())
		case err == nil, exited && r.ExitCode >= 0:
			return r, nil
		case errors.Is(err, exec.ErrWaitDelay):
			return r, nil // it ended well; a child of its own keeps the pipe open
		default:
			return r, fmt.Errorf("run %s: %w", c, err)
		}
	}
}

// bounded keeps the first limit bytes and stops the program at the next.
type bounded struct {
	buf    bytes.Buffer
	limit  int
	over   bool
	also   io.Writer
	failed error       // of also
	lock   *sync.Mutex // stdout and stderr share also
	stop   func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.also != nil {
		b.lock.Lock()
		_, b.failed = b.also.Write(p)
		b.lock.Unlock()
		if b.failed != nil {
			b.stop()
			return 0, b.failed
		}
	}
	if room := b.limit - b.buf.Len(); len(p) > room {
		b.buf.Write(p[:room])
		b.over = true
		b.stop()
		return room, ErrTooMuchOutput
	}
	return b.buf.Write(p)
}
