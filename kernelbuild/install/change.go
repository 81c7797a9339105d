package install

import (
	"context"
	"fmt"

	"xtm/internal/atomicfile"
	"xtm/internal/edit"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

// remake makes the boot menu again and reads it.
func (m Machine) remake(ctx context.Context, b *boot) error {
	if err := m.must(ctx, b.Loader.Command...); err != nil {
		return err
	}
	return b.Reread(m.Root)
}

// setEnv gives variables of GRUB's environment block values, nil for none. A
// variable that has its value is left alone.
func (m Machine) setEnv(ctx context.Context, b *boot, values map[string]*string) error {
	for _, name := range []string{"saved_entry", "next_entry"} {
		value, ok := values[name]
		now, is := b.Env[name]
		switch {
		case !ok, value == nil && !is, value != nil && is && *value == now:
			continue
		case value == nil:
			if err := m.must(ctx, "grub-editenv", b.Loader.EnvBlock, "unset", name); err != nil {
				return err
			}
		default:
			if err := m.must(ctx, "grub-editenv", b.Loader.EnvBlock, "set", name+"="+*value); err != nil {
				return err
			}
		}
	}
	return b.Reread(m.Root)
}

// envOf is GRUB's environment as it is, to be put back.
func (b *boot) envOf(names ...string) map[string]*string {
	out := map[string]*string{}
	for _, n := range names {
		out[n] = nil
		if v, ok := b.Env[n]; ok {
			out[n] = &v
		}
	}
	return out
}

// hold carries out a pinning and proves it, where there is anything to do.
func (m Machine) hold(ctx context.Context, b *boot, p pinning) error {
	if p.nothing() {
		return nil
	}
	if p.saved != "" {
		if err := m.setEnv(ctx, b, map[string]*string{"saved_entry": &p.saved}); err != nil {
			return err
		}
	}
	for _, f := range p.files {
		if err := f.Put(m.Root, f.New); err != nil {
			return err
		}
	}
	if len(p.files) > 0 {
		if err := m.remake(ctx, b); err != nil {
			return err
		}
	}
	return b.prove(p.entry)
}

// rollBack undoes what a run has done so far: packages, settings, environment,
// menu. The context's end does not stop it: an interrupted run is restored.
func (m Machine) rollBack(ctx context.Context, p pending, by Starter) error {
	ctx = context.WithoutCancel(ctx)
	if len(p.Packages) > 0 {
		if err := m.purge(ctx, p.Packages); err != nil {
			return err
		}
	}
	if p.Marked != "" {
		if err := m.must(ctx, "apt-mark", "auto", p.Marked); err != nil {
			return err
		}
	}
	for _, f := range p.Files {
		now, err := edit.Read(m.Root, f.Path)
		if err != nil {
			return err
		}
		switch {
		case edit.Same(now, f.New):
			err = f.Put(m.Root, f.Old)
		case !edit.Same(now, f.Old) && f.Path == grub.SettingsFile:
			err = m.unassign() // somebody has edited it since: that stays
		}
		if err != nil {
			return err
		}
	}
	if by == ByDom0 {
		return nil
	}
	b, err := m.probeBoot(by)
	if err != nil {
		return err
	}
	if by == ByGRUB {
		if err := m.setEnv(ctx, &b, p.Env); err != nil {
			return err
		}
	}
	return m.remake(ctx, &b)
}

// unassign takes xtm's line out of GRUB's settings as they are now.
func (m Machine) unassign() error {
	settings, err := grub.Load(m.Root)
	if err != nil {
		return err
	}
	b := boot{Boot: grub.Boot{Settings: settings}}
	files, err := b.unpin(nil)
	for _, f := range files {
		if err == nil {
			err = f.Put(m.Root, f.New)
		}
	}
	return err
}

// Killed tells whether a run was killed on its way, and names it.
func Killed(files hostfs.Files) (string, bool, error) {
	s, err := readState(files)
	if err != nil || s.Pending == nil {
		return "", false, err
	}
	p := s.Pending
	return fmt.Sprintf("a run that was to %s %s, of %s", p.Verb, p.Release, p.Began.Format("2006-01-02 15:04:05 MST")), true, nil
}

// Recover puts right what a killed run left: what it was installing or
// confirming is undone, what it was removing is removed, and its release
// returned. Nothing is done where no run was killed but to remove the temporary
// folders of one.
func Recover(ctx context.Context, m Machine) (removed string, err error) {
	if found, err := m.Root.Exists(stateFolder); err != nil || !found {
		return "", err
	}
	unlock, err := statedir.Lock(m.Root)
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, p := range []string{stateFile, grub.SettingsFile, grub.KernelDropIn, ownScript} {
		if err := atomicfile.Clean(m.Root, p); err != nil {
			return "", err
		}
	}
	s, err := readState(m.Root)
	if err != nil || s.Pending == nil {
		return "", err
	}
	p := *s.Pending
	if p.Verb == VerbRemove {
		if err := m.finishRemoval(ctx, s); err != nil {
			return "", fmt.Errorf("finish the removal of %s: %w", p.Release, err)
		}
		return p.Release, nil
	}
	if err := m.rollBack(ctx, p, p.By); err != nil {
		return "", fmt.Errorf("undo the run that was killed: %w", err)
	}
	s.Pending = nil
	return "", s.write(m.Root)
}
