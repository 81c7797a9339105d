package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"xtm/internal/filelock"
	"xtm/internal/hostfs"
)

// stagePrefix begins the name of each folder in which a new file is written.
const stagePrefix = ".xtm-tmp-"

// stage is the folder in which one new file is written. Its lock ends with the
// process that holds it.
type stage struct {
	path string
	lock *os.File
}

func newStage(dir string) (*stage, error) {
	path, err := os.MkdirTemp(dir, stagePrefix)
	if err != nil {
		return nil, err
	}
	s := &stage{path: path}
	if s.lock, err = lockFolder(path); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close removes the folder; a second call does nothing. That it cannot be
// removed is no failure of the write: the next run will try again.
func (s *stage) close() {
	if s.path == "" {
		return
	}
	_ = os.Remove(s.path)
	s.path = ""
	if s.lock != nil {
		closeRead(s.lock)
	}
}

// lockFolder fails with filelock.ErrHeld where another process holds the lock.
func lockFolder(path string) (*os.File, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := filelock.Try(d); err != nil {
		closeRead(d)
		return nil, err
	}
	return d, nil
}

// Clean removes what killed runs left beside a file. Each write beside it does
// so too; this is for the run that finds nothing to write.
func Clean(root hostfs.Root, path string) error {
	target, err := resolve(root, path)
	if err != nil {
		return failed("clean up beside", path, err)
	}
	err = clean(filepath.Dir(target))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed("clean up beside", path, err)
}

func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stagePrefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		lock, err := lockFolder(path)
		if errors.Is(err, filelock.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
			continue // its writer lives, or has just finished
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(path)
		closeRead(lock)
		if err != nil {
			return err
		}
	}
	return nil
}
