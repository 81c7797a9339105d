//go:build xen

package xenstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests in this file need a real Dom0: go test -c -tags xen, and run it
// there as root.

func TestLive(t *testing.T) {
	for name, dial := range map[string]Dialer{
		"local":  Local,
		"device": func(context.Context) (io.ReadWriteCloser, error) { return os.OpenFile(devices[0], os.O_RDWR, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := New(dial)
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
			defer cancel()
			if v, err := c.Read(ctx, "/local/domain/0/name"); v != "Domain-0" || err != nil {
				t.Fatalf("%q, %v", v, err)
			}
			if _, err := c.Read(ctx, "/local/domain/0/nothing"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
			if l, err := c.List(ctx, "/local/domain"); err != nil || !slices.Contains(l, "0") {
				t.Errorf("%q, %v", l, err)
			}
			const top = "/tool/xtm-test"
			defer func() {
				if err := c.Remove(ctx, top); err != nil {
					t.Error(err)
				}
			}()
			w, err := c.Watch(ctx, top)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := w.Next(ctx); p != top || err != nil {
				t.Errorf("first event %q, %v", p, err)
			}
			if err := c.Write(ctx, top+"/a", "a\x00b\xff"); err != nil {
				t.Error(err)
			}
			if p, err := w.Next(ctx); p != top+"/a" || err != nil {
				t.Errorf("event %q, %v", p, err)
			}
			if v, err := c.Read(ctx, top+"/a"); v != "a\x00b\xff" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			w.Close()
			const many = 45 // with names so long that they need two parts
			err = c.Tx(ctx, func(tx *Tx) error {
				for i := range many {
					if err := tx.Write(ctx, fmt.Sprintf("%s/big/%04d-%s", top, i, strings.Repeat("x", 100)), ""); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if l, err := c.List(ctx, top+"/big"); len(l) != many || err != nil {
				t.Errorf("%d names, %v", len(l), err)
			}
			// Another connection writes between the read and the commit, once.
			other := New(Local)
			defer other.Close()
			runs := 0
			err = c.Tx(ctx, func(tx *Tx) error {
				if _, err := tx.Read(ctx, top+"/a"); err != nil {
					return err
				}
				if runs++; runs == 1 {
					if err := other.Write(ctx, top+"/a", "other"); err != nil {
						return err
					}
				}
				return tx.Write(ctx, top+"/a", "mine")
			})
			if v, _ := c.Read(ctx, top+"/a"); err != nil || runs != 2 || v != "mine" {
				t.Errorf("%v after %d runs: %q", err, runs, v)
			}
			oops := errors.New("oops")
			err = c.Tx(ctx, func(tx *Tx) error { return errors.Join(tx.Write(ctx, top+"/a", "no"), oops) })
			if v, _ := c.Read(ctx, top+"/a"); !errors.Is(err, oops) || v != "mine" {
				t.Errorf("%v, %q", err, v)
			}
			begin := time.Now()
			for range 50 {
				if _, err := c.Read(ctx, top+"/a"); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%v for a read", time.Since(begin)/50)
		})
	}
}
