package cli

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/kernelbuild/install"
)

func kernelConfirmCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "confirm",
		Usage:     "make the kernel that runs the default, after a good boot",
		ArgsUsage: "[RELEASE]",
		Description: `It refuses where the kernel that runs is not one that xtm installed, or not RELEASE.

   xtm kernel confirm`,
		Flags: []cli.Flag{bootedByFlag(), &cli.BoolFlag{Name: "dry-run", Usage: "show the changes and stop"}},
		Action: func(c *cli.Context) error {
			k, err := openKernel(c, env)
			if err != nil {
				return err
			}
			if c.NArg() > 1 {
				return &usageError{msg: "confirm takes one release, but got " + strings.Join(c.Args().Slice(), ", ")}
			}
			return k.confirm(c.Context, c.Args().First())
		},
	}
}

func (k *kernelRun) confirm(ctx context.Context, release string) error {
	if _, err := k.recover(ctx); err != nil {
		return err
	}
	plan, err := install.PlanConfirm(k.machine, release, k.bootedBy)
	if err != nil {
		return explainKernel(err)
	}
	done, err := k.show(plan.Done(), "Linux "+plan.Release+" is confirmed already", plan.Diff(), plan.Commands())
	if done || err != nil {
		return err
	}
	return k.report(install.Confirm(ctx, k.machine, plan))
}
