// Package xenstore talks to xenstored over its socket, or over the kernel's
// device where the daemon runs elsewhere. It is written here because the known
// clients for Go can wait for ever: here everything ends with its context, and a
// lost connection ends everything that waits.
//
// What is read may have been written by a guest: it is bounded (4,096 bytes a
// value), but not safe to print.
package xenstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Dialer opens a connection to xenstore; it ends with ctx if it takes longer.
// Closing the connection must end a Read and a Write that wait.
type Dialer func(ctx context.Context) (io.ReadWriteCloser, error)

// Client connects when it is first used, and again after a connection was lost.
// It is safe for concurrent use.
type Client struct {
	dial Dialer
	// turn is held by who looks at cur; a mutex would not heed a context.
	turn   chan struct{}
	cur    *conn
	closed bool
}

// New returns a client; it touches nothing yet. Close it.
func New(d Dialer) *Client { return &Client{dial: d, turn: make(chan struct{}, 1)} }

// Close ends the connection and all that waits for it. A closed client refuses
// with net.ErrClosed.
func (c *Client) Close() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = true
	if c.cur != nil {
		c.cur.end(errClosed)
	}
	return nil
}

// conn is the living connection.
func (c *Client) conn(ctx context.Context) (*conn, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	switch {
	case c.closed:
		return nil, errClosed
	case c.cur != nil && c.cur.ended() == nil:
		return c.cur, nil
	}
	rw, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to xenstore: %w", err)
	}
	c.cur = newConn(rw)
	return c.cur, nil
}

// Read returns the value of a key: fs.ErrNotExist where there is none,
// fs.ErrPermission where it may not be read.
func (c *Client) Read(ctx context.Context, path string) (string, error) {
	return (&Tx{client: c}).Read(ctx, path)
}

// batch bounds how many requests are under way: others want their turn.
const batch = 256

// ReadEach is Read of many keys, each with a value or an error. Over the socket
// it takes a few messages for all, which is the most of what reading many small
// keys costs.
func (c *Client) ReadEach(ctx context.Context, paths []string) (values []string, errs []error) {
	values, errs = make([]string, len(paths)), make([]error, len(paths))
	for from := 0; from < len(paths); from += batch {
		to := min(from+batch, len(paths))
		c.readBatch(ctx, paths[from:to], values[from:to], errs[from:to])
	}
	return values, errs
}

func (c *Client) readBatch(ctx context.Context, paths, values []string, errs []error) {
	on, err := c.conn(ctx)
	if err == nil && (!on.takesBatches() || !allValid(paths)) {
		for i, p := range paths {
			values[i], errs[i] = c.Read(ctx, p)
		}
		return
	}
	var sent []*request
	if err == nil {
		bodies := make([][]byte, len(paths))
		for i, p := range paths {
			bodies[i] = args(p)
		}
		sent, err = on.send(ctx, kindRead, 0, bodies...)
	}
	for i, p := range paths {
		errs[i] = err
		if err == nil {
			var b []byte
			b, errs[i] = on.wait(ctx, sent[i])
			values[i] = string(b)
		}
		errs[i] = about("read", p, errs[i])
	}
}

func allValid(paths []string) bool {
	return !slices.ContainsFunc(paths, func(p string) bool { return !valid(p) })
}

// List returns the names below a key, in no order. Errors as Read; a list of
// more than 4,096 bytes needs Xen 4.9 or later, else it is syscall.E2BIG.
func (c *Client) List(ctx context.Context, path string) ([]string, error) {
	return (&Tx{client: c}).List(ctx, path)
}

// Write sets a key, and makes its parents.
func (c *Client) Write(ctx context.Context, path, value string) error {
	return (&Tx{client: c}).Write(ctx, path, value)
}

// Remove removes a key and all below it. One that is not there is no error
// where its parent is.
func (c *Client) Remove(ctx context.Context, path string) error {
	return (&Tx{client: c}).Remove(ctx, path)
}

// Tx is a view of xenstore as it was when the transaction began, with its own
// changes.
type Tx struct {
	client *Client
	// on is the connection that the transaction belongs to; nil is none, and
	// then whichever there is.
	on *conn
	id uint32
}

