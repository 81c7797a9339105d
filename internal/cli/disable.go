package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"xtm/internal/role"
	"xtm/setup"
)

func disableCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "disable-tmem",
		Usage:     "undo what enable-tmem did, and nothing else",
		ArgsUsage: noArgument,
		Description: `It takes out the words that enable-tmem has put there, also when the files were edited in
between, has the boot menu made again and proves that they are gone.

   xtm disable-tmem --dry-run          what it would change
   xtm disable-tmem                    do it, with a question`,
		Flags: setupFlags(),
		Action: func(c *cli.Context) error {
			s, err := openSetup(c, env, true)
			if err != nil {
				return err
			}
			return s.disable(c.Context)
		},
	}
}

func (s *setupRun) disable(ctx context.Context) error {
	if err := s.recover(ctx); err != nil {
		return err
	}
	plan, err := setup.PlanDisable(s.machine, s.role)
	if err != nil {
		return explainRefusal(err)
	}
	done, err := s.show(plan, "there is nothing of xtm's to undo: nothing was changed")
	if err == nil && !done {
		err = s.apply(ctx, plan, "what xtm has put there is gone from the next boot on")
	}
	if err != nil || s.dryRun || s.machine.Offline || s.role != role.Guest {
		return err
	}
	return s.stop(ctx)
}

// stop ends what runs in this guest.
func (s *setupRun) stop(ctx context.Context) error {
	g, err := setup.LiveGuest(s.machine)
	if err != nil {
		return err
	}
	out, err := g.Stop(ctx)
	for _, did := range out.Did {
		if err := s.say(did); err != nil {
			return err
		}
	}
	if err != nil {
		return &exitError{exitPartly, err, []string{"its target, from Dom0: xl mem-set NAME MIB"}}
	}
	return nil
}
