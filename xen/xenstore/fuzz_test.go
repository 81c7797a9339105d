package xenstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// FuzzReadPacket reads messages one after the other, and writes them again.
func FuzzReadPacket(f *testing.F) {
	f.Add(packet{kindRead, 1, 0, []byte("web1")}.append(nil))
	f.Add(append(packet{kindWatchEvent, 0, 0, args("/local/domain/1", "xtm-1")}.append(nil), packet{kindError, 2, 7, args("ENOENT")}.append(nil)...))
	f.Add(packet{kindDirectory, 3, 0, make([]byte, maxPayload)}.append(nil)[:500])
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			rest := b[len(b)-r.Len():]
			p, err := readPacket(r)
			if err != nil {
				if len(rest) == 0 && !errors.Is(err, io.EOF) {
					t.Fatalf("between two messages: %v", err)
				}
				return
			}
			if again := p.append(nil); !bytes.HasPrefix(rest, again) {
				t.Fatalf("%x was read as %x", rest, again)
			}
		}
	})
}

// FuzzAnswers is a server that answers anything at all: every call returns.
func FuzzAnswers(f *testing.F) {
	f.Add(packet{kindRead, 1, 0, []byte("web1")}.append(nil))
	f.Add(packet{kindError, 1, 0, args("E2BIG")}.append(nil))
	f.Add(packet{kindTransactionStart, 1, 0, args("1")}.append(nil))
	f.Add(packet{kindDirectoryPart, 1, 0, []byte("1\x00a\x00\x00")}.append(nil))
	f.Add(packet{kindWatch, 0, 0, args("OK")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := New(func(context.Context) (io.ReadWriteCloser, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				_ = far.SetDeadline(time.Now().Add(time.Second))
				var request [64]byte
				_, _ = far.Read(request[:])
				_, _ = far.Write(b)
			}()
			return near, nil
		})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _ = c.Read(ctx, "/a")
		_, _ = c.List(ctx, "/a")
		_ = c.Tx(ctx, func(tx *Tx) error { return tx.Write(ctx, "/a", "b") })
		if w, err := c.Watch(ctx, "/a"); err == nil {
			_, _ = w.Next(ctx)
		}
		if err := ctx.Err(); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// TestGivenUpRequestKeepsItsTurn lets a request run into its deadline: the next
// is not sent before its answer came.
func TestGivenUpRequestKeepsItsTurn(t *testing.T) {
	near, far := net.Pipe()
	c := newConn(near)
	sent := make(chan packet)
	go func() {
		defer close(sent)
		for {
			p, err := readPacket(far)
			if err != nil {
				return
			}
			sent <- p
		}
	}()
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	go func() { _, _ = c.ask(short, kindRead, 0, args("/first")) }()
	first := <-sent
	<-short.Done()
	answered := make(chan error)
	go func() {
		_, err := c.ask(t.Context(), kindWatch, 0, args("/second", "token"))
		answered <- err
	}()
	select {
	case p := <-sent:
		t.Fatalf("%q was sent while the first was not answered", p.body)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := far.Write(packet{kindRead, first.id, 0, []byte("late")}.append(nil)); err != nil {
		t.Fatal(err)
	}
	second := <-sent
	if _, err := far.Write(packet{kindWatch, second.id, 0, args("OK")}.append(nil)); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	c.end(errClosed)
	<-sent
}
