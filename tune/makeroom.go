package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/units"
	"xtm/xen"
)

// RoomRun makes room for a new guest.
type RoomRun struct {
	Keeper
	// Wait lets time go by; it returns ctx's error where that ended first.
	Wait func(ctx context.Context, d time.Duration) error
	// Resize tells a guest how large to be, as xl mem-set does.
	Resize func(ctx context.Context, who Ref, to units.KiB) error
	// Start creates the guest; where it is nil the room is held for Hold, or until
	// it was taken.
	Start func(ctx context.Context) error
	Hold  time.Duration
	// Within bounds the making.
	Within time.Duration
	// Say tells what happens, a sentence each.
	Say func(string)
}

// Gave is what a guest that was asked did.
type Gave struct {
	Ref
	Asked units.KiB `json:"asked_kib"`
	Gave  units.KiB `json:"gave_kib"`
}

// RoomResult is what came of it.
type RoomResult struct {
	// Ready tells that the room was there, Taken that somebody took it.
	Ready   bool      `json:"ready"`
	Taken   bool      `json:"taken"`
	Flushed units.KiB `json:"flushed_kib"`
	Free    units.KiB `json:"free_kib"`
	// Slow are those that did not give what they were asked for, Grew those that
	// took more meanwhile.
	Slow []Gave `json:"did_not_give,omitempty"`
	Grew []Gave `json:"grew,omitempty"`
}

const (
	roomStep = 500 * time.Millisecond
	// startTime is how long a start may take before the guests are thawed by the
	// next run.
	startTime = 10 * time.Minute
	// flushStep is taken back in one call: Xen serves no other tmem call meanwhile.
	flushStep units.KiB = 256 << 10
	// roomSlack is what may lack of the room at the end: a page or two are always
	// on their way.
	roomSlack units.KiB = 1024
)

// ErrNoRoom means that the room was not there within the time.
var ErrNoRoom = errors.New("the room could not be made")

// roomAtWork is one making.
type roomAtWork struct {
	RoomRun
	room  Room
	out   RoomResult
	holds []Hold
	// asked are the guests that were told another size, with what they had.
	asked map[units.DomID]units.KiB
	first xen.Snapshot
}

// Make freezes, takes back, asks, and starts the guest or holds the room; in any
// case it thaws all that it froze. What guests were asked for stays when it
// worked, and is taken back when not.
func (r RoomRun) Make(ctx context.Context, seen Seen, room Room) (RoomResult, error) {
	w := &roomAtWork{RoomRun: r, room: room, asked: map[units.DomID]units.KiB{}, first: seen.Snapshot}
	err := w.make(ctx, seen)
	if err != nil && !w.out.Taken {
		err = errors.Join(err, w.takeBack(ctx))
	}
	for _, h := range slices.Backward(w.holds) {
		if _, errThaw := r.Release(ctx, h); errThaw != nil {
			err = errors.Join(err, errThaw, cause.ErrNotRestored)
		}
	}
	if len(w.holds) > 0 {
		r.Say(fmt.Sprintf("%d guests are thawed.", len(w.holds)))
	}
	return w.out, err
}

func (w *roomAtWork) make(ctx context.Context, seen Seen) error {
	if w.Flusher == nil {
		return fmt.Errorf("take memory back from tmem: no xl can do it: %w", cause.ErrNotSupported)
	}
	begin := w.Now()
	until := begin.Add(w.Within + w.Hold + startTime)
	for _, g := range w.room.Guests {
		if d, ok := find(seen.Domains, g.ID); ok && g.Freeze {
			if err := w.freeze(ctx, d, until); err != nil {
				return err
			}
		}
	}
	if err := w.ask(ctx); err != nil {
		return err
	}
	for {
		ready, progress, err := w.step(ctx)
		switch {
		case err != nil:
			return err
		case ready:
			w.out.Ready = true
			return w.use(ctx)
		case w.Now().Sub(begin) >= w.Within:
			return w.give(ctx)
		case progress:
			continue
		}
		if err := w.Wait(ctx, roomStep); err != nil {
			return err
		}
	}
}

func (w *roomAtWork) freeze(ctx context.Context, d Domain, until time.Time) error {
	h, _, err := w.Freeze(ctx, d, until, false)
	if errors.Is(err, cause.ErrNoData) {
		return nil // it went in between
	}
	if err == nil {
		w.holds = append(w.holds, h)
		w.Say(d.String() + " is frozen.")
	}
	return err
}

