// Package hostfs is the file system of the host as a value. Everything that
// xtm reads or writes by path goes through a Root, so that a saved tree, a test
// fixture and a mounted disk are read by the same code as the running machine.
package hostfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Files is what readers need: the running machine, a capture, or a recorder.
type Files interface {
	// ReadFile returns a whole file. Files of /proc and /sys lie about their
	// size, so it reads to the end, and to MaxFile at most.
	ReadFile(path string) ([]byte, error)
	// ReadDir returns the names in a folder, sorted.
	ReadDir(path string) ([]string, error)
	// Readlink returns the text of a symbolic link.
	Readlink(path string) (string, error)
	// Exists tells whether the path leads to something. A permission problem is
	// an error, not an absence.
	Exists(path string) (bool, error)
}

// MaxFile bounds one read; larger files are an error, never cut.
const MaxFile = 64 << 20

// ErrTooLarge means that a file has more than MaxFile bytes.
var ErrTooLarge = errors.New("file too large")

// Root is a folder that stands for "/". Every symbolic link is resolved inside
// it: an absolute or climbing link cannot lead out.
type Root string

// Host is the running machine.
const Host Root = "/"

var _ Files = Host

// IsHost tells whether this is the running machine.
func (r Root) IsHost() bool { return filepath.Clean(string(r)) == "/" }

// Path returns where a path of the host really is. The parts that do not exist
// are taken as they stand.
func (r Root) Path(path string) (string, error) {
	if r.IsHost() {
		return filepath.Join("/", path), nil
	}
	return securejoin.SecureJoin(string(r), path)
}

// ReadFile implements Files.
func (r Root) ReadFile(path string) ([]byte, error) {
	p, err := r.Path(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, r.native(path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, r.native(path, err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes: %w", path, MaxFile, ErrTooLarge)
	}
	return b, nil
}

// ReadDir implements Files.
func (r Root) ReadDir(path string) ([]string, error) {
	p, err := r.Path(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, r.native(path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, r.native(path, err)
	}
	sort.Strings(names)
	return names, nil
}

// Readlink implements Files.
func (r Root) Readlink(path string) (string, error) {
	dir, err := r.Path(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	t, err := os.Readlink(filepath.Join(dir, filepath.Base(path)))
	if err != nil {
		return "", r.native(path, err)
	}
	return t, nil
}

// Exists implements Files.
func (r Root) Exists(path string) (bool, error) {
	p, err := r.Path(path)
	if err != nil {
		return false, err
	}
	switch _, err := os.Stat(p); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, r.native(path, err)
	}
}

// native names the host's own path in an error, not where the root lies.
func (r Root) native(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: pe.Op, Path: filepath.Join("/", path), Err: pe.Err}
	}
	return err
}
