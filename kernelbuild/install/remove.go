package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/grub"
	"xtm/internal/run"
)

// Removal is what taking a kernel away takes.
type Removal struct {
	Release string
	By      Starter
	boot    boot
	kernel  kernel
	// pin makes another kernel the default first, where this one is it.
	pin pinning
	// last tells that it is the last of xtm's: the default becomes what it was.
	last  bool
	files []edit.Change
}

// Diff is what would be changed of files, in the unified format.
func (r Removal) Diff() string { return edit.Diff(append(slices.Clone(r.pin.files), r.files...)) }

// Commands are what would be run, in order.
func (r Removal) Commands() []string {
	out := r.pin.commands(&r.boot)
	return append(out, run.Cmd{Name: "dpkg", Args: append([]string{"--force-remove-reinstreq", "--purge"}, r.kernel.Packages...)}.String())
}

// PlanRemove decides what taking a kernel away takes. A
// *cause.RefusalError says why it is not to be done: it runs, xtm did not install
// it, or no other would be left.
func PlanRemove(m Machine, release string, said Starter) (Removal, error) {
	s, err := readState(m.Root)
	if err != nil {
		return Removal{}, err
	}
	return m.planRemove(s, release, said)
}

func (m Machine) planRemove(s state, release string, said Starter) (Removal, error) {
	r := Removal{Release: release}
	k, ok := s.find(release)
	if !ok {
		return r, notOurs(s, release)
	}
	r.kernel, r.last = *k, len(s.Kernels) == 1
	if said == "" && s.Hold != nil {
		said = s.Hold.By
	}
	var err error
	if r.boot, err = m.probeBoot(said); err != nil {
		return r, err
	}
	r.By = r.boot.By
	if r.boot.Running == release {
		return r, &cause.RefusalError{
			Kind: cause.Blocked, Seen: "Linux " + release + " is running", Why: "a kernel is not removed under itself",
			Ways: []string{"boot another one first: xtm kernel list"},
		}
	}
	if r.By == ByDom0 {
		return r, nil
	}
	if err := r.replaceDefault(m, s); err != nil {
		return r, err
	}
	if r.last {
		own, err := edit.Read(m.Root, ownScript)
		if err != nil {
			return r, err
		}
		if r.files, err = r.boot.unpin(own); err != nil {
			return r, err
		}
	}
	return r, nil
}

func notOurs(s state, release string) error {
	r := &cause.RefusalError{Kind: cause.Blocked, Seen: "xtm did not install Linux " + release, Why: "it removes only what it has installed"}
	for _, k := range s.Kernels {
		r.Ways = append(r.Ways, "xtm kernel remove "+k.Release)
	}
	if releaseName.MatchString(release) {
		r.Ways = append(r.Ways, "a kernel of the distribution's: apt-get purge "+imagePrefix+release)
	}
	return r
}

// replaceDefault finds what boots by default when the kernel has gone.
func (r *Removal) replaceDefault(m Machine, s state) error {
	others := slices.DeleteFunc(r.boot.releases(), func(o string) bool {
		if o == r.Release {
			return true
		}
		found, err := m.Root.Exists("/boot/vmlinuz-" + o)
		return err != nil || !found
	})
	if len(others) == 0 {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: "no other kernel is in " + r.boot.Loader.Menu, Why: "nothing would be left to boot",
			Ways: []string{"install a kernel of the distribution's first: apt-get install linux-image-amd64"},
		}
	}
	e, err := r.boot.usual()
	if err != nil {
		return err
	}
	if linux(e) == r.Release {
		to := others[0]
		for _, better := range []string{r.boot.Running, s.Hold.known()} {
			if slices.Contains(others, better) {
				to = better
			}
		}
		var ok bool
		if e, ok = r.boot.entryOf(to, r.boot.hypervisor()); !ok {
			return errors.New("remove: " + strings.Join(r.boot.lacks(to, false), "; "))
		}
	}
	if e, err = r.boot.fixed(e); err != nil {
		return err
	}
	own, err := edit.Read(m.Root, ownScript)
	if err != nil {
		return err
	}
	r.pin, err = r.boot.pin(e, true, own)
	return err
}

func (h *hold) known() string {
	if h == nil {
		return ""
	}
	return h.Known
}

