package tune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Keeper freezes domains so that none stays frozen when its process dies: the
// next run thaws what is overdue.
type Keeper struct {
	Host
	Root hostfs.Root
	Now  func() time.Time
	// Boot is Dom0's boot, Self this process, Alive tells of others.
	Boot  string
	Self  Process
	Alive func(Process) bool
	// Timer has the next run made for us after a hold's deadline; nil is nobody.
	Timer Timer
}

// Timer starts a run of xtm after a deadline, whatever becomes of this process.
type Timer interface {
	Arm(ctx context.Context, h Hold) error
	Disarm(ctx context.Context, h Hold) error
}

// HeldError is a domain that another run of xtm has frozen.
type HeldError struct{ Hold Hold }

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is frozen by process %d until %s", e.Hold.Domain, e.Hold.Process.PID, e.Hold.Deadline.UTC().Format("15:04:05 MST"))
}

// Hints tell how to end it.
func (e *HeldError) Hints() []string {
	return []string{fmt.Sprintf("xtm tune thaw %d", e.Hold.Domain.ID)}
}

// BusyError is a domain that is left alone.
type BusyError struct {
	Domain Ref
	Why    string
}

func (e *BusyError) Error() string { return fmt.Sprintf("%s is left alone: %s", e.Domain, e.Why) }

// Hints tell what to do.
func (e *BusyError) Hints() []string {
	return []string{"when no save and no migration of it runs, and it is frozen by mistake: " + fmt.Sprintf("xl tmem-thaw %d", e.Domain.ID)}
}

// Freeze freezes a domain until a deadline. The dead man's file is on the disk
// before it does, and goes again where freezing fails. unarmed says why nobody
// will wake up for the deadline, nil is that somebody does.
func (k Keeper) Freeze(ctx context.Context, d Domain, until time.Time, keep bool) (h Hold, unarmed, err error) {
	if d.Hold != nil {
		return *d.Hold, nil, &HeldError{*d.Hold}
	}
	if why, busy := d.Busy(); busy {
		return Hold{}, nil, &BusyError{d.Ref, why}
	}
	if d.Frozen {
		return Hold{}, nil, &BusyError{d.Ref, "it is frozen already, and not by xtm"}
	}
	h = Hold{
		Schema: holdSchema, Domain: d.Ref, Process: k.Self, Boot: k.Boot,
		Began: k.Now().UTC(), Deadline: until.UTC(), Keep: keep,
	}
	if err := h.write(k.Root); err != nil {
		return h, nil, err
	}
	if k.Timer != nil {
		unarmed = k.Timer.Arm(ctx, h)
	}
	err = k.Do(ctx, Call{Op: OpFreeze, Domain: d.Ref, To: 1})
	if err == nil {
		return h, unarmed, nil
	}
	// It may be frozen all the same.
	if _, errThaw := k.Release(ctx, h); errThaw != nil {
		err = errors.Join(err, errThaw)
	}
	return h, nil, err
}

// Released is how a hold ended.
type Released string

// The ways.
const (
	Thawed    Released = "thawed"
	WasThawed Released = "was not frozen any more"
	WasGone   Released = "is no client of tmem any more"
)

// Release thaws a domain and forgets the hold. It goes on when ctx has ended. A
// domain that is migrated by now is a *BusyError and stays on record: Xen gives it
// its freeze back when the migration fails, so it is thawed afterwards.
func (k Keeper) Release(ctx context.Context, h Hold) (Released, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	how, err := k.release(ctx, h)
	if err != nil {
		return how, err
	}
	if err := h.remove(k.Root); err != nil {
		return how, err
	}
	if k.Timer != nil {
		// A timer that is left over finds nothing to do.
		_ = k.Timer.Disarm(ctx, h)
	}
	return how, nil
}

func (k Keeper) release(ctx context.Context, h Hold) (Released, error) {
	s, err := k.Control.Settings(ctx, h.Domain.ID)
	switch {
	case errors.Is(err, cause.ErrNoData):
		return WasGone, nil
	case err != nil:
		return "", err
	case s.Migrating.Or(false):
		return "", &BusyError{h.Domain, "it is being migrated; xtm thaws it when that is over"}
	case !s.Frozen:
		return WasThawed, nil
	}
	if err := k.Do(ctx, Call{Op: OpThaw, Domain: h.Domain, From: 1}); err != nil && !errors.Is(err, cause.ErrNoData) {
		return "", err
	}
	return Thawed, nil
}

// Ended is a hold that somebody left behind, and what was done about it.
type Ended struct {
	Hold Hold
	Why  string
	How  Released
	Err  error
}

// Honour ends the holds that are due: those of runs that were killed, and those
// past their deadline. now are the domains as they are; a hold on a domain that
// is another by now is forgotten without touching that one.
func (k Keeper) Honour(ctx context.Context, holds []Hold, now []Domain) []Ended {
	var out []Ended
	for _, h := range holds {
		why, due := h.Due(k.Now(), k.Boot, k.Alive)
		if !due {
			continue
		}
		e := Ended{Hold: h, Why: why}
		if d, ok := find(now, h.Domain.ID); !ok || !d.Same(h.Domain) || h.Boot != k.Boot {
			e.How = WasGone
			e.Err = h.remove(k.Root)
		} else {
			e.How, e.Err = k.Release(ctx, h)
		}
		out = append(out, e)
	}
	return out
}

// Thaw thaws a domain that the user names, whoever froze it, unless it is saved
// or migrated.
func (k Keeper) Thaw(ctx context.Context, d Domain) (Released, error) {
	if why, busy := d.Busy(); busy {
		return "", &BusyError{d.Ref, why}
	}
	h := Hold{Domain: d.Ref}
	if d.Hold != nil {
		h = *d.Hold
	}
	return k.Release(ctx, h)
}
