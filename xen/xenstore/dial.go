package xenstore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// The ways to the local xenstored, best first: its socket, then the kernel's
// device, for a xenstored in a domain of its own. The last is xenfs of kernels
// before 3.3 (X:tools/libs/store/xs.c; Linux drivers/xen/xenbus).
var (
	sockets = [...]string{"/run/xenstored/socket", "/var/run/xenstored/socket"}
	devices = [...]string{"/dev/xen/xenbus", "/proc/xen/xenbus"}
)

// Local is the Dialer of the running machine. The error is fs.ErrNotExist where
// there is no xenstore, fs.ErrPermission where the caller may not talk to it.
func Local(ctx context.Context) (io.ReadWriteCloser, error) {
	var worst error
	note := func(err error) {
		// That a way is not there says less than that it is closed.
		absent := errors.Is(worst, fs.ErrNotExist) || errors.Is(worst, syscall.ECONNREFUSED)
		if worst == nil || absent && !errors.Is(err, fs.ErrNotExist) {
			worst = err
		}
	}
	for _, path := range sockets {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			return c, nil
		}
		note(err)
	}
	for _, path := range devices {
		// The device can be polled, so that Close ends a Read that waits.
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			return f, nil
		}
		note(err)
	}
	return nil, worst
}
