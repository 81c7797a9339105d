package xenstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"xtm/internal/cause"
	"xtm/xen/xenstore"
	"xtm/xen/xenstore/xenstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func keys() map[string]string {
	return map[string]string{
		"/local/domain/0/name":              "Domain-0",
		"/local/domain/1/name":              "web1",
		"/local/domain/1/memory/target":     "262144",
		"/local/domain/1/memory/static-max": "524288",
		"/local/domain/1/data":              "",
	}
}

// open returns a client of a server, and closes it at the end.
func open(t *testing.T, s *xenstoretest.Server) *xenstore.Client {
	t.Helper()
	c := xenstore.New(s.Dial)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestReadAndWrite(t *testing.T) {
	s := xenstoretest.New(keys())
	c := open(t, s)
	ctx := t.Context()
	if v, err := c.Read(ctx, "/local/domain/1/name"); v != "web1" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := c.Read(ctx, "/local/domain/1/data"); v != "" || err != nil {
		t.Errorf("empty: %q, %v", v, err)
	}
	_, err := c.Read(ctx, "/local/domain/7/name")
	if !errors.Is(err, fs.ErrNotExist) || cause.Of(err) != cause.NoData || err.Error() != "read xenstore /local/domain/7/name: no such file or directory" {
		t.Errorf("absent: %v", err)
	}
	if l, err := c.List(ctx, "/local/domain/1"); !slices.Equal(l, []string{"data", "memory", "name"}) || err != nil {
		t.Errorf("%q, %v", l, err)
	}
	if l, err := c.List(ctx, "/local/domain/1/data"); len(l) != 0 || err != nil {
		t.Errorf("no children: %q, %v", l, err)
	}
	if _, err := c.List(ctx, "/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list of what is not there: %v", err)
	}
	binary := "a\x00b\xff" + strings.Repeat("x", 3000)
	if err := c.Write(ctx, "/tool/xtm/deep/key", binary); err != nil {
		t.Error(err)
	}
	if v, ok := s.Get("/tool/xtm/deep/key"); v != binary || !ok {
		t.Errorf("written %d bytes, the server has %d", len(binary), len(v))
	}
	if err := c.Remove(ctx, "/tool/xtm"); err != nil {
		t.Error(err)
	}
	if _, ok := s.Get("/tool/xtm/deep/key"); ok {
		t.Error("it is still there")
	}
	if err := c.Remove(ctx, "/no/such/parent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove without a parent: %v", err)
	}
	if s.Dials() != 1 {
		t.Errorf("%d connections", s.Dials())
	}
}

func TestWhatIsNotSent(t *testing.T) {
	s := xenstoretest.New(keys())
	c := open(t, s)
	for _, path := range []string{"", "relative", "/a\x00b", "/" + strings.Repeat("x", 3072)} {
		_, err1 := c.Read(t.Context(), path)
		_, err2 := c.List(t.Context(), path)
		_, err3 := c.Watch(t.Context(), path)
		for _, err := range []error{err1, err2, err3, c.Write(t.Context(), path, "v"), c.Remove(t.Context(), path)} {
			if !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%.20q: %v", path, err)
			}
		}
	}
	// xenstored would hang up on more than 4,096 bytes.
	if err := c.Write(t.Context(), "/k", strings.Repeat("x", 4093)); err != nil {
		t.Errorf("4,096 bytes: %v", err)
	}
	if err := c.Write(t.Context(), "/k", strings.Repeat("x", 4094)); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("4,097 bytes: %v", err)
	}
	if _, err := c.Read(t.Context(), "/k"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestLargeDirectory(t *testing.T) {
	k := map[string]string{}
	var want []string
	for i := range 3000 {
		name := fmt.Sprintf("device-%04d", i)
		k["/big/"+name] = ""
		want = append(want, name)
	}
	s := xenstoretest.New(k)
	c := open(t, s)
	got, err := c.List(t.Context(), "/big")
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d names, %v", len(got), err)
	}
	// One is added after the second part was read: the list is begun again.
	parts := 0
	s.Answer = func(_ int, b []byte) ([]byte, bool) {
		if b[0] == 22 {
			if parts++; parts == 2 {
				s.Set("/big/another", "")
			}
		}
		return b, false
	}
	got, err = c.List(t.Context(), "/big")
	if err != nil || len(got) != 3001 || parts < 12 {
		t.Errorf("while it changes: %d names in %d parts, %v", len(got), parts, err)
	}
	s.Answer = func(n int, b []byte) ([]byte, bool) {
		if b[0] == 22 {
			s.Set("/big/another", fmt.Sprint(n))
		}
		return b, false
	}
	if _, err := c.List(t.Context(), "/big"); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("while it never stops changing: %v", err)
	}
	s.Answer = nil
	s.Old = true
	if _, err := c.List(t.Context(), "/big"); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("before Xen 4.9: %v", err)
	}
}

