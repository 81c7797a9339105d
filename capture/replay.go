package capture

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"xtm/internal/cause"
	"xtm/internal/run"
)

// Seams give back what was recorded. Each call starts the results of programs
// and hypercalls from the first again. What was not recorded is an error that names it and
// wraps cause.ErrNoData.
func (c *Capture) Seams() Seams {
	r := &replay{results: map[string][]ran{}}
	for _, x := range c.runs {
		key := argvKey(x.argv)
		r.results[key] = append(r.results[key], x)
	}
	s := Seams{Files: replayedFiles(c.looks), Run: r.run}
	if len(c.calls) > 0 {
		s.Calls = replayCalls(c.calls)
	}
	if len(c.calls)+len(c.keys) > 0 {
		s.Store = replayedStore(c.keys)
	}
	return s
}

// absence is the error for what a capture does not hold.
func absence(what string) error {
	return fmt.Errorf("not in this capture: %s: %w", what, cause.ErrNoData)
}

// argvKey joins arguments; none can hold a NUL.
func argvKey(argv []string) string { return strings.Join(argv, "\x00") }

// replay is the place that a run has reached.
type replay struct {
	mu      sync.Mutex
	results map[string][]ran // the last one stays
}

func (r *replay) run(ctx context.Context, c run.Cmd) (run.Result, error) {
	if err := ctx.Err(); err != nil {
		return run.Result{}, fmt.Errorf("run %s: %w", c, err)
	}
	key := argvKey(c.Argv())
	r.mu.Lock()
	rest := r.results[key]
	if len(rest) > 1 {
		r.results[key] = rest[1:]
	}
	r.mu.Unlock()
	if len(rest) == 0 {
		return run.Result{}, absence(c.String())
	}
	res := rest[0].result
	res.Stdout, res.Stderr = slices.Clone(res.Stdout), slices.Clone(res.Stderr)
	if c.Stream != nil {
		for _, b := range [][]byte{res.Stdout, res.Stderr} {
			if _, err := c.Stream.Write(b); err != nil {
				return res, fmt.Errorf("run %s: %w", c, err)
			}
		}
	}
	return res, rest[0].failure.err(c.Name)
}

// replayedFiles are the recorded looks as hostfs.Files.
type replayedFiles map[look]answer

func (f replayedFiles) ReadFile(path string) ([]byte, error) {
	a := f.look(path, wayRead, "open")
	return slices.Clone(a.data), a.err
}

func (f replayedFiles) ReadDir(path string) ([]string, error) {
	a := f.look(path, wayList, "open")
	return slices.Clone(a.names), a.err
}

func (f replayedFiles) Readlink(path string) (string, error) {
	a := f.look(path, wayLink, "readlink")
	return a.target, a.err
}

func (f replayedFiles) Exists(path string) (bool, error) {
	a := f.look(path, wayExists, "stat")
	return a.exists, a.err
}

// found is an answer with its error.
type found struct {
	answer
	err error
}

// look answers what was asked while recording, and what follows from other
// answers: a later xtm may ask in another way.
func (f replayedFiles) look(name, way, op string) found {
	p := clean(name)
	if a, ok := f[look{p, way}]; ok {
		return found{a, a.failure.err(p)}
	}
	switch {
	case way == wayExists && f.wasRead(p):
		return found{answer: answer{exists: true}}
	case f.wasAbsent(p) && way == wayExists:
		return found{}
	case f.wasAbsent(p):
		return found{err: &fs.PathError{Op: op, Path: p, Err: syscall.ENOENT}}
	default:
		return found{err: absence(p)}
	}
}

// wasRead tells whether a path led to a file or a folder.
func (f replayedFiles) wasRead(p string) bool {
	for _, way := range []string{wayRead, wayList} {
		if a, ok := f[look{p, way}]; ok && (a.failure == failure{}) {
			return true
		}
	}
	return false
}

// wasAbsent tells whether the path, or a folder that it lies in, was looked for
// in vain. That a name is missing from a listing proves it too.
func (f replayedFiles) wasAbsent(p string) bool {
	for ; p != "/"; p = path.Dir(p) {
		for _, way := range []string{wayRead, wayList, wayExists} {
			a, ok := f[look{p, way}]
			if ok && (a.failure.word == "ENOENT" || way == wayExists && a.failure == failure{} && !a.exists) {
				return true
			}
		}
		dir, ok := f[look{path.Dir(p), wayList}]
		if ok && (dir.failure == failure{}) && !slices.Contains(dir.names, path.Base(p)) {
			return true
		}
	}
	return false
}
