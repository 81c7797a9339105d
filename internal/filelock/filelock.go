// Package filelock locks files and folders as flock(2) does: a lock ends with
// the process that holds it, however that ends.
package filelock

import (
	"errors"
	"fmt"
	"os"

	"xtm/internal/cause"

	"golang.org/x/sys/unix"
)

// ErrHeld means that another process holds the lock.
var ErrHeld = errors.New("another process has locked it")

// Try locks what f has open until f is closed. It does not wait: ErrHeld. On a
// kernel without CONFIG_FILE_LOCKING, as small ones for guests are, it is
// cause.ErrNotSupported (flock is ENOSYS there, Linux kernel/sys_ni.c).
func Try(f *os.File) error {
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrHeld
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("flock: this kernel has no file locks (CONFIG_FILE_LOCKING): %w", cause.ErrNotSupported)
	default:
		return os.NewSyscallError("flock", err)
	}
}
