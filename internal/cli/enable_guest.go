package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/setup"
)

// guestFlags are those of enable-tmem that make sense in guests alone.
var guestFlags = []string{"now", "minimal", "unguarded", "no-swap", "create-swap", "swap-size"}

// installed is where xtm's package puts it, for a system that is not running.
const installed = "/usr/bin/xtm"

// enableGuest plans, shows, asks and applies.
func (s *setupRun) enableGuest(ctx context.Context, c *cli.Context, env Env) error {
	for _, name := range []string{"guests-trusted", "accept-risk", "compress", "dedup", "dom0-mem", "xen-version"} {
		if c.IsSet(name) {
			return &usageError{msg: "--" + name + " is for hosts, and this is a guest"}
		}
	}
	if c.Bool("now") && s.machine.Offline {
		return &usageError{msg: "--now is for the running guest, and --root is another system"}
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	machine, err := setup.ProbeGuest(s.machine)
	if err != nil {
		return explainRefusal(err)
	}
	o := setup.GuestOptions{
		Minimal: c.Bool("minimal"), Unguarded: c.Bool("unguarded"), NoSwap: c.Bool("no-swap"), Program: env.Program,
	}
	o.CreateSwap = c.Bool("create-swap")
	if text := c.String("swap-size"); text != "" {
		if o.SwapSize, err = setup.ParseSize(text); err != nil {
			return &usageError{msg: "--swap-size: " + err.Error()}
		}
	}
	switch {
	case c.IsSet("swap-size") && !o.CreateSwap:
		return &usageError{msg: "--swap-size is for --create-swap"}
	case o.CreateSwap && o.NoSwap:
		return &usageError{msg: "--create-swap and --no-swap exclude each other"}
	}
	if s.machine.Offline || !filepath.IsAbs(o.Program) {
		o.Program = installed
	}
	plan, err := setup.PlanGuest(machine, o)
	if err != nil {
		return explainRefusal(err)
	}
	done, err := s.show(plan, "this guest is set up already: nothing was changed")
	if err == nil && !done {
		err = s.apply(ctx, plan, "set up from the next boot on")
	}
	if err == nil && c.Bool("now") && !s.dryRun {
		err = guard(ctx, env, s.machine, o.NoSwap)
	}
	if err == nil && len(plan.ByHand) > 0 && s.dryRun {
		return s.say("By hand: " + strings.Join(plan.ByHand, "; "))
	}
	if err == nil && len(plan.ByHand) > 0 {
		return &exitError{exitPartly, errors.New("words for the kernel's command line are left to you"), plan.ByHand}
	}
	return err
}
