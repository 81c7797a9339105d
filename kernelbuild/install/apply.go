package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/statedir"
)

// Outcome is what is true after a change.
type Outcome struct {
	// Said is what was done and proved, a sentence each.
	Said []string
	// InDom0 are lines to be carried out there, with their explanations.
	InDom0 []string
}

// Install carries out a plan. When a step fails everything is as before, packages
// too; only where a module of dkms is missing for the new kernel is it left
// installed, never to boot by itself, and the error is a *PartlyError.
func Install(ctx context.Context, m Machine, p Plan) (Outcome, error) {
	unlock, s, err := m.begin(p.pin.files)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	before := s
	pend := pending{Verb: VerbInstall, Release: p.Release, Began: m.Now().UTC(), By: p.By, Files: p.pin.files, Marked: p.mark}
	for _, d := range p.debs {
		pend.Packages = append(pend.Packages, d.Name)
	}
	if p.By == ByGRUB {
		pend.Env = p.boot.envOf("saved_entry", "next_entry")
	}
	after := p.after(before, m)
	s.Pending = &pend
	if err := s.write(m.Root); err != nil {
		return Outcome{}, err
	}
	out, err := p.carryOut(ctx, m)
	partly, isPartly := errors.AsType[*PartlyError](err)
	if err == nil || isPartly {
		err = after.write(m.Root)
	}
	if err != nil {
		return Outcome{}, m.restore(ctx, before, pend, err)
	}
	if isPartly {
		return out, partly
	}
	return out, nil
}

// InDom0 are the lines to be carried out in Dom0 where all is done here already;
// none elsewhere.
func (p Plan) InDom0(m Machine) []string {
	if !p.Done() || !p.wantsOnce && p.By != ByDom0 {
		return nil
	}
	initrd, err := m.Root.Exists("/boot/initrd.img-" + p.Release)
	return p.boot.trial(p.Release, initrd && err == nil)
}

// begin locks the machine and makes sure that nothing has changed since the plan.
func (m Machine) begin(files []edit.Change) (unlock func(), s state, err error) {
	if unlock, err = statedir.Lock(m.Root); err != nil {
		return nil, s, err
	}
	if s, err = readState(m.Root); err == nil && s.Pending != nil {
		err = errors.New("a run was killed: it is to be put right first")
	}
	if err == nil {
		err = edit.Unchanged(m.Root, files)
	}
	if err != nil {
		unlock()
		return nil, s, err
	}
	return unlock, s, nil
}

// restore undoes a run and takes its mark out of the state.
func (m Machine) restore(ctx context.Context, before state, p pending, failure error) error {
	err := m.rollBack(ctx, p, p.By)
	if err == nil {
		err = before.write(m.Root)
	}
	if err != nil {
		return errors.Join(failure, cause.ErrNotRestored, err)
	}
	return failure
}

// after is the state when all is done.
func (p Plan) after(s state, m Machine) state {
	s.Kernels = slices.Clone(s.Kernels)
	if p.fresh {
		s.Kernels = append(s.Kernels, kernel{Release: p.Release, Packages: p.packages, Version: p.version, Added: m.Now().UTC()})
	} else if k, ok := s.find(p.Release); ok {
		k.Packages = p.packages
	}
	if s.Hold == nil {
		s.Hold = &hold{By: p.By, Known: p.known}
		if p.By == ByGRUB {
			s.Hold.Saved = p.boot.envOf("saved_entry")["saved_entry"]
		}
	} else {
		h := *s.Hold
		s.Hold = &h
	}
	if p.mark != "" {
		s.Hold.Marked = append(slices.Clone(s.Hold.Marked), p.mark)
	}
	return s
}