// Read is Client.Read in the transaction.
func (t *Tx) Read(ctx context.Context, path string) (string, error) {
	b, err := t.ask(ctx, "read", kindRead, path, args(path))
	return string(b), err
}

// List is Client.List in the transaction.
func (t *Tx) List(ctx context.Context, path string) ([]string, error) {
	b, err := t.ask(ctx, "list", kindDirectory, path, args(path))
	if errors.Is(err, syscall.E2BIG) {
		b, err = t.parts(ctx, path, err)
	}
	if err != nil {
		return nil, err
	}
	return names(b), nil
}

// Write is Client.Write in the transaction.
func (t *Tx) Write(ctx context.Context, path, value string) error {
	_, err := t.ask(ctx, "write", kindWrite, path, append(args(path), value...))
	return err
}

// Remove is Client.Remove in the transaction.
func (t *Tx) Remove(ctx context.Context, path string) error {
	_, err := t.ask(ctx, "remove", kindRemove, path, args(path))
	return err
}

// errTooLong is what xenstored would hang up on.
var errTooLong = fmt.Errorf("more than %d bytes: %w", maxPayload, syscall.E2BIG)

// ask is one request about a path.
func (t *Tx) ask(ctx context.Context, op string, k kind, path string, body []byte) ([]byte, error) {
	b, err := t.try(ctx, k, path, body)
	return b, about(op, path, err)
}

// about says what was done to which path; nil stays nil.
func about(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op + " xenstore", Path: path, Err: err}
}

func (t *Tx) try(ctx context.Context, k kind, path string, body []byte) ([]byte, error) {
	if !valid(path) {
		return nil, fmt.Errorf("no path: %w", syscall.EINVAL)
	}
	on := t.on
	if on == nil {
		var err error
		if on, err = t.client.conn(ctx); err != nil {
			return nil, err
		}
	}
	return on.ask(ctx, k, t.id, body)
}

// valid tells whether xenstored would take a path. Names of its own events
// begin with @.
func valid(path string) bool {
	return len(path) <= maxPath && (strings.HasPrefix(path, "/") || strings.HasPrefix(path, "@")) && !strings.Contains(path, "\x00")
}

const (
	// maxList bounds a list of names.
	maxList = 4 << 20
	// maxRestarts bounds how often a list that changes is begun again.
	maxRestarts = 20
)

// parts reads a long list piece by piece. A piece is the node's generation and
// as many names as fit; an empty name is the end (docs/misc/xenstore.txt,
// DIRECTORY_PART; X:tools/xenstore/xenstored_core.c, 4.17):
//
//	"4711\x00" "51712\x00" "51728\x00" … "\x00"
func (t *Tx) parts(ctx context.Context, path string, tooBig error) ([]byte, error) {
	var list []byte
	generation := ""
	for restarts := 0; ; {
		b, err := t.ask(ctx, "list", kindDirectoryPart, path, args(path, strconv.Itoa(len(list))))
		if errors.Is(err, syscall.ENOSYS) {
			return nil, tooBig
		}
		if err != nil {
			return nil, err
		}
		now, part, ok := strings.Cut(string(b), "\x00")
		switch {
		case !ok || part == "" || !strings.HasSuffix(part, "\x00"):
			return nil, &fs.PathError{Op: "list xenstore", Path: path, Err: fmt.Errorf("a part %.80q: %w", b, ErrProtocol)}
		case len(list) > 0 && now != generation:
			if restarts++; restarts > maxRestarts {
				return nil, &fs.PathError{Op: "list xenstore", Path: path, Err: fmt.Errorf("it changed %d times: %w", restarts, syscall.EAGAIN)}
			}
			list = list[:0]
			continue
		}
		generation = now
		if part == "\x00" || strings.HasSuffix(part, "\x00\x00") {
			return append(list, part[:len(part)-1]...), nil
		}
		if list = append(list, part...); len(list) > maxList {
			return nil, &fs.PathError{Op: "list xenstore", Path: path, Err: fmt.Errorf("more than %d bytes: %w", maxList, syscall.E2BIG)}
		}
	}
}
