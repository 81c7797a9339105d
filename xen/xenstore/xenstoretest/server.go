// Package xenstoretest is a xenstored for tests: a tree in memory behind
// xenstore's own protocol, and faults on demand.
package xenstoretest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Server is a xenstored. The zero value has an empty tree.
type Server struct {
	// Old makes it a xenstored before 4.9: without DIRECTORY_PART.
	Old bool
	// Device makes it answer as the kernel's device up to Linux 4.10 does: WATCH
	// and UNWATCH without the id of the request.
	Device bool
	// Answer, where set, may change what is sent; n counts answers from 1. It
	// returns the bytes to send, and whether to hang up after them.
	Answer func(n int, b []byte) (send []byte, hangUp bool)

	mu         sync.Mutex
	tree       map[string]string
	generation int
	answers    int
	lastTx     uint32
	conflicts  int
	clients    map[*client]bool
	dials      int
	overlaps   int
}

// New returns a server with these keys.
func New(keys map[string]string) *Server {
	s := &Server{}
	for path, value := range keys {
		s.Set(path, value)
	}
	return s
}

// Dial is a xenstore.Dialer. The connection has no buffer: what nobody reads
// blocks whoever writes.
func (s *Server) Dial(ctx context.Context) (io.ReadWriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	go s.Serve(far)
	return near, nil
}

// Dials counts the connections so far.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Set sets a key as another client would.
func (s *Server) Set(path, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree == nil {
		s.tree = map[string]string{"/": ""}
	}
	write(s.tree, path, value)
	s.changed(path)
}

// Get returns a key as it is now.
func (s *Server) Get(path string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.tree[path]
	return v, ok
}

// Overlaps counts the requests that came while the one before was not answered.
// The kernel's device hangs for good on some.
func (s *Server) Overlaps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlaps
}

// Conflict makes the next n commits fail with EAGAIN.
func (s *Server) Conflict(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conflicts = n
}

// Watches counts the watches of all clients.
func (s *Server) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.clients {
		n += len(c.watches)
	}
	return n
}

// Transactions counts those that are open.
func (s *Server) Transactions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.clients {
		n += len(c.open)
	}
	return n
}

// client is one connection.
type client struct {
	conn    net.Conn
	out     chan []byte
	gone    chan struct{}
	watches [][2]string // path, token
	open    map[uint32]*transaction
	owed    int // answers
}

type transaction struct {
	tree       map[string]string
	generation int
	wrote      bool
}

// Serve answers on a connection until it ends.
func (s *Server) Serve(conn net.Conn) {
	c := &client{conn: conn, out: make(chan []byte, 1024), gone: make(chan struct{}), open: map[uint32]*transaction{}}
	s.mu.Lock()
	if s.clients == nil {
		s.clients = map[*client]bool{}
	}
	s.clients[c] = true
	s.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { s.send(c) })
	s.receive(c)
	close(c.gone)
	_ = conn.Close()
	wg.Wait()
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
}

func (s *Server) receive(c *client) {
	for {
		var h [16]byte
		if _, err := io.ReadFull(c.conn, h[:]); err != nil {
			return
		}
		word := func(i int) uint32 { return binary.LittleEndian.Uint32(h[4*i:]) }
		if word(3) > 4096 {
			return // xenstored hangs up too
		}
		body := make([]byte, word(3))
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return
		}
		s.mu.Lock()
		if c.owed > 0 {
			s.overlaps++
		}
		c.owed++
		kind, answer := s.handle(c, word(0), word(2), body)
		id := word(1)
		if s.Device && (word(0) == 4 || word(0) == 5) {
			id = 0
		}
		c.queue(kind, id, word(2), answer)
		if kind == 4 { // the first event comes with the watch
			w := c.watches[len(c.watches)-1]
			c.queue(15, 0, 0, []byte(w[0]+"\x00"+w[1]+"\x00"))
		}
		s.mu.Unlock()
	}
}