// Remove takes a kernel away: another one becomes the default where this one was
// it, and with the last of xtm's the default becomes what it was before the
// first. A killed Remove is finished by Recover.
func Remove(ctx context.Context, m Machine, r Removal) (Outcome, error) {
	unlock, s, err := m.begin(append(slices.Clone(r.pin.files), onlyNew(r)...))
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	before := s
	s.Pending = &pending{Verb: VerbRemove, Release: r.Release, Began: m.Now().UTC(), By: r.By}
	if err := s.write(m.Root); err != nil {
		return Outcome{}, err
	}
	b := r.boot
	if err := m.hold(ctx, &b, r.pin); err != nil {
		// Nothing has gone yet: this can still be taken back.
		p := pending{By: r.By, Files: r.pin.files}
		if r.By == ByGRUB {
			p.Env = r.boot.envOf("saved_entry")
		}
		return Outcome{}, m.restore(ctx, before, p, err)
	}
	if err := m.takeAway(context.WithoutCancel(ctx), s); err != nil {
		return Outcome{}, &PartlyError{Seen: err.Error(), Ways: []string{"the default boots; to finish it: xtm kernel remove " + r.Release}}
	}
	out := Outcome{Said: []string{"Linux " + r.Release + " is removed."}}
	if r.By == ByDom0 {
		out.InDom0 = []string{"In Dom0, delete what was copied there of it."}
		return out, nil
	}
	if b, err = m.probeBoot(r.By); err != nil {
		return out, err
	}
	e, err := b.usual()
	out.Said = append(out.Said, fmt.Sprintf("The default is %q.", titleOf(e, err)))
	return out, nil
}

// onlyNew are the changes of unpin in files that pin leaves alone.
func onlyNew(r Removal) []edit.Change {
	return slices.DeleteFunc(slices.Clone(r.files), func(f edit.Change) bool {
		return slices.ContainsFunc(r.pin.files, func(p edit.Change) bool { return p.Path == f.Path })
	})
}

// finishRemoval is what Remove does, from wherever it was killed.
func (m Machine) finishRemoval(ctx context.Context, s state) error {
	p := *s.Pending
	if p.By == ByDom0 {
		return m.takeAway(ctx, s)
	}
	if running, err := readLine(m.Root, "/proc/sys/kernel/osrelease"); !m.Offline && (err != nil || running == p.Release) {
		return errors.Join(err, fmt.Errorf("linux %s is running now: boot another kernel first", p.Release))
	}
	// The packages may be gone and the menu may still name the kernel, or not.
	there := s
	there.Pending = nil
	if r, err := m.planRemove(there, p.Release, p.By); err == nil {
		b := r.boot
		if err := m.hold(ctx, &b, r.pin); err != nil {
			return err
		}
	} else if _, refused := errors.AsType[*cause.RefusalError](err); !refused {
		return err
	}
	return m.takeAway(ctx, s)
}

// takeAway purges the packages, which are not the default's, and with the last
// kernel all that held the default.
func (m Machine) takeAway(ctx context.Context, s state) error {
	p := *s.Pending
	k, ok := s.find(p.Release)
	if !ok {
		return fmt.Errorf("remove %s: it is not on record", p.Release)
	}
	after := s.without(p.Release)
	env := map[string]*string{}
	if p.By != ByDom0 {
		b, err := m.probeBoot(p.By)
		if err != nil {
			return err
		}
		if e, err := b.next(); p.By == ByGRUB && (err != nil || linux(e) == p.Release) {
			env["next_entry"] = nil
		}
		if err := m.setEnv(ctx, &b, env); err != nil {
			return err
		}
	}
	if err := m.purge(ctx, k.Packages); err != nil {
		return err
	}
	if err := m.leftovers(p.Release); err != nil {
		return err
	}
	if after.Hold == nil && s.Hold != nil {
		if err := m.release(ctx, p.By, *s.Hold); err != nil {
			return err
		}
	}
	if p.By != ByDom0 {
		b, err := m.probeBoot(p.By)
		if err != nil {
			return err
		}
		if err := m.remake(ctx, &b); err != nil {
			return err
		}
		if err := b.gone(p.Release); err != nil {
			return err
		}
	}
	return after.write(m.Root)
}

// leftovers removes the initrd where no hook has done so: the menu would have
// no use for it, and /boot is small.
func (m Machine) leftovers(release string) error {
	for _, p := range []string{"/boot/initrd.img-" + release} {
		found, err := m.Root.Exists(p)
		if err == nil && found {
			err = atomicfile.Remove(m.Root, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release gives the default back to what had it before the first kernel of
// xtm's.
func (m Machine) release(ctx context.Context, by Starter, h hold) error {
	for _, name := range h.Marked {
		if err := m.must(ctx, "apt-mark", "auto", name); err != nil {
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
	own, err := edit.Read(m.Root, ownScript)
	if err != nil {
		return err
	}
	files, err := b.unpin(own)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := f.Put(m.Root, f.New); err != nil {
			return err
		}
	}
	if by != ByGRUB {
		return nil
	}
	return m.setEnv(ctx, &b, map[string]*string{"saved_entry": h.Saved})
}

// gone makes sure that a menu is without a kernel and boots another.
func (b *boot) gone(release string) error {
	for e := range b.Menu.All() {
		if linux(e) == release {
			return fmt.Errorf("prove it in %s: line %d: %q still starts %s", b.Loader.Menu, e.Line, e.Title, release)
		}
	}
	var e grub.Entry
	e, err := b.usual()
	if err == nil && len(e.Linux) == 0 && len(b.releases()) == 0 {
		err = errors.New("no entry starts Linux")
	}
	if err != nil {
		return fmt.Errorf("prove it in %s: %w", b.Loader.Menu, err)
	}
	return nil
}
