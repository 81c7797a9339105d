package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xtm/internal/cause"
	"xtm/xen/tmem"
)

// ErrSilent means that a call was answered with success, and changed nothing.
var ErrSilent = errors.New("it was said to be done, and is not")

// Do issues one call and reads back. ErrSilent where Xen does not show what was
// asked for.
func (h Host) Do(ctx context.Context, c Call) error {
	var err error
	switch id := c.Domain.ID; c.Op {
	case OpFreeze:
		err = h.Control.Freeze(ctx, id)
	case OpThaw:
		err = h.Control.Thaw(ctx, id)
	case OpWeight:
		err = h.Control.SetWeight(ctx, id, c.To)
	case OpCompress:
		err = h.Control.SetCompress(ctx, id, c.To == 1)
	}
	if err != nil {
		return err
	}
	s, err := h.Control.Settings(ctx, c.Domain.ID)
	if err != nil {
		return fmt.Errorf("read back after %s: %w", c, err)
	}
	if c.done(s) {
		return nil
	}
	return fmt.Errorf("%s, by %s: %w: Xen has weight %d, compress %s, frozen %s", c, h.Way, ErrSilent, s.Weight, onOff(flag(s.Compress)), onOff(flag(s.Frozen)))
}

// done tells whether the settings are those that the call wants.
func (c Call) done(s tmem.Settings) bool {
	switch c.Op {
	case OpFreeze:
		return s.Frozen
	case OpThaw:
		return !s.Frozen
	case OpWeight:
		return s.Weight == c.To
	default:
		return s.Compress == (c.To == 1)
	}
}

// undo is the call that takes this one back.
func (c Call) undo() Call {
	back := Call{c.Op, c.Domain, c.To, c.From, "undone, for a later call failed"}
	switch c.Op {
	case OpFreeze:
		back.Op = OpThaw
	case OpThaw:
		back.Op = OpFreeze
	case OpWeight, OpCompress:
	}
	return back
}

// undoTime bounds an undoing, which goes on when the user has ended the run.
const undoTime = 30 * time.Second

// Result is what came of a plan.
type Result struct {
	Done []Call `json:"done"`
	// Gone are calls to domains that went away meanwhile.
	Gone []Call `json:"gone,omitempty"`
	// Undo is the settings file that takes Done back; "" where nothing was done, or
	// nobody keeps one.
	Undo string `json:"undo,omitempty"`
}

// Apply issues the calls of a plan. When one fails, those before it are undone;
// ErrNotRestored is joined to the error where that failed too, and Done then
// names what stays.
func (h Host) Apply(ctx context.Context, p Plan) (Result, error) {
	var r Result
	for _, c := range p.Calls {
		err := h.Do(ctx, c)
		switch {
		case err == nil:
			r.Done = append(r.Done, c)
		case errors.Is(err, cause.ErrNoData):
			r.Gone = append(r.Gone, c)
		default:
			return h.undo(ctx, r, c, err)
		}
	}
	return r, nil
}

// undo takes back what was done, and the call that failed too: it may have
// worked all the same.
func (h Host) undo(ctx context.Context, r Result, failed Call, why error) (Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var stays []Call
	for _, c := range slices.Backward(append(r.Done, failed)) {
		if s, err := h.Control.Settings(ctx, c.Domain.ID); err == nil && c.undo().done(s) || errors.Is(err, cause.ErrNoData) {
			continue
		}
		if err := h.Do(ctx, c.undo()); err != nil && !errors.Is(err, cause.ErrNoData) {
			stays = append(stays, c)
			why = errors.Join(why, err)
		}
	}
	r.Done = stays
	if len(stays) > 0 {
		why = errors.Join(why, cause.ErrNotRestored)
	}
	return r, why
}
