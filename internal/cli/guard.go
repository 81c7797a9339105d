package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/setup"
)

// guestFlags are those of enable-tmem that make sense in guests alone.
var guestFlags = []string{"now", "minimal", "unguarded", "no-swap", "create-swap", "swap-size"}

// installed is where xtm's package puts it, for a system that is not running.
const installed = "/usr/bin/xtm"

func guardCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "guard",
		Usage:     "in a guest: prove that its host has tmem, and only then let it shrink itself",
		ArgsUsage: " ",
		Description: `enable-tmem installs it as a service that runs at each boot. It loads module tmem with
selfballooning off, reads a file twice to see whether its pages come back from the host, and
then switches selfballooning on, or off for good; with it off, the guest gets its memory back.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-swap", Usage: "switch it on without a swap area, too"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return &usageError{msg: fmt.Sprintf("guard takes no argument, but got %q", c.Args().First())}
			}
			root, ok := env.Files.(hostfs.Root)
			switch side, err := setupRole(setup.Machine{Root: root}, "auto"); {
			case !ok:
				return fmt.Errorf("guard: a recorded machine cannot be changed: %w", cause.ErrNotSupported)
			case err != nil:
				return err
			case side != "guest":
				return &exitError{
					exitNotSupported, fmt.Errorf("this is Dom0, which never balloons itself: %w", cause.ErrNotSupported),
					[]string{"run it in guests"},
				}
			case !env.Root:
				return &exitError{exitNeedsRoot, fmt.Errorf("guard: it loads a module: %w", cause.ErrNeedsRoot), []string{"sudo xtm guard"}}
			}
			return guard(c.Context, env, setup.Machine{Root: root, Run: env.Run, Now: env.Now}, c.Bool("no-swap"))
		},
	}
}

// guard runs it and says what came of it.
func guard(ctx context.Context, env Env, m setup.Machine, noSwap bool) error {
	g, err := setup.LiveGuest(m)
	if err != nil {
		return err
	}
	out, err := g.Guard(ctx, noSwap)
	s := &setupRun{env: env}
	for _, did := range out.Did {
		if err := s.say(did); err != nil {
			return err
		}
	}
	if err != nil {
		return explainSetup(err)
	}
	switch {
	case out.On:
		return nil
	case out.Proof.Outcome == guest.NoPool:
		return &exitError{
			exitNotSupported, errors.New(out.Why),
			[]string{"in Dom0: xtm status; then, if its guests are trusted: xtm enable-tmem"},
		}
	}
	return &exitError{exitPartly, errors.New(out.Why), []string{"what is missing here: xtm status"}}
}

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
		return explainSetup(err)
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
		return explainSetup(err)
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
