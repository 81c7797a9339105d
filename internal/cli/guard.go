package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/setup"
)

func guardCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "guard",
		Usage:     "in a guest: prove that its host has tmem, and only then let it shrink itself",
		ArgsUsage: noArgument,
		Description: `enable-tmem installs it as a service that runs at each boot. It loads module tmem with
selfballooning off, reads a file twice to see whether its pages come back from the host, and
then switches selfballooning on, or off for good; with it off, the guest gets its memory back.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-swap", Usage: "switch it on without a swap area, too"},
		},
		Action: func(c *cli.Context) error {
			root, ok := env.Files.(hostfs.Root)
			if !ok {
				return fmt.Errorf("guard: a recorded machine cannot be changed: %w", cause.ErrNotSupported)
			}
			switch side, _, err := findRole(root, false, "auto"); {
			case err != nil:
				return err
			case side != role.Guest:
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
	d := dialog{env: env}
	for _, did := range out.Did {
		if err := d.say(did); err != nil {
			return err
		}
	}
	if err != nil {
		return explainRefusal(err)
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
