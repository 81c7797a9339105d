package setup

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"xtm/internal/atomicfile"
	"xtm/internal/edit"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

// Killed tells whether a run was killed on its way, and names it: "a run of
// 2026-11-22 15:04:05 UTC".
func Killed(files hostfs.Files) (string, bool, error) {
	rec, err := readRecord(files)
	switch {
	case err != nil:
		return "", false, err
	case rec.Pending != nil:
		return "a run of " + rec.Pending.Began.Format("2006-01-02 15:04:05 MST"), true, nil
	}
	return "a run that takes a swap file away", rec.swapLeft(), nil
}

// swapLeft tells that a run has taken all away but the swap file, which goes
// last.
func (r record) swapLeft() bool { return r.Swap && len(r.Lines) == 0 }

// Recover undoes what a killed run has left half done. A file that was edited
// since keeps those edits, and loses the run's words alone. Nothing is done
// where no run was killed.
func Recover(ctx context.Context, m Machine) error {
	if found, err := m.Root.Exists(recordFile); err != nil || !found {
		return err
	}
	unlock, err := statedir.Lock(m.Root)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := readRecord(m.Root)
	switch {
	case err != nil:
		return err
	case rec.Pending == nil && rec.swapLeft():
		if err := m.removeSwap(ctx); err != nil {
			return err
		}
		rec.Swap = false
		return rec.write(m.Root)
	case rec.Pending == nil:
		return nil
	}
	if err := m.rollBack(ctx, rec); err != nil {
		return fmt.Errorf("undo the run that was killed: %w", err)
	}
	loader, err := grub.FindLoader(m.Root)
	if err != nil {
		return err
	}
	if loader.Kind == grub.GRUB2 {
		if err := m.regenerate(ctx, loader); err != nil {
			return fmt.Errorf("undo the run that was killed: %w", err)
		}
	}
	rec.Pending = nil
	return rec.write(m.Root)
}

// rollBack gives the files of a killed run their old contents.
func (m Machine) rollBack(ctx context.Context, rec record) error {
	if rec.Pending.Swap {
		if err := m.removeSwap(ctx); err != nil {
			return err
		}
	}
	edited := false
	for _, f := range rec.Pending.Files {
		now, err := edit.Read(m.Root, f.Path)
		if err != nil {
			return err
		}
		switch sum(now) {
		case f.Before:
			// The links of an init script go before it and come after it.
			if f.Path == initScript && now != nil {
				if err := m.link(ctx, true); err != nil {
					return err
				}
			}
		case f.After:
			var old []byte
			if f.Backup != "" {
				if old, err = edit.Read(m.Root, f.Backup); err != nil {
					return err
				}
				if sum(old) != f.Before {
					return fmt.Errorf("%s is not what was saved there", f.Backup)
				}
			}
			if err := m.put(ctx, f.Path, old); err != nil {
				return err
			}
		default:
			edited = true
		}
	}
	if !edited {
		return nil
	}
	for _, l := range rec.Pending.Lines {
		old, err := edit.Read(m.Root, l.Path)
		if err != nil {
			return err
		}
		if now := withoutLine(old, l.Text); old != nil && !bytes.Equal(now, old) {
			if err := m.put(ctx, l.Path, now); err != nil {
				return err
			}
		}
	}
	// What the run added goes; what it took away was gone with the edit.
	adds := slices.DeleteFunc(slices.Clone(rec.Pending.Adds), func(w Word) bool { return slices.Contains(rec.Words, w) })
	if len(adds) == 0 {
		return nil
	}
	settings, err := grub.Load(m.Root)
	if err != nil {
		return err
	}
	if settings, err = without(settings, adds); err != nil {
		return err
	}
	for _, f := range settings.Changes() {
		if err := m.put(ctx, f.Path, f.New); err != nil {
			return err
		}
	}
	return nil
}

// without takes words out of GRUB's settings.
func without(c *grub.Config, words []Word) (*grub.Config, error) {
	for _, w := range slices.Backward(words) {
		var err error
		if c, err = c.RemoveWord(w.Variable, w.Text); err != nil {
			return nil, blocked(err)
		}
	}
	return c, nil
}

// cleanUp removes what killed runs left beside the files that xtm writes.
func cleanUp(root hostfs.Root, menu string) error {
	paths := []string{
		grub.SettingsFile, grub.DropIn, recordFile, atomicfile.BackupFolder + "/x",
		etcModules, modulesLoad, modprobeD, guardUnit, guardWants, initScript,
	}
	if menu != "" {
		paths = append(paths, menu)
	}
	for _, p := range paths {
		if err := atomicfile.Clean(root, p); err != nil {
			return err
		}
	}
	return nil
}
