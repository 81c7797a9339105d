package setup

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen/xenstore"
)

// Guest is a running guest that is set up.
type Guest struct {
	Machine
	// Proof does a proof's input and output, Choose names its files.
	Proof  guest.ProofIO
	Choose func(context.Context, []guest.FileSystem) []string
	// BlockSize is what statfs says of a mount point; nil where Root is not the
	// running system.
	BlockSize func(point string) (units.Bytes, error)
	// Target is the memory that the toolstack means this guest to have.
	Target func(context.Context) (units.KiB, error)
	// Wait lets time go by.
	Wait func(context.Context, time.Duration) error
}

// LiveGuest is the running machine as a Guest.
func LiveGuest(m Machine) (Guest, error) {
	mounts, err := guest.ReadMounts(m.Root)
	if err != nil {
		return Guest{}, err
	}
	d := guest.Disk{Root: m.Root, Mounts: mounts}
	return Guest{
		Machine: m, Proof: d, Choose: d.ProofFiles, BlockSize: d.BlockSize, Target: toolstackTarget,
		Wait: func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, nil
}

// toolstackTarget reads memory/target, which xl writes in KiB, below this
// domain's own folder.
func toolstackTarget(ctx context.Context) (units.KiB, error) {
	c := xenstore.New(xenstore.Local)
	defer c.Close() //nolint:errcheck // it was only read
	text, err := c.Read(ctx, "memory/target")
	if err != nil {
		return 0, fmt.Errorf("read memory/target of xenstore: %w", err)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("read memory/target of xenstore: %.40q is no size", text)
	}
	return units.KiB(n), nil
}

// Guarded is how a guest stands after the guard.
type Guarded struct {
	// On tells that selfballooning is on.
	On    bool
	Proof guest.Proof
	// Why says why it is off, and Did what was done, a sentence each.
	Why string
	Did []string
}

// Guard loads the driver with selfballooning off, proves that a pool stands
// behind this guest, and only then switches selfballooning on. Without a proof
// it is off, and the guest is told to be as large as the toolstack means it to
// be: off alone would leave it small. noSwap goes on without a swap area.
func (g Guest) Guard(ctx context.Context, noSwap bool) (Guarded, error) {
	s := guest.Read(g.Root, g.BlockSize)
	var out Guarded
	if err := mayGuard(s); err != nil {
		if b, ok := s.Balloon.Get(); ok && b.Shrinks() {
			if errRestore := g.restore(ctx, b, &out); errRestore != nil {
				return out, errRestore
			}
		}
		return out, err
	}
	if b, ok := s.Balloon.Get(); ok && b.Shrinks() {
		if err := guest.SetTunable(g.Root, guest.Selfballoon, 0); err != nil {
			return out, err
		}
	}
	if s.Module.Or(guest.Module{}).Presence == guest.OnDisk {
		if err := g.run(ctx, append([]string{"modprobe", "tmem"}, quietParams(s)...)); err != nil {
			return out, err
		}
		out.did("module tmem was loaded, with selfballooning off")
	}
	s = guest.Read(g.Root, g.BlockSize)
	b, ok := s.Balloon.Get()
	if !ok || !b.HasSelfballooning() {
		out.Why = "this kernel has no selfballooning; cleancache and frontswap work without it"
		return out, g.prove(ctx, s, &out)
	}
	if err := g.prove(ctx, s, &out); err != nil {
		return out, err
	}
	swaps := s.Swaps.Or(nil)
	switch {
	case out.Proof.Outcome != guest.Proved:
		out.Why = out.Proof.String()
	case len(swaps) == 0 && !noSwap:
		out.Why = "no swap area is active: a guest that shrinks without one fails to start programs"
	default:
		return out, g.switchOn(s, &out)
	}
	return out, g.restore(ctx, b, &out)
}

// mayGuard refuses a guest in which there is nothing to guard.
func mayGuard(s guest.State) error {
	if answer, why := s.Possible(); answer == guest.No {
		return &cause.RefusalError{Kind: cause.Impossible, Seen: why, Why: "there can be no pool behind this guest", Ways: GuestWays(s)}
	}
	driver, m := s.Support().Era.Driver, s.Module.Or(guest.Module{})
	if driver == guest.BuiltIn || m.Presence == guest.InKernel {
		line, ok := s.BootLine.Get()
		if !ok || !line.Has("tmem", s.Support().Era) {
			return &cause.RefusalError{
				Kind: cause.Blocked, Seen: "tmem is built into this kernel and is not on its command line",
				Why: "it starts only with the word there", Ways: []string{"xtm enable-tmem, then a reboot"},
			}
		}
		return nil
	}
	if m.Presence == guest.Absent {
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: "this kernel has no module tmem", Why: "nothing here can ask Xen for a pool",
			Ways: []string{"its whole package may have it (Ubuntu: linux-modules-extra)", buildKernel(s)},
		}
	}
	return nil
}

