package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/internal/statedir"
	"xtm/internal/units"
)

// Outcome is what is true after a change.
type Outcome struct {
	// Backups are the copies of the old files.
	Backups []string
	// Fix is what to do where something else than Xen boots next; Seen is what
	// was found then.
	Seen string
	Fix  []string
}

// Apply carries out a plan: it writes the settings, has the menu made again and
// proves both. When a step fails everything is as before.
func Apply(ctx context.Context, m Machine, p Plan) (Outcome, error) {
	c := change{
		Machine: m, loader: p.boot.Loader, files: p.files, own: p.own(), adds: p.added, drops: p.dropped,
		lines: p.lines, swap: p.swap, unswap: p.unswap, takesAway: p.disables,
		remake: p.remakesMenu(), settingsOf: p.proveSettings, menuOf: p.proveMenu,
	}
	if p.settings != nil {
		c.files = append(p.settings.Changes(), p.files...)
	}
	backups, err := c.do(ctx)
	out := Outcome{Backups: backups}
	if err == nil && p.Role == role.Host && len(p.dropped) == 0 {
		out.Seen, out.Fix, err = nextBoot(m.Root)
	}
	return out, err
}

// change is one run that alters GRUB's settings.
type change struct {
	Machine
	loader grub.Loader
	files  []edit.Change
	// own are those of files that are xtm's own.
	own    []edit.Change
	lines  []fileLine
	swap   units.MiB
	unswap bool
	// takesAway tells that all that is on record goes.
	takesAway bool
	// remake makes the boot menu anew and proves it.
	remake bool
	// adds go into the record, drops out of it.
	adds, drops []Word
	// settingsOf and menuOf prove what was written and what was made of it.
	settingsOf func(*grub.Config) error
	menuOf     func(grub.Menu) error
}

// do is the whole change, or its undoing.
func (c change) do(ctx context.Context) (backups []string, err error) {
	unlock, err := statedir.Lock(c.Root)
	if err != nil {
		return nil, err
	}
	defer unlock()
	rec, err := readRecord(c.Root)
	if err != nil {
		return nil, err
	}
	if rec.Pending != nil {
		return nil, errors.New("a run was killed: its changes are to be undone first")
	}
	if err := edit.Unchanged(c.Root, c.files); err != nil {
		return nil, err
	}
	var menu []byte
	if c.remake {
		if menu, err = c.Root.ReadFile(c.loader.Menu); err != nil {
			return nil, err
		}
	}
	before := rec
	if rec.Pending, backups, err = c.backUp(); err != nil {
		return backups, err
	}
	if err := rec.write(c.Root); err != nil {
		return backups, err
	}
	after := before
	after.Words = slices.DeleteFunc(append(slices.Clone(before.Words), c.adds...), func(w Word) bool { return slices.Contains(c.drops, w) })
	after.Files, after.Lines = c.ownFiles(before.Files), append(slices.Clone(before.Lines), c.lines...)
	after.Swap = before.Swap || c.swap > 0
	if c.takesAway {
		after.Lines = nil
	}
	err = c.carryOut(ctx)
	if err == nil {
		err = after.write(c.Root)
	}
	if err != nil {
		return backups, c.undo(err, before, menu)
	}
	if c.unswap {
		// The record names the swap file until it is gone.
		if err := c.removeSwap(ctx); err != nil {
			return backups, fmt.Errorf("%w: %w", cause.ErrNotRestored, err)
		}
		after.Swap = false
		return backups, after.write(c.Root)
	}
	return backups, nil
}

// ownFiles are xtm's own files after the change.
func (c change) ownFiles(before []string) []string {
	after := slices.Clone(before)
	for _, f := range c.own {
		after = slices.DeleteFunc(after, func(p string) bool { return p == f.Path })
		if f.New != nil {
			after = append(after, f.Path)
		}
	}
	return after
}

// backUp copies the old files, and grub.cfg for who wants to look.
func (c change) backUp() (*pending, []string, error) {
	at := c.Now()
	p := &pending{Began: at.UTC(), Adds: c.adds, Lines: c.lines, Swap: c.swap > 0}
	var copies []string
	if c.remake {
		menu, err := backUp(c.Root, &at, c.loader.Menu)
		if err != nil {
			return nil, nil, err
		}
		copies = append(copies, menu)
	}
	for _, f := range c.files {
		change := fileChange{Path: f.Path, Before: sum(f.Old), After: sum(f.New)}
		if f.Old != nil {
			to, err := backUp(c.Root, &at, f.Path)
			if err != nil {
				return nil, copies, err
			}
			change.Backup = to
			copies = append(copies, to)
		}
		p.Files = append(p.Files, change)
	}
	return p, copies, nil
}

// backUp takes the next second where a run within the same one was there.
func backUp(root hostfs.Root, at *time.Time, p string) (string, error) {
	const tries = 60
	for i := 0; ; i++ {
		to, err := atomicfile.Backup(root, *at, p)
		if !errors.Is(err, fs.ErrExist) || i == tries {
			return to, err
		}
		*at = at.Add(time.Second)
	}
}

// carryOut writes, makes the menu again and proves both.
func (c change) carryOut(ctx context.Context) error {
	if c.swap > 0 {
		if err := c.makeSwap(ctx, c.swap); err != nil {
			return err
		}
	}
	for _, f := range c.files {
		if err := c.put(ctx, f.Path, f.New); err != nil {
			return err
		}
	}
	if !c.remake {
		return nil
	}
	settings, err := grub.Load(c.Root)
	if err != nil {
		return err
	}
	if err := c.settingsOf(settings); err != nil {
		return err
	}
	if err := c.regenerate(ctx, c.loader); err != nil {
		return err
	}
	menu, err := grub.ReadMenu(c.Root, c.loader)
	if err != nil {
		return err
	}
	return c.menuOf(menu)
}

// regenerate makes the boot menu from the settings.
func (m Machine) regenerate(ctx context.Context, l grub.Loader) error {
	err := m.run(ctx, l.Command)
	if missing := m.Missing(); err != nil && len(missing) > 0 {
		return fmt.Errorf("%w (in %s there is no %s: mount them)", err, m.Root, strings.Join(missing, ", "))
	}
	return err
}

// undo puts the files back as they were, the menu too, byte for byte: the
// program that makes it may be what failed. The context is not asked: an
// interrupted run is restored.
func (c change) undo(failure error, rec record, menu []byte) error {
	var failed []error
	if c.swap > 0 {
		if err := c.removeSwap(context.Background()); err != nil {
			failed = append(failed, err)
		}
	}
	for _, f := range c.files {
		now, err := edit.Read(c.Root, f.Path)
		if err == nil && edit.Same(now, f.Old) && f.Path != initScript {
			continue
		}
		if err := c.put(context.Background(), f.Path, f.Old); err != nil {
			failed = append(failed, err)
		}
	}
	if now, err := edit.Read(c.Root, c.loader.Menu); c.remake && (err != nil || !bytes.Equal(now, menu)) {
		if err := atomicfile.Replace(c.Root, c.loader.Menu, menu, 0o600); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		rec.Pending = nil
		if err := rec.write(c.Root); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return failure
	}
	err := fmt.Errorf("%w; %w: %w", failure, cause.ErrNotRestored, failed[0])
	for _, f := range failed[1:] {
		err = fmt.Errorf("%w; %w", err, f)
	}
	return err
}
