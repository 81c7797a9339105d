package hostfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// FromFS reads host files from any file system whose root stands for "/", such
// as a testing/fstest.MapFS. Unlike Root it does not resolve links itself.
func FromFS(fsys fs.FS) Files { return inFS{fsys} }

type inFS struct{ fsys fs.FS }

// name is a host path in the form that package fs wants.
func (inFS) name(p string) string {
	if p = path.Clean("/" + p); p == "/" {
		return "."
	}
	return p[1:]
}

// native names the host's path in an error.
func (inFS) native(p string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: pe.Op, Path: path.Clean("/" + p), Err: pe.Err}
	}
	return err
}

// ReadFile implements Files.
func (f inFS) ReadFile(p string) ([]byte, error) {
	file, err := f.fsys.Open(f.name(p))
	if err != nil {
		return nil, f.native(p, err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return nil, f.native(p, err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes: %w", p, MaxFile, ErrTooLarge)
	}
	return b, nil
}

// ReadDir implements Files.
func (f inFS) ReadDir(p string) ([]string, error) {
	entries, err := fs.ReadDir(f.fsys, f.name(p)) // sorted by name
	if err != nil {
		return nil, f.native(p, err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Readlink implements Files.
func (f inFS) Readlink(p string) (string, error) {
	target, err := fs.ReadLink(f.fsys, f.name(p))
	return target, f.native(p, err)
}

// Exists implements Files.
func (f inFS) Exists(p string) (bool, error) {
	switch _, err := fs.Stat(f.fsys, f.name(p)); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, f.native(p, err)
	}
}
