package statedir

import (
	"errors"
	"fmt"
	"os"

	"xtm/internal/filelock"
	"xtm/internal/hostfs"

	"golang.org/x/sys/unix"
)

const lockFile = Path + "/lock"

// ErrLocked means that another xtm changes this machine.
var ErrLocked = errors.New("another xtm is at work on this machine")

// Lock keeps other runs that change how the machine boots away, until the
// returned function is called or the process ends. It does not wait: ErrLocked.
func Lock(root hostfs.Root) (unlock func(), err error) {
	if err := Make(root, Path); err != nil {
		return nil, err
	}
	p, err := root.Path(lockFile)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filelock.Try(f); err != nil {
		f.Close() //nolint:errcheck,gosec // nothing was written
		if errors.Is(err, filelock.ErrHeld) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", lockFile, err)
	}
	return func() { f.Close() }, nil //nolint:errcheck // nothing was written
}