func (o *Guarded) did(format string, args ...any) {
	o.Did = append(o.Did, fmt.Sprintf(format, args...))
}

func (g Guest) prove(ctx context.Context, s guest.State, out *Guarded) (err error) {
	out.Proof, err = guest.Prove(ctx, g.Proof, g.Choose(ctx, s.Filesys.Or(nil)))
	return err
}

// switchOn gives the kernel the reserve that it takes only when it starts by
// itself, and then lets it go.
func (g Guest) switchOn(s guest.State, out *Guarded) error {
	b := s.Balloon.Or(guest.Balloon{})
	if reserved, there := b.Settings[guest.SelfballoonReserve]; there && reserved == 0 {
		reserve := max(1, guest.DefaultReserve(s.Memory.Or(guest.Memory{}).Managed))
		if err := guest.SetTunable(g.Root, guest.SelfballoonReserve, uint64(reserve)); err != nil {
			return err
		}
		out.did("%d MiB, a tenth of the memory, are reserved", reserve)
	}
	if _, there := b.Settings[guest.Selfshrinking]; there && len(s.Swaps.Or(nil)) > 0 {
		if err := guest.SetTunable(g.Root, guest.Selfshrinking, 1); err != nil {
			return err
		}
	}
	if err := guest.SetTunable(g.Root, guest.Selfballoon, 1); err != nil {
		return err
	}
	out.On = true
	out.did("selfballooning is on: %s", out.Proof.Why)
	return nil
}

const (
	// restoreWait is how long the host is given to hand the memory back.
	restoreWait = 20 * time.Second
	restoreStep = 500 * time.Millisecond
)

// restore switches selfballooning off and lets the guest grow to what the
// toolstack means it to be.
func (g Guest) restore(ctx context.Context, b guest.Balloon, out *Guarded) error {
	for _, name := range []string{guest.Selfballoon, guest.Selfshrinking} {
		if _, there := b.Settings[name]; there {
			if err := guest.SetTunable(g.Root, name, 0); err != nil {
				return err
			}
		}
	}
	out.did("selfballooning is off")
	target, err := g.Target(ctx)
	if err != nil {
		if b.Current >= b.Target {
			return nil
		}
		return fmt.Errorf("selfballooning is off, but the guest stays small: %w", err)
	}
	if b.Current >= target {
		return nil
	}
	if err := guest.SetTunable(g.Root, guest.TargetKiB, uint64(target)); err != nil {
		return err
	}
	for waited := time.Duration(0); waited < restoreWait; waited += restoreStep {
		if b, err = guest.ReadBalloon(g.Root); err != nil {
			return err
		}
		if b.Current >= target {
			out.did("the guest is back at %s KiB, the toolstack's target", units.Group(target))
			return nil
		}
		if err := g.Wait(ctx, restoreStep); err != nil {
			return err
		}
	}
	out.did("the guest has %s KiB of the %s that the toolstack means it to have: the host has not given the rest back", units.Group(b.Current), units.Group(target))
	return nil
}

// Stop switches selfballooning off and lets the guest grow back. Nothing is done
// where nothing shrinks it.
func (g Guest) Stop(ctx context.Context) (Guarded, error) {
	var out Guarded
	b, err := guest.ReadBalloon(g.Root)
	if cause.Of(err) == cause.NoData || err == nil && !b.Shrinks() {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	return out, g.restore(ctx, b, &out)
}

// buildKernel is the way to a kernel that has what this one lacks.
func buildKernel(s guest.State) string {
	return "build this kernel with what it lacks: " + strings.Join(s.KernelBuild(), "; then: ")
}

// GuestWays are what works in a guest without tmem, with its own figures.
func GuestWays(s guest.State) []string {
	size := "between memory and maxmem"
	if m, ok := s.Memory.Get(); ok {
		used := opt.Map(m.Available, func(a units.Pages) units.KiB { return (m.Managed - a).KiB() })
		size = fmt.Sprintf("it has %d MiB now", m.Managed.KiB()/1024)
		if u, ok := used.Get(); ok {
			size += fmt.Sprintf(" and uses %d", u/1024)
		}
	}
	return []string{
		"compress memory in this guest: zswap.enabled=1 on its kernel's command line, or at once: echo Y > /sys/module/zswap/parameters/enabled",
		"balloon it from Dom0 (" + size + "): xl mem-set NAME MIB",
		"on the host: dom0_mem fixed, memory and maxmem in this guest's configuration",
	}
}
