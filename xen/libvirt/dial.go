package libvirt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"
)

// sockets are those of a libvirtd, then of the modular daemons' Xen one.
var sockets = [...]string{
	"/run/libvirt/libvirt-sock",
	"/var/run/libvirt/libvirt-sock",
	"/run/libvirt/virtxend-sock",
}

// Local is the Dialer of the running machine. The error is fs.ErrNotExist where
// there is no libvirtd, fs.ErrPermission where the caller may not talk to it.
func Local(ctx context.Context) (net.Conn, error) {
	var worst error
	for _, path := range sockets {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			return c, nil
		}
		if worst == nil || errors.Is(worst, fs.ErrNotExist) && !errors.Is(err, fs.ErrNotExist) {
			worst = err
		}
	}
	return nil, worst
}

// dialer gives the library, which knows no context, a connection that ends with
// one.
type dialer struct {
	ctx  context.Context //nolint:containedctx // the library's interface has none
	dial Dialer
	// connected is closed when the library has done its handshake.
	connected chan struct{}
}

func (d dialer) Dial() (net.Conn, error) {
	c, err := d.dial(d.ctx)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(d.ctx, func() { _ = c.Close() })
	return &framed{Conn: c, connected: d.connected}, nil
}

const (
	// A message is its length, a header of 24 bytes, and at most 32 MiB
	// (VIR_NET_MESSAGE_MAX in libvirt's src/rpc/virnetprotocol.x, 9.0).
	shortestMessage = 28
	longestMessage  = 32<<20 + 4
)

var errFrame = errors.New("not libvirt's protocol")

// handshakeGrace is how long the loss of a connection is kept from a library
// that is still in its handshake.
const handshakeGrace = 250 * time.Millisecond

// framed makes up for two faults of the library. It takes as much memory as a
// message says that it has, and panics where it says too little: framed looks at
// each length first. And where the connection is lost just behind the handshake,
// two goroutines write the same variable unguarded, so that later calls wait for
// nothing: framed hands the loss on when the handshake is over, or has been
// waiting for an answer.
type framed struct {
	net.Conn
	connected chan struct{}

	length []byte // of the next message, not yet handed on
	left   int    // of the current message
	lost   error
}

// Read implements net.Conn.
func (f *framed) Read(b []byte) (int, error) {
	if f.lost != nil {
		return 0, f.lost
	}
	n, err := f.read(b)
	if err != nil {
		f.lost = err
		select {
		case <-f.connected:
		case <-time.After(handshakeGrace):
		}
	}
	return n, err
}

func (f *framed) read(b []byte) (int, error) {
	if f.left == 0 {
		var h [4]byte
		if _, err := io.ReadFull(f.Conn, h[:]); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(h[:])
		if n < shortestMessage || n > longestMessage {
			// To the library this is a lost connection.
			return 0, fmt.Errorf("a message of %d bytes: %w", n, errFrame)
		}
		f.length, f.left = h[:], int(n)
	}
	if len(f.length) > 0 {
		n := copy(b, f.length)
		f.length = f.length[n:]
		f.left -= n
		return n, nil
	}
	n, err := f.Conn.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}
