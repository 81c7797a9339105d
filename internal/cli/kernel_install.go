package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"xtm/internal/render"
	"xtm/kernelbuild/install"
)

func kernelInstallCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "install the packages of a build; what boots now stays the default",
		ArgsUsage: "FILE.deb...",
		Description: `Name the packages of the image and of the headers; record.json of their build lies beside them.
What boots by default now is held before dpkg runs, for GRUB would take the newest kernel.
With --boot-once the new one starts at the next boot, and only then; xtm kernel confirm makes
it the default. When a step fails, all is taken back.

In a guest that Dom0's pygrub boots, or whose kernel is Dom0's, it prints what to do in Dom0.

   xtm kernel install --dry-run *.deb
   xtm kernel install --boot-once *.deb`,
		Flags: append(kernelChangeFlags(),
			&cli.BoolFlag{Name: "boot-once", Usage: "start the new kernel at the next boot, and only then"},
			&cli.BoolFlag{Name: "no-record", Usage: "trust the packages without the record of their build"},
		),
		Action: func(c *cli.Context) error {
			k, err := openKernel(c, env)
			if err != nil {
				return err
			}
			if c.NArg() == 0 {
				return &usageError{"install wants the packages of a build", []string{"xtm kernel install --boot-once linux-image-RELEASE_*.deb linux-headers-RELEASE_*.deb"}}
			}
			return k.install(c.Context, c.Args().Slice(), c.Bool("no-record"), c.Bool("boot-once"))
		},
	}
}

func (k *kernelRun) install(ctx context.Context, files []string, trust, once bool) error {
	if _, err := k.recover(ctx); err != nil {
		return err
	}
	debs, err := install.ReadDebs(ctx, k.env.Run, files, trust)
	if err != nil {
		return explainKernel(err)
	}
	plan, err := install.PlanInstall(ctx, k.machine, debs, install.Options{BootedBy: k.bootedBy, BootOnce: once})
	if err != nil {
		return explainKernel(err)
	}
	if len(plan.Notes) > 0 {
		if err := render.Text(k.env.Stderr, render.Document{render.Findings{List: plan.Notes}}, render.Options{Width: k.env.Width}); err != nil {
			return err
		}
	}
	if err := k.inDom0(plan.InDom0(k.machine)); err != nil {
		return err // what a second run says again
	}
	done, err := k.show(plan.Done(), "Linux "+plan.Release+" is installed already", plan.Diff(), plan.Commands())
	if done || err != nil {
		return err
	}
	if err := k.agree(ctx, "Install this", "do"); err != nil {
		return err
	}
	return k.report(install.Install(ctx, k.machine, plan))
}
