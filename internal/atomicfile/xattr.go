package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// contentXattrs describe the contents of a file, so that they are wrong for
// other contents; the kernel's integrity modules make new ones.
var contentXattrs = map[string]bool{"security.ima": true, "security.evm": true}

// copyXattrs copies the extended attributes: SELinux label, capabilities, POSIX
// access list and the user's own.
func copyXattrs(to, from *os.File) error {
	names, err := xattr(func(b []byte) (int, error) { return unix.Flistxattr(int(from.Fd()), b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list extended attributes: %w", err)
	}
	for n := range bytes.SplitSeq(names, []byte{0}) {
		name := string(n)
		if name == "" || contentXattrs[name] {
			continue
		}
		v, err := xattr(func(b []byte) (int, error) { return unix.Fgetxattr(int(from.Fd()), name, b) })
		if err != nil {
			return fmt.Errorf("read extended attribute %s: %w", name, err)
		}
		if err := unix.Fsetxattr(int(to.Fd()), name, v, 0); err != nil {
			return fmt.Errorf("keep extended attribute %s: %w", name, err)
		}
	}
	return nil
}

// xattr reads with a buffer of the size that the kernel asks for; 64 KiB is the
// most that Linux allows (XATTR_SIZE_MAX, XATTR_LIST_MAX).
func xattr(read func([]byte) (int, error)) ([]byte, error) {
	b := make([]byte, 64<<10)
	n, err := read(b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