func TestTransaction(t *testing.T) {
	s := xenstoretest.New(keys())
	c := open(t, s)
	ctx := t.Context()
	s.Conflict(2)
	runs := 0
	err := c.Tx(ctx, func(tx *xenstore.Tx) error {
		runs++
		v, err := tx.Read(ctx, "/local/domain/1/memory/target")
		if err != nil {
			return err
		}
		if err := tx.Write(ctx, "/local/domain/1/memory/target", v+"0"); err != nil {
			return err
		}
		if v, _ := s.Get("/local/domain/1/memory/target"); v != "262144" {
			t.Errorf("seen from outside before the commit: %q", v)
		}
		l, err := tx.List(ctx, "/local/domain/1/memory")
		if err != nil || len(l) != 2 {
			t.Errorf("%q %v", l, err)
		}
		return tx.Remove(ctx, "/local/domain/1/data")
	})
	_, there := s.Get("/local/domain/1/data")
	if v, _ := s.Get("/local/domain/1/memory/target"); err != nil || runs != 3 || v != "2621440" || there {
		t.Errorf("%v after %d runs: %q, removed %v", err, runs, v, !there)
	}

	oops := errors.New("oops")
	err = c.Tx(ctx, func(tx *xenstore.Tx) error {
		if err := tx.Write(ctx, "/local/domain/1/name", "other"); err != nil {
			return err
		}
		return oops
	})
	if v, _ := s.Get("/local/domain/1/name"); !errors.Is(err, oops) || v != "web1" {
		t.Errorf("%v, name %q", err, v)
	}
	func() {
		defer func() { _ = recover() }()
		_ = c.Tx(ctx, func(*xenstore.Tx) error { panic("oops") })
	}()
	// Both were ended; nobody waited for it.
	eventually(t, "open transactions end", func() bool { return s.Transactions() == 0 })

	s.Conflict(1 << 30)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := c.Tx(short, func(tx *xenstore.Tx) error { return tx.Write(short, "/x", "y") }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("conflicts without end: %v", err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: not within 2 s", what)
}

func TestWatch(t *testing.T) {
	for _, device := range []bool{false, true} {
		s := xenstoretest.New(keys())
		s.Device = device
		c := open(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w, err := c.Watch(ctx, "/local/domain/1")
		if err != nil {
			t.Fatal(err)
		}
		other, err := c.Watch(ctx, "@releaseDomain")
		if err != nil {
			t.Fatal(err)
		}
		next := func(want string) {
			t.Helper()
			if p, err := w.Next(ctx); p != want || err != nil {
				t.Errorf("%q, %v, want %q", p, err, want)
			}
		}
		next("/local/domain/1")
		s.Set("/local/domain/1/memory/target", "1")
		next("/local/domain/1/memory/target")
		s.Set("/local/domain/2/name", "not watched")
		s.Set("/local/domain/1/name", "a")
		next("/local/domain/1/name")

		// Nobody fetches: it is lumped together, and answers still come.
		for i := range 600 {
			s.Set(fmt.Sprintf("/local/domain/1/data/%d", i), "")
			if i%50 == 0 {
				if _, err := c.Read(ctx, "/local/domain/1/name"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := c.Read(ctx, "/local/domain/1/name"); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for range 300 {
			short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
			p, err := w.Next(short)
			stop()
			if err != nil {
				break
			}
			seen[p]++
		}
		if seen["/local/domain/1"] == 0 || len(seen) > 257 {
			t.Errorf("%d paths, the watched one %d times", len(seen), seen["/local/domain/1"])
		}
		w.Close()
		w.Close()
		eventually(t, "the server has one watch", func() bool { return s.Watches() == 1 })
		if p, err := other.Next(ctx); p != "@releaseDomain" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := other.Next(ctx); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// TestServerThatDoesNotAnswer covers all ways to stall. Each request ends with
// its deadline, and nothing is left running.
func TestServerThatDoesNotAnswer(t *testing.T) {
	for name, answer := range map[string]func(int, []byte) ([]byte, bool){
		"mute":                 func(int, []byte) ([]byte, bool) { return nil, false },
		"half a header":        func(n int, b []byte) ([]byte, bool) { return b[:7*(1/n)], false },
		"half a payload":       func(n int, b []byte) ([]byte, bool) { return b[:17*(1/n)], false },
		"an unknown id":        func(_ int, b []byte) ([]byte, bool) { b[4] ^= 0x40; return b, false },
		"an event of nobody":   func(int, []byte) ([]byte, bool) { return frame(15, 0, "/a\x00token\x00"), false },
		"an answer without id": func(_ int, b []byte) ([]byte, bool) { b[0], b[4] = 9, 0; return b, false },
	} {
		t.Run(name, func(t *testing.T) {
			s := xenstoretest.New(keys())
			s.Answer = answer
			c := open(t, s)
			start := time.Now()
			for op, do := range map[string]func(context.Context) error{
				"read":  func(ctx context.Context) error { _, err := c.Read(ctx, "/local/domain/1/name"); return err },
				"list":  func(ctx context.Context) error { _, err := c.List(ctx, "/local/domain/1"); return err },
				"write": func(ctx context.Context) error { return c.Write(ctx, "/k", "v") },
				"watch": func(ctx context.Context) error { _, err := c.Watch(ctx, "/k"); return err },
				"tx":    func(ctx context.Context) error { return c.Tx(ctx, func(*xenstore.Tx) error { return nil }) },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) || cause.Of(err) != cause.Timeout {
					t.Errorf("%s: %v", op, err)
				}
				cancel()
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}

// TestServerThatDoesNotRead lets the first write wait.
func TestServerThatDoesNotRead(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := xenstore.New(func(context.Context) (io.ReadWriteCloser, error) { return near, nil })
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.Read(ctx, "/k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// frame is a message.
func frame(kind byte, id byte, body string) []byte {
	b := make([]byte, 16, 16+len(body))
	b[0], b[4], b[12], b[13] = kind, id, byte(len(body)), byte(len(body)>>8)
	return append(b, body...)
}

// TestLostConnection makes every waiter fail at once, and the next request
// connect anew.
func TestLostConnection(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(int, []byte) ([]byte, bool)
		want   error
	}{
		"hangs up":       {func(int, []byte) ([]byte, bool) { return nil, true }, io.ErrUnexpectedEOF},
		"half a header":  {func(_ int, b []byte) ([]byte, bool) { return b[:5], true }, io.ErrUnexpectedEOF},
		"half a payload": {func(_ int, b []byte) ([]byte, bool) { return b[:len(b)-1], true }, io.ErrUnexpectedEOF},
		"too long": {func(int, []byte) ([]byte, bool) {
			return []byte("\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x10\x00\x00"), false
		}, xenstore.ErrProtocol},
		"the answer to another": {func(_ int, b []byte) ([]byte, bool) { b[0] = 7; return b, false }, xenstore.ErrProtocol},
		"an event cut short":    {func(int, []byte) ([]byte, bool) { return frame(15, 0, "/a"), false }, xenstore.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			s := xenstoretest.New(keys())
			client := open(t, s)
			w, err := client.Watch(t.Context(), "/local")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The first of these answers breaks the connection; the others wait.
			var once sync.Once
			gate := make(chan struct{})
			broken := false
			s.Answer = func(n int, b []byte) ([]byte, bool) {
				<-gate
				if broken {
					return b, false
				}
				var hangUp bool
				once.Do(func() { b, hangUp = c.answer(n, b) })
				broken = true
				return b, hangUp
			}
			errs := make(chan error)
			const waiters = 20
			for range waiters {
				go func() {
					_, err := client.Read(t.Context(), "/local/domain/1/name")
					errs <- err
				}()
			}
			time.Sleep(20 * time.Millisecond)
			close(gate)
			failed := 0
			for range waiters {
				if err := <-errs; errors.Is(err, c.want) {
					failed++
				} else if err != nil {
					t.Errorf("%v, want %v", err, c.want)
				}
			}
			if failed == 0 {
				t.Errorf("none of %d waiters saw the loss", waiters)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := w.Next(ctx); !errors.Is(err, c.want) {
				t.Errorf("the watch: %v", err)
			}
			if v, err := client.Read(ctx, "/local/domain/1/name"); v != "web1" || err != nil || s.Dials() < 2 {
				t.Errorf("afterwards: %q, %v, %d connections", v, err, s.Dials())
			}
		})
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	for text, want := range map[string]error{
		"EACCES\x00": fs.ErrPermission, "EPERM\x00": fs.ErrPermission, "EEXIST": fs.ErrExist, "ENOSPC\x00": syscall.ENOSPC,
		"ENOTHING\x00": syscall.EINVAL, "": syscall.EINVAL,
	} {
		s := xenstoretest.New(keys())
		s.Answer = func(_ int, b []byte) ([]byte, bool) { return frame(16, b[4], text), false }
		if _, err := open(t, s).Read(t.Context(), "/local/domain/1/name"); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	for _, number := range []string{"", "x\x00", "0\x00", "99999999999\x00"} {
		s := xenstoretest.New(keys())
		s.Answer = func(_ int, b []byte) ([]byte, bool) { return frame(6, b[4], number), false }
		if err := open(t, s).Tx(t.Context(), func(*xenstore.Tx) error { return nil }); !errors.Is(err, xenstore.ErrProtocol) {
			t.Errorf("transaction %q: %v", number, err)
		}
	}
}

// TestOneRequestAtATime is what keeps the kernel's device alive.
func TestOneRequestAtATime(t *testing.T) {
	s := xenstoretest.New(keys())
	s.Answer = func(_ int, b []byte) ([]byte, bool) { time.Sleep(100 * time.Microsecond); return b, false }
	c := open(t, s)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
				w, err := c.Watch(ctx, "/local")
				if err == nil {
					_, _ = w.Next(ctx)
					w.Close()
				}
				_, _ = c.Read(ctx, "/local/domain/1/name")
				_ = c.Tx(ctx, func(*xenstore.Tx) error { return errors.New("oops") })
				cancel()
			}
		})
	}
	wg.Wait()
	if v, err := c.Read(t.Context(), "/local/domain/1/name"); v != "web1" || err != nil || s.Overlaps() > 0 {
		t.Errorf("%d requests overlap; afterwards %q, %v", s.Overlaps(), v, err)
	}
}

// notASocket hides that a connection is one, as the kernel's device is none.
type notASocket struct{ io.ReadWriteCloser }

func TestReadEach(t *testing.T) {
	k := map[string]string{}
	var paths []string
	for i := range 1000 {
		paths = append(paths, fmt.Sprintf("/k/%d", i))
		if i%7 != 0 {
			k[paths[i]] = fmt.Sprint("value of ", i)
		}
	}
	s := xenstoretest.New(k)
	for name, c := range map[string]struct {
		dial     xenstore.Dialer
		oneByOne bool
	}{
		"socket": {s.Dial, false},
		"device": {func(ctx context.Context) (io.ReadWriteCloser, error) {
			c, err := s.Dial(ctx)
			return notASocket{c}, err
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			oneByOne, before := c.oneByOne, s.Overlaps()
			c := xenstore.New(c.dial)
			defer c.Close()
			values, errs := c.ReadEach(t.Context(), paths)
			if now := s.Overlaps(); oneByOne && now > before {
				t.Errorf("%d requests came while another was open", now-before)
			}
			for i, p := range paths {
				if want := k[p]; values[i] != want || (errs[i] == nil) != (want != "") || errs[i] != nil && !errors.Is(errs[i], fs.ErrNotExist) {
					t.Fatalf("%s: %q, %v", p, values[i], errs[i])
				}
			}
			// What cannot be sent hurts nobody else.
			values, errs = c.ReadEach(t.Context(), []string{"/k/1", "no path", "/k/2"})
			if values[0] != k["/k/1"] || !errors.Is(errs[1], syscall.EINVAL) || values[2] != k["/k/2"] || errors.Join(errs[0], errs[2]) != nil {
				t.Errorf("%q, %v", values, errs)
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if _, errs := c.ReadEach(gone, paths[:2]); !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], context.Canceled) {
				t.Errorf("a context that has ended: %v", errs)
			}
			if v, err := c.Read(t.Context(), "/k/1"); v != k["/k/1"] || err != nil {
				t.Errorf("afterwards: %q, %v", v, err)
			}
		})
	}
}

// TestReadEachThatIsCut loses the connection in the middle of a batch.
func TestReadEachThatIsCut(t *testing.T) {
	s := xenstoretest.New(keys())
	n := 0
	s.Answer = func(_ int, b []byte) ([]byte, bool) { n++; return b, n == 3 }
	c := open(t, s)
	values, errs := c.ReadEach(t.Context(), slices.Repeat([]string{"/local/domain/1/name"}, 10))
	for i, err := range errs {
		if i >= 3 && err == nil || err == nil && values[i] != "web1" {
			t.Errorf("%d: %q, %v", i, values[i], err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	k := map[string]string{}
	for i := range 16 {
		k[fmt.Sprintf("/k/%d", i)] = fmt.Sprint("value of ", i)
	}
	s := xenstoretest.New(k)
	c := open(t, s)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 100 {
				if v, err := c.Read(t.Context(), fmt.Sprintf("/k/%d", i)); v != fmt.Sprint("value of ", i) || err != nil {
					t.Errorf("%d: %q, %v", i, v, err)
				}
			}
		})
	}
	wg.Wait()
	if s.Dials() != 1 {
		t.Errorf("%d connections", s.Dials())
	}
}

func TestClose(t *testing.T) {
	s := xenstoretest.New(keys())
	s.Answer = func(int, []byte) ([]byte, bool) { return nil, false }
	c := xenstore.New(s.Dial)
	errs := make(chan error)
	go func() {
		_, err := c.Read(t.Context(), "/local/domain/1/name")
		errs <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the waiter: %v", err)
	}
	if _, err := c.Read(t.Context(), "/local/domain/1/name"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestSocket talks over a real unix socket, as to a real xenstored.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := xenstoretest.New(keys())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.Serve(conn) })
		}
	})
	c := xenstore.New(func(ctx context.Context) (io.ReadWriteCloser, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	})
	if v, err := c.Read(t.Context(), "/local/domain/1/name"); v != "web1" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	l.Close()
	wg.Wait()
	if _, err := xenstore.New(func(ctx context.Context) (io.ReadWriteCloser, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}).Read(t.Context(), "/k"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

// TestDialThatHangs does not keep others, or their deadlines, waiting for ever.
func TestDialThatHangs(t *testing.T) {
	c := xenstore.New(func(ctx context.Context) (io.ReadWriteCloser, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	var wg sync.WaitGroup
	start := time.Now()
	for range 5 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := c.Read(ctx, "/k"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %s", d)
	}
}

func BenchmarkRead(b *testing.B) {
	s := xenstoretest.New(keys())
	c := xenstore.New(s.Dial)
	defer c.Close()
	for b.Loop() {
		if _, err := c.Read(b.Context(), "/local/domain/1/name"); err != nil {
			b.Fatal(err)
		}
	}
}
