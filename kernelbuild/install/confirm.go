package install

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/grub"
)

// Confirmation is what makes the running kernel the default.
type Confirmation struct {
	Release string
	By      Starter
	boot    boot
	pin     pinning
	marked  bool // it is confirmed already
}

// Done tells that there is nothing to do.
func (c Confirmation) Done() bool { return c.marked && c.pin.nothing() }

// Diff is what would be changed of files, in the unified format.
func (c Confirmation) Diff() string { return edit.Diff(c.pin.files) }

// Commands are what would be run, in order.
func (c Confirmation) Commands() []string { return c.pin.commands(&c.boot) }

// PlanConfirm decides what making the running kernel the default takes; release
// is the one that the user expects, "" is any of xtm's. A
// *cause.RefusalError says why it is not to be done, mostly that another kernel
// runs.
func PlanConfirm(m Machine, release string, said Starter) (Confirmation, error) {
	if m.Offline {
		return Confirmation{}, fmt.Errorf("confirm: only the kernel that runs can be confirmed, and %s does not run: %w", m.Root, cause.ErrNotSupported)
	}
	s, err := readState(m.Root)
	if err != nil {
		return Confirmation{}, err
	}
	if said == "" && s.Hold != nil {
		said = s.Hold.By
	}
	b, err := m.probeBoot(said)
	if err != nil {
		return Confirmation{}, err
	}
	k, ok := s.find(b.Running)
	if !ok || release != "" && release != b.Running {
		return Confirmation{}, wrongKernel(s, b.Running, release)
	}
	c := Confirmation{Release: b.Running, By: b.By, boot: b, marked: k.Confirmed}
	if b.By == ByDom0 {
		return c, nil
	}
	e, ok := b.entryOf(b.Running, b.hypervisor())
	if !ok {
		return c, errors.New("confirm: " + strings.Join(b.lacks(b.Running, false), "; "))
	}
	own, err := edit.Read(m.Root, ownScript)
	if err != nil {
		return c, err
	}
	c.pin, err = b.pin(e, false, own)
	return c, err
}

// wrongKernel says which kernels wait to be confirmed.
func wrongKernel(s state, running, release string) error {
	r := &cause.RefusalError{Kind: cause.Blocked, Seen: "Linux " + running + " is running", Why: "xtm did not install it"}
	if release != "" {
		r.Why = "that is not " + release
	}
	for _, k := range s.Kernels {
		if !k.Confirmed {
			r.Ways = append(r.Ways, "boot "+k.Release+" first: xtm kernel install --boot-once ..., then reboot")
		}
	}
	if len(r.Ways) == 0 {
		r.Ways = []string{"no kernel waits to be confirmed: xtm kernel list"}
	}
	return r
}

// Confirm makes the running kernel the default. When a step fails everything is
// as before.
func Confirm(ctx context.Context, m Machine, c Confirmation) (Outcome, error) {
	unlock, s, err := m.begin(c.pin.files)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	before := s
	p := pending{Verb: VerbConfirm, Release: c.Release, Began: m.Now().UTC(), By: c.By, Files: c.pin.files}
	if c.By == ByGRUB {
		p.Env = c.boot.envOf("saved_entry", "next_entry")
	}
	s.Pending = &p
	if err := s.write(m.Root); err != nil {
		return Outcome{}, err
	}
	b := c.boot
	if err = m.hold(ctx, &b, c.pin); err == nil {
		after := before.confirmed(c.Release)
		err = after.write(m.Root)
	}
	if err != nil {
		return Outcome{}, m.restore(ctx, before, p, err)
	}
	out := Outcome{Said: []string{"Linux " + c.Release + " is the default from now on."}}
	switch c.By {
	case ByPygrub:
		out.InDom0 = []string{"In Dom0, take bootloader_args= out of this guest's configuration again, if it is there."}
	case ByDom0:
		out.Said = []string{"Linux " + c.Release + " has booted well."}
		out.InDom0 = []string{"In Dom0, let kernel= and ramdisk= of this guest's configuration name it, if they do not."}
	case ByGRUB:
	}
	return out, nil
}

// confirmed is the state with a kernel confirmed.
func (s state) confirmed(release string) state {
	kernels := make([]kernel, len(s.Kernels))
	copy(kernels, s.Kernels)
	s.Kernels, s.Pending = kernels, nil
	if k, ok := s.find(release); ok {
		k.Confirmed = true
	}
	return s
}

// titleOf is an entry's title, or that there is none.
func titleOf(e grub.Entry, err error) string {
	if err != nil {
		return err.Error()
	}
	return e.Title
}
