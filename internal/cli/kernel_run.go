package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/kernelbuild/install"
)

func bootedByFlag() cli.Flag {
	return &cli.StringFlag{Name: "booted-by", Value: "auto", Usage: "what starts the kernel: auto, grub, pygrub or dom0"}
}

func kernelChangeFlags() []cli.Flag {
	return append([]cli.Flag{bootedByFlag(), rootFlag()}, dialogFlags()...)
}

// kernelRun is one run of a command that installs, confirms, removes or lists.
type kernelRun struct {
	dialog

	machine  install.Machine
	bootedBy install.Starter
}

// stateHint is where to look when xtm could not put something right.
const stateHint = "what was there before is in /var/lib/xtm/kernel/state.json"

// openKernel understands what these commands are told.
func openKernel(c *cli.Context, env Env) (*kernelRun, error) {
	k := &kernelRun{dialog: openDialog(c, env, "kernel "+c.Command.Name)}
	switch by := c.String("booted-by"); by {
	case "auto":
	case "grub", "pygrub", "dom0":
		k.bootedBy = install.Starter(by)
	default:
		return nil, &usageError{fmt.Sprintf("nothing is booted by %q", by), []string{"it is one of: auto, grub, pygrub, dom0"}}
	}
	root, ok := env.Files.(hostfs.Root)
	if !ok {
		return nil, fmt.Errorf("%s: a recorded machine has no kernels: %w", k.name, cause.ErrNotSupported)
	}
	root, offline, err := rootOf(c, root)
	if err != nil {
		return nil, err
	}
	k.machine = install.Machine{Root: root, Run: env.Run, Now: env.Now, Offline: offline, Log: env.Stderr}
	if c.Command.Name == "list" {
		return k, nil
	}
	return k, k.mayChangeBoot()
}

// recover puts right what a killed run left, or says so where nothing may
// change. It returns the release that it has removed so.
func (k *kernelRun) recover(ctx context.Context) (removed string, err error) {
	what, killed, err := install.Killed(k.machine.Root)
	switch {
	case err != nil:
		return "", err
	case killed && k.dryRun:
		return "", k.say("There is " + what + " that was killed; without --dry-run it is put right first.")
	case k.dryRun:
		return "", nil
	}
	if removed, err = install.Recover(ctx, k.machine); err != nil {
		return "", &exitError{exitPartly, err, []string{stateHint}}
	}
	if killed {
		err = k.say("There was " + what + " that was killed; it has been put right.")
	}
	return removed, err
}

// show prints what would change. done tells that this is the end.
func (k *kernelRun) show(nothingToDo bool, nothing, diff string, commands []string) (done bool, err error) {
	if nothingToDo {
		return true, k.say(nothing + ": nothing was changed")
	}
	if _, err := io.WriteString(k.env.Stdout, diff); err != nil {
		return true, err
	}
	for _, c := range commands {
		if _, err := fmt.Fprintln(k.env.Stdout, "$ "+render.Escape(c)); err != nil {
			return true, err
		}
	}
	if k.dryRun {
		return true, k.say("Nothing was changed. Without --dry-run this is done.")
	}
	return false, nil
}

// report says what was done, or why not.
func (k *kernelRun) report(out install.Outcome, err error) error {
	for _, s := range out.Said {
		if err := k.say(s); err != nil {
			return err
		}
	}
	if err := k.inDom0(out.InDom0); err != nil {
		return err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cause.ErrNotRestored):
		return &exitError{exitPartly, err, []string{"the next run tries again", stateHint}}
	case errors.Is(err, context.Canceled):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	case install.IsRestored(err):
		return &exitError{exitFailed, fmt.Errorf("everything is as before: %w", err), nil}
	}
	return explainKernel(err)
}

// inDom0 prints what is to be done there.
func (k *kernelRun) inDom0(lines []string) error {
	for _, s := range lines {
		if _, err := fmt.Fprintln(k.env.Stdout, render.Escape(s)); err != nil {
			return err
		}
	}
	return nil
}

// explainKernel gives what was refused or stopped half way its exit code.
func explainKernel(err error) error {
	if p, ok := errors.AsType[*install.PartlyError](err); ok {
		return &exitError{exitPartly, errors.New(render.Escape(p.Error())), p.Ways}
	}
	return explainRefusal(err)
}
