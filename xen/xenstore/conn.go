package xenstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// conn is one connection. Requests may overlap: an answer finds its request by
// the id. Once anything goes wrong, all that wait get that error.
type conn struct {
	rw  io.ReadWriteCloser
	out chan []byte
	// done is closed when the connection has ended, err says why.
	done chan struct{}

	mu      sync.Mutex
	err     error
	lastID  uint32
	pending map[uint32]*request
	watches map[string]*Watch // by token
	tokens  int               // given out so far
}

// request is what waits for an answer.
type request struct {
	kind   kind
	answer chan packet // has room for one
}

func newConn(rw io.ReadWriteCloser) *conn {
	c := &conn{
		rw: rw, out: make(chan []byte), done: make(chan struct{}),
		pending: map[uint32]*request{}, watches: map[string]*Watch{},
	}
	go c.send()
	go c.receive()
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

func (c *conn) send() {
	for {
		select {
		case b := <-c.out:
			if _, err := c.rw.Write(b); err != nil {
				c.end(fmt.Errorf("write to xenstore: %w", err))
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *conn) receive() {
	for {
		p, err := readPacket(c.rw)
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

// dispatch hands a message to who waits for it. An answer that nobody waits for
// any more is dropped.
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
	id := p.id
	if id == 0 {
		id = c.oldest(p.kind)
	}
	r, ok := c.pending[id]
	if !ok {
		return nil
	}
	if p.kind != r.kind && p.kind != kindError {
		return fmt.Errorf("an answer of kind %d to a request of kind %d: %w", p.kind, r.kind, ErrProtocol)
	}
	delete(c.pending, id)
	r.answer <- p
	return nil
}

// oldest finds the request that an answer without an id is for. The kernel's
// device answers WATCH and UNWATCH itself, and up to Linux 4.10 without the id
// (drivers/xen/xenbus/xenbus_dev_frontend.c, xenbus_write_watch). It does so
// before it takes the next request, so that order decides.
func (c *conn) oldest(k kind) uint32 {
	found := uint32(0)
	for id, r := range c.pending {
		if r.kind == k && (found == 0 || int32(id-found) < 0) {
			found = id
		}
	}
	return found
}

// ask sends a request and waits for its answer. A request whose context ends is
// given up; its answer is dropped when it comes.
func (c *conn) ask(ctx context.Context, k kind, tx uint32, body []byte) ([]byte, error) {
	if len(body) > maxPayload {
		return nil, errTooLong
	}
	r := &request{kind: k, answer: make(chan packet, 1)}
	id, err := c.enter(r)
	if err != nil {
		return nil, err
	}
	defer c.leave(id)
	select {
	case c.out <- packet{k, id, tx, body}.bytes():
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.ended()
	}
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
	id, err := c.enter(nil)
	if err != nil {
		return
	}
	go func() {
		select {
		case c.out <- packet{k, id, tx, body}.bytes():
		case <-c.done:
		}
	}()
}

// enter gives a request its id: never 0, and none that is still waited for. A
// nil request is not waited for.
func (c *conn) enter(r *request) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.lastID++
	for c.lastID == 0 || c.pending[c.lastID] != nil {
		c.lastID++
	}
	if r != nil {
		c.pending[c.lastID] = r
	}
	return c.lastID, nil
}

func (c *conn) leave(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// errClosed is what waiters get when the client is closed.
var errClosed = fmt.Errorf("xenstore: %w", net.ErrClosed)