// ask tells the guests that were named their new size.
func (w *roomAtWork) ask(ctx context.Context) error {
	for _, g := range w.room.Guests {
		if g.AskTo == 0 {
			continue
		}
		old := g.Current.Or(0)
		if d, ok := domainOf(w.first, g.ID); ok {
			old = d.Target.Or(old)
		}
		w.asked[g.ID] = old
		if err := w.Resize(ctx, g.Ref, g.AskTo); err != nil {
			return err
		}
		w.Say(fmt.Sprintf("%s is asked to go down to %d MiB.", g.Ref, g.AskTo/1024))
	}
	return nil
}

// step looks at what is free and takes back what lacks. Who becomes a client of
// tmem meanwhile is frozen too.
func (w *roomAtWork) step(ctx context.Context) (ready, progress bool, err error) {
	seen, err := w.Look(ctx, w.holds)
	if err != nil {
		return false, false, err
	}
	room, err := seen.PlanRoom(units.MiB(w.room.Want/1024), nil, w.room.Toolstack)
	if err != nil {
		return false, false, err
	}
	for _, g := range room.Guests {
		ours := slices.ContainsFunc(w.holds, func(h Hold) bool { return h.Domain.ID == g.ID })
		if d, ok := find(seen.Domains, g.ID); ok && g.Freeze && !ours {
			if err := w.freeze(ctx, d, w.Now().Add(w.Within+w.Hold+startTime)); err != nil {
				return false, false, err
			}
		}
	}
	w.out.Free = room.Free
	lacks := room.Need - room.Free
	if lacks <= 0 {
		return true, false, nil
	}
	freeable, err := w.Flusher.Freeable(ctx)
	if err != nil || freeable == 0 {
		return false, false, err
	}
	got, err := w.Flusher.Flush(ctx, min(lacks, freeable.KiB(), flushStep))
	if err != nil {
		return false, false, err
	}
	w.out.Flushed += got
	return false, got > 0, nil
}

// use starts the guest, or holds the room.
func (w *roomAtWork) use(ctx context.Context) error {
	w.Say(fmt.Sprintf("The room is there: %d MiB are free, %d of them taken back from tmem.", w.out.Free/1024, w.out.Flushed/1024))
	if w.Start != nil {
		err := w.Start(ctx)
		w.out.Taken = err == nil
		return err
	}
	ready, begin := w.out.Free, w.Now()
	for w.Now().Sub(begin) < w.Hold {
		snap, err := w.Source.Snapshot(ctx)
		if err != nil {
			return err
		}
		if free := snap.Host.Free.Or(0) - snap.Host.Outstanding.Or(0); free <= ready-w.room.Want*9/10 {
			w.out.Taken = true
			w.Say("The room was taken.")
			return nil
		}
		if err := w.Wait(ctx, roomStep); err != nil {
			return err
		}
	}
	w.Say(fmt.Sprintf("Nobody took the room within %s.", w.Hold))
	return nil
}

// give says who did not give what they were asked for, and who took more.
func (w *roomAtWork) give(ctx context.Context) error {
	snap, err := w.Source.Snapshot(ctx)
	if err != nil {
		return err
	}
	var who strings.Builder
	for _, g := range w.room.Guests {
		now, ok := domainOf(snap, g.ID)
		if !ok {
			continue
		}
		was, is := g.Current.Or(0), now.Current.Or(0)
		if g.AskTo > 0 && is > g.AskTo+roomSlack {
			w.out.Slow = append(w.out.Slow, Gave{g.Ref, was - g.AskTo, max(0, was-is)})
			fmt.Fprintf(&who, "; %s was asked for %d MiB and gave %d", g.Ref, (was-g.AskTo)/1024, max(0, was-is)/1024)
		}
		if is > was+roomSlack {
			w.out.Grew = append(w.out.Grew, Gave{g.Ref, 0, was - is})
			fmt.Fprintf(&who, "; %s took %d MiB more meanwhile", g.Ref, (is-was)/1024)
		}
	}
	return fmt.Errorf("%w within %s: %d MiB of %d are free%s", ErrNoRoom, w.Within, w.out.Free/1024, w.room.Need/1024, who.String())
}

// takeBack tells the guests that were asked their old size again.
func (w *roomAtWork) takeBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var failed []error
	for _, g := range w.room.Guests {
		old, ok := w.asked[g.ID]
		if !ok {
			continue
		}
		if err := w.Resize(ctx, g.Ref, old); err != nil {
			failed = append(failed, err, cause.ErrNotRestored)
			continue
		}
		w.Say(fmt.Sprintf("%s has its old size again, %d MiB.", g.Ref, old/1024))
	}
	return errors.Join(failed...)
}