func (c *client) queue(kind, id, tx uint32, body []byte) {
	b := make([]byte, 0, 16+len(body))
	for _, w := range []uint32{kind, id, tx, uint32(len(body))} {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	select {
	case c.out <- append(b, body...):
	default: // a client that reads nothing loses events
	}
}

func (s *Server) send(c *client) {
	for {
		select {
		case b := <-c.out:
			hangUp, owed := false, b[0] != 15
			if s.Answer != nil {
				s.mu.Lock()
				s.answers++
				n := s.answers
				s.mu.Unlock()
				b, hangUp = s.Answer(n, b)
			}
			if owed {
				s.mu.Lock()
				c.owed--
				s.mu.Unlock()
			}
			if len(b) > 0 {
				if _, err := c.conn.Write(b); err != nil {
					return
				}
			}
			if hangUp {
				_ = c.conn.Close()
				return
			}
		case <-c.gone:
			return
		}
	}
}

// handle answers a request: the kind of the answer, 16 for an error.
func (s *Server) handle(c *client, kind, tx uint32, body []byte) (uint32, []byte) {
	tree := s.tree
	t := c.open[tx]
	if t != nil {
		tree = t.tree
	} else if tx != 0 {
		return 16, []byte("ENOENT\x00")
	}
	path, rest, _ := strings.Cut(string(body), "\x00")
	answer, errno := "OK\x00", ""
	switch kind {
	case 1:
		if answer, errno = directory(tree, path); len(answer) > 4096 {
			errno = "E2BIG"
		}
	case 2:
		var ok bool
		if answer, ok = tree[path]; !ok {
			errno = "ENOENT"
		}
	case 4:
		c.watches = append(c.watches, [2]string{path, strings.TrimSuffix(rest, "\x00")})
	case 5:
		c.watches = slices.DeleteFunc(c.watches, func(w [2]string) bool {
			return w == [2]string{path, strings.TrimSuffix(rest, "\x00")}
		})
	case 6:
		s.lastTx++
		c.open[s.lastTx] = &transaction{maps.Clone(s.tree), s.generation, false}
		answer = fmt.Sprintf("%d\x00", s.lastTx)
	case 7:
		delete(c.open, tx)
		errno = s.commit(t, path == "T")
	case 11:
		if tree == nil {
			s.tree = map[string]string{"/": ""}
			tree = s.tree
		}
		write(tree, path, rest)
		s.wrote(t, path)
	case 13:
		if _, ok := tree[parent(path)]; !ok {
			errno = "ENOENT"
		}
		for p := range tree {
			if p == path || strings.HasPrefix(p, path+"/") {
				delete(tree, p)
			}
		}
		s.wrote(t, path)
	case 22:
		if s.Old {
			errno = "ENOSYS"
			break
		}
		answer, errno = s.part(tree, path, rest)
	default:
		errno = "ENOSYS"
	}
	if errno != "" {
		return 16, []byte(errno + "\x00")
	}
	return kind, []byte(answer)
}

func (s *Server) commit(t *transaction, yes bool) string {
	switch {
	case t == nil:
		return "ENOENT"
	case !yes || !t.wrote:
		return ""
	case s.conflicts > 0:
		s.conflicts--
		return "EAGAIN"
	case t.generation != s.generation:
		return "EAGAIN"
	}
	s.tree = t.tree
	s.changed("/")
	return ""
}

func (s *Server) wrote(t *transaction, path string) {
	if t != nil {
		t.wrote = true
		return
	}
	s.changed(path)
}

// changed tells the watchers.
func (s *Server) changed(path string) {
	s.generation++
	for c := range s.clients {
		for _, w := range c.watches {
			if path == w[0] || strings.HasPrefix(path, w[0]+"/") || path == "/" {
				c.queue(15, 0, 0, []byte(path+"\x00"+w[1]+"\x00"))
			}
		}
	}
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// write sets a key and makes its parents.
func write(tree map[string]string, path, value string) {
	for p := parent(path); p != "/"; p = parent(p) {
		if _, ok := tree[p]; !ok {
			tree[p] = ""
		}
	}
	tree[path] = value
}

func directory(tree map[string]string, path string) (list, errno string) {
	if _, ok := tree[path]; !ok {
		return "", "ENOENT"
	}
	var out []string
	for p := range tree {
		if p != path && p != "/" && parent(p) == path {
			out = append(out, p[strings.LastIndexByte(p, '/')+1:]+"\x00")
		}
	}
	slices.Sort(out)
	return strings.Join(out, ""), ""
}

// part is a piece of a long list from an offset on: whole names, as many as fit.
func (s *Server) part(tree map[string]string, path, offset string) (piece, errno string) {
	list, errno := directory(tree, path)
	if errno != "" {
		return "", errno
	}
	generation := strconv.Itoa(s.generation) + "\x00"
	from, err := strconv.Atoi(strings.TrimSuffix(offset, "\x00"))
	if err != nil || from < 0 {
		return "", "EINVAL"
	}
	if from >= len(list) {
		return generation + "\x00", ""
	}
	rest := list[from:]
	if room := 4096 - len(generation) - 1; len(rest) > room {
		return generation + rest[:strings.LastIndexByte(rest[:room], 0)+1], ""
	}
	return generation + rest + "\x00", ""
}
