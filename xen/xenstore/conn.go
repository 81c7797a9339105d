package xenstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// conn is one connection, with one request at a time, or one batch of them where
// it is a socket. Where that is given up, the next waits for its answers all the
// same: Linux's device (seen on 6.1, /dev/xen/xenbus) hangs for good, and with it
// all of Dom0's xenbus, when it gets a WATCH or UNWATCH while it owes an answer.
// Once anything goes wrong, all that wait get that error.
type conn struct {
	rw io.ReadWriteCloser
	// turn holds one token, which a batch takes until all of it is answered.
	turn chan struct{}
	// done is closed when the connection has ended, err says why.
	done chan struct{}

	mu      sync.Mutex
	err     error
	lastID  uint32
	owed    []*request        // whose answers are to come, in this order
	watches map[string]*Watch // by token
	tokens  int               // given out so far
}

// request is what waits for an answer.
type request struct {
	kind   kind
	id     uint32
	answer chan packet // has room for one
}

func newConn(rw io.ReadWriteCloser) *conn {
	c := &conn{
		rw: rw, turn: make(chan struct{}, 1), done: make(chan struct{}),
		watches: map[string]*Watch{},
	}
	c.turn <- struct{}{}
	go c.read()
	return c
}

// end ends the connection; only the first reason counts.
func (c *conn) end(why error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = why
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		_ = c.rw.Close() // why is the error that matters
	}
}

// ended is why the connection is over; nil while it is not.
func (c *conn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *conn) read() {
	in := bufio.NewReader(c.rw)
	for {
		p, err := readPacket(in)
		if err == nil {
			err = c.dispatch(p)
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("xenstore hung up: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			c.end(fmt.Errorf("read from xenstore: %w", err))
			return
		}
	}
}

// dispatch hands a message to who waits for it. An answer to nothing that was
// asked is dropped.
func (c *conn) dispatch(p packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.kind == kindWatchEvent {
		f := names(p.body)
		if len(f) < 2 {
			return fmt.Errorf("a watch event %.80q: %w", p.body, ErrProtocol)
		}
		if w, ok := c.watches[f[1]]; ok {
			w.fire(f[0])
		}
		return nil
	}
	if len(c.owed) == 0 {
		return nil
	}
	r := c.owed[0]
	// The kernel's device answers WATCH and UNWATCH itself, and up to Linux 4.10
	// without the id (drivers/xen/xenbus/xenbus_dev_frontend.c).
	if p.id != r.id && (p.id != 0 || p.kind != r.kind) {
		return nil
	}
	if p.kind != r.kind && p.kind != kindError {
		return fmt.Errorf("an answer of kind %d to a request of kind %d: %w", p.kind, r.kind, ErrProtocol)
	}
	r.answer <- p
	if c.owed = c.owed[1:]; len(c.owed) == 0 {
		c.turn <- struct{}{}
	}
	return nil
}

// ask sends a request and waits for its answer.
func (c *conn) ask(ctx context.Context, k kind, tx uint32, body []byte) ([]byte, error) {
	if len(body) > maxPayload {
		return nil, errTooLong
	}
	r, err := c.send(ctx, k, tx, body)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, r[0])
}

// wait waits for the answer to a request that was sent.
func (c *conn) wait(ctx context.Context, r *request) ([]byte, error) {
	select {
	case p := <-r.answer:
		if p.kind == kindError {
			return nil, refusal(p.body)
		}
		return p.body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.ended()
	}
}

// tell sends a request whose answer does not matter, and does not wait.
func (c *conn) tell(k kind, tx uint32, body []byte) {
	go func() {
		_, _ = c.send(context.Background(), k, tx, body) // until the connection ends
	}()
}

// takesBatches tells whether there may be several requests in one piece. The
// kernel's device takes one at a time.
func (c *conn) takesBatches() bool { _, ok := c.rw.(net.Conn); return ok }

// send sends requests of a kind once those before are answered. They go in one
// piece, for the kernel's device takes a message so.
func (c *conn) send(ctx context.Context, k kind, tx uint32, bodies ...[]byte) ([]*request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // the turn may be free, too
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.ended()
	}
	var text []byte
	batch := make([]*request, len(bodies))
	c.mu.Lock()
	for i, body := range bodies {
		if c.lastID++; c.lastID == 0 {
			c.lastID++ // 0 is what events have
		}
		batch[i] = &request{kind: k, id: c.lastID, answer: make(chan packet, 1)}
		text = packet{k, c.lastID, tx, body}.append(text)
	}
	c.owed = batch
	c.mu.Unlock()
	// Nothing is on its way, so that a write has room. One that waits all the
	// same is cut off, and leaves half a message: that ends the connection.
	stop := context.AfterFunc(ctx, func() { c.end(fmt.Errorf("write to xenstore: %w", ctx.Err())) })
	_, err := c.rw.Write(text)
	stop()
	if err != nil {
		c.end(fmt.Errorf("write to xenstore: %w", err))
		return nil, c.ended()
	}
	return batch, nil
}

// errClosed is what waiters get when the client is closed.
var errClosed = fmt.Errorf("xenstore: %w", net.ErrClosed)
