// Package edit is changes of files that are planned, shown as a diff, and made
// only where the files are still those that were shown.
package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/hostfs"

	"github.com/rogpeppe/go-internal/diff"
)

// Change is a file before and after; nil is no file, and not an empty one.
type Change struct {
	Path string `json:"path"`
	Old  []byte `json:"old"`
	New  []byte `json:"new"`
	// Mode is that of a file which is to be made; 0 is 0644.
	Mode fs.FileMode `json:"mode,omitempty"`
}

// Diff is changes in the unified format; empty where there is none.
func Diff(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		was, is := c.Path, c.Path
		if c.Old == nil {
			was = "/dev/null"
		}
		if c.New == nil {
			is = "/dev/null"
		}
		b.Write(diff.Diff(was, c.Old, is, c.New))
	}
	return b.String()
}

// Read is what a file holds; nil where there is none.
func Read(files hostfs.Files, path string) ([]byte, error) {
	b, err := files.ReadFile(path)
	if cause.Of(err) == cause.NoData {
		return nil, nil
	}
	if b == nil && err == nil {
		b = []byte{}
	}
	return b, err
}

// Same tells whether two files are the same, or both are not there.
func Same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// ErrChanged means that somebody edited a file after the plan was made.
var ErrChanged = errors.New("the file has changed since it was shown")

// Unchanged makes sure that the files are still those that were shown:
// ErrChanged.
func Unchanged(files hostfs.Files, changes []Change) error {
	for _, c := range changes {
		now, err := Read(files, c.Path)
		if err != nil {
			return err
		}
		if !Same(now, c.Old) {
			return fmt.Errorf("change %s: %w: nothing was written, run it again", c.Path, ErrChanged)
		}
	}
	return nil
}

// Put makes the file of a change hold b, Old or New, or removes it where that is
// nil. What it holds already is not written.
func (c Change) Put(root hostfs.Root, b []byte) error {
	now, err := Read(root, c.Path)
	if err != nil || Same(now, b) {
		return err
	}
	if b == nil {
		return atomicfile.Remove(root, c.Path)
	}
	if err := atomicfile.MkdirAll(root, path.Dir(c.Path), 0o755); err != nil {
		return err
	}
	mode := c.Mode
	if mode == 0 {
		mode = 0o644
	}
	return atomicfile.Replace(root, c.Path, b, mode)
}
