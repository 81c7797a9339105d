package xenstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tx runs do in a transaction and commits it. Where others changed xenstore
// meanwhile do runs again, in a new transaction, until ctx ends. An error of
// do's leaves xenstore as it was.
func (c *Client) Tx(ctx context.Context, do func(*Tx) error) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := c.once(ctx, do)
		if !errors.Is(err, errConflict) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("commit to xenstore: others keep changing it: %w", ctx.Err())
		}
	}
}

// errConflict is EAGAIN at the commit, and nowhere else.
var errConflict = errors.New("xenstore was changed meanwhile")

func (c *Client) once(ctx context.Context, do func(*Tx) error) error {
	on, err := c.conn(ctx)
	if err != nil {
		return err
	}
	b, err := on.ask(ctx, kindTransactionStart, 0, args(""))
	if err != nil {
		return fmt.Errorf("begin a xenstore transaction: %w", err)
	}
	id, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\x00"), 10, 32)
	if err != nil || id == 0 {
		return fmt.Errorf("begin a xenstore transaction: number %.40q: %w", b, ErrProtocol)
	}
	t := &Tx{client: c, on: on, id: uint32(id)}
	committing := false
	defer func() {
		if !committing { // do failed or panicked
			on.tell(kindTransactionEnd, t.id, args("F"))
		}
	}()
	if err := do(t); err != nil {
		return err
	}
	committing = true
	_, err = on.ask(ctx, kindTransactionEnd, t.id, args("T"))
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return errConflict
	case err != nil:
		return fmt.Errorf("commit to xenstore: %w", err)
	}
	return nil
}