// carryOut holds the default, installs, proves, and has the new kernel boot once.
func (p Plan) carryOut(ctx context.Context, m Machine) (Outcome, error) {
	b := p.boot
	var out Outcome
	if p.mark != "" {
		if err := m.must(ctx, "apt-mark", "manual", p.mark); err != nil {
			return out, err
		}
	}
	if err := m.hold(ctx, &b, p.pin); err != nil {
		return out, err
	}
	if len(p.debs) > 0 {
		if err := m.install(ctx, p.debs); err != nil {
			return out, err
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
	}
	initrd, err := p.verify(ctx, m)
	if err != nil {
		return out, err
	}
	out.Said = append(out.Said, "Linux "+p.Release+" is installed.")
	if b.By != ByDom0 {
		if err := p.proveMenu(ctx, m, &b, initrd); err != nil {
			return out, err
		}
		e, err := b.usual()
		if err != nil {
			return out, err
		}
		out.Said = append(out.Said, fmt.Sprintf("%s has entries of it; the default is %q.", b.Loader.Menu, e.Title))
	}
	if err := p.proveDKMS(ctx, m); err != nil {
		return out, err
	}
	if p.once {
		if err := m.bootOnce(ctx, &b, p.Release); err != nil {
			return out, err
		}
		out.Said = append(out.Said, "The next boot, and only that, starts it; afterwards: xtm kernel confirm")
	}
	if p.wantsOnce || b.By == ByDom0 {
		out.InDom0 = b.trial(p.Release, initrd)
	}
	return out, nil
}

// verify looks at what dpkg and the hooks left. initrd tells whether this system
// makes one.
func (p Plan) verify(ctx context.Context, m Machine) (initrd bool, err error) {
	there, err := m.present(ctx, p.packages...)
	if err != nil {
		return false, err
	}
	for _, name := range p.packages {
		if i := there[name]; i.Status != "ii" || name == imagePrefix+p.Release && i.Version != p.version {
			return false, fmt.Errorf("prove the packages: dpkg has %s %s in the state %q", name, i.Version, i.Status)
		}
	}
	files := []string{"/boot/vmlinuz-" + p.Release}
	for _, hook := range []string{"initramfs-tools", "dracut"} {
		for _, dir := range []string{"/etc/kernel/postinst.d/", "/usr/share/kernel/postinst.d/"} {
			found, err := m.Root.Exists(dir + hook)
			if err != nil {
				return false, err
			}
			initrd = initrd || found
		}
	}
	if initrd {
		files = append(files, "/boot/initrd.img-"+p.Release)
	}
	for _, f := range files {
		size, err := m.size(f)
		if err == nil && size == 0 {
			err = fmt.Errorf("%s is empty", f)
		}
		if err != nil {
			return initrd, fmt.Errorf("prove the files: %w", err)
		}
	}
	return initrd, nil
}

// proveMenu makes sure that the menu has the new kernel and boots the old one.
// The hooks make it again; where they have not, it is made here.
func (p Plan) proveMenu(ctx context.Context, m Machine, b *boot, initrd bool) error {
	if err := b.Reread(m.Root); err != nil {
		return err
	}
	if lacks := b.lacks(p.Release, initrd); len(lacks) > 0 {
		if err := m.remake(ctx, b); err != nil {
			return err
		}
		if lacks = b.lacks(p.Release, initrd); len(lacks) > 0 {
			return fmt.Errorf("prove it in %s: %s", b.Loader.Menu, strings.Join(lacks, "; "))
		}
	}
	return b.prove(p.pin.entry)
}

// proveDKMS stops where a module that works now is not there for the new kernel.
func (p Plan) proveDKMS(ctx context.Context, m Machine) error {
	modules, err := m.dkms(ctx)
	if err != nil {
		return err
	}
	works := p.known
	if p.By == ByDom0 {
		works = p.boot.Running
	}
	if works == p.Release {
		return nil
	}
	names := lacking(modules, works, p.Release)
	if len(names) == 0 {
		return nil
	}
	e := &PartlyError{Seen: fmt.Sprintf("Linux %s is installed and will not boot by itself: dkms has no %s for it", p.Release, strings.Join(names, ", "))}
	for _, n := range names {
		e.Ways = append(e.Ways, fmt.Sprintf("dkms install %s -k %s, then the same command again", n, p.Release))
	}
	e.Ways = append(e.Ways, "to take it back: xtm kernel remove "+p.Release)
	return e
}

// IsRestored tells whether a failed change has left everything as it was.
func IsRestored(err error) bool {
	_, partly := errors.AsType[*PartlyError](err)
	return !partly && !errors.Is(err, cause.ErrNotRestored) && !errors.Is(err, edit.ErrChanged) && !errors.Is(err, statedir.ErrLocked) && cause.Of(err) != cause.NeedsRoot
}
