package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"xtm/kernelbuild/install"
)

func kernelRemoveCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "take away a kernel that xtm installed, and all that was done for it",
		ArgsUsage: "RELEASE",
		Description: `It refuses the kernel that runs, and the last one that is left to boot. With the last of
xtm's kernels, the default becomes what it was before the first.

   xtm kernel remove 4.19.67-tmem`,
		Flags: kernelChangeFlags(),
		Action: func(c *cli.Context) error {
			k, err := openKernel(c, env)
			if err != nil {
				return err
			}
			if c.NArg() != 1 {
				return &usageError{"remove wants one release", []string{"releases are shown by: xtm kernel list"}}
			}
			return k.remove(c.Context, c.Args().First())
		},
	}
}

func (k *kernelRun) remove(ctx context.Context, release string) error {
	if removed, err := k.recover(ctx); err != nil || removed == release {
		return err
	}
	plan, err := install.PlanRemove(k.machine, release, k.bootedBy)
	if err != nil {
		return explainKernel(err)
	}
	done, err := k.show(false, "", plan.Diff(), plan.Commands())
	if done || err != nil {
		return err
	}
	if err := k.agree(ctx, "Remove it", "do"); err != nil {
		return err
	}
	return k.report(install.Remove(ctx, k.machine, plan))
}
