package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/kernelbuild"
	"xtm/kernelbuild/install"
)

func kernelInstallCommands(env Env) []*cli.Command {
	return []*cli.Command{
		kernelInstallCommand(env), kernelConfirmCommand(env), kernelRemoveCommand(env), kernelListCommand(env),
	}
}

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

func kernelListCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show the kernels that are installed: running, default, next, xtm's, with tmem",
		ArgsUsage: noArgument,
		Description: `It changes nothing.

   xtm kernel list
   xtm kernel list --format json`,
		Flags: []cli.Flag{
			bootedByFlag(), kernelRootFlag(), &cli.StringFlag{Name: "format", Value: "table", Usage: "table, json, csv or markdown"},
		},
		Action: func(c *cli.Context) error {
			format := c.String("format")
			if !slices.Contains([]string{"table", "json", "csv", "markdown"}, format) {
				return &usageError{fmt.Sprintf("list has no format that is called %q", format), []string{"formats are: table, json, csv, markdown"}}
			}
			k, err := openKernel(c, env)
			if err != nil {
				return err
			}
			return k.list(c.Context, format)
		},
	}
}

func bootedByFlag() cli.Flag {
	return &cli.StringFlag{Name: "booted-by", Value: "auto", Usage: "what starts the kernel: auto, grub, pygrub or dom0"}
}

func kernelRootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Usage: "work on the system in this `DIR`; its programs run chrooted", TakesFile: true}
}

func kernelChangeFlags() []cli.Flag {
	return []cli.Flag{
		bootedByFlag(), kernelRootFlag(),
		&cli.BoolFlag{Name: "dry-run", Usage: "show the changes and stop"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask whether to apply the changes"},
	}
}

// kernelRun is one run of a command that installs, confirms, removes or lists.
type kernelRun struct {
	setupRun

	machine  install.Machine
	bootedBy install.Starter
}

// stateHint is where to look when xtm could not put something right.
const stateHint = "what was there before is in /var/lib/xtm/kernel/state.json"

// openKernel understands what these commands are told.
func openKernel(c *cli.Context, env Env) (*kernelRun, error) {
	k := &kernelRun{setupRun: setupRun{
		env: env, name: "kernel " + c.Command.Name, dryRun: c.Bool("dry-run"), yes: c.Bool("yes"), in: bufio.NewReader(noInput(env.Stdin)),
	}}
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
	k.machine = install.Machine{Root: root, Run: env.Run, Now: env.Now, Log: env.Stderr}
	if dir := c.String("root"); dir != "" && !hostfs.Root(dir).IsHost() {
		if info, err := os.Stat(dir); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, &usageError{msg: fmt.Sprintf("--root %s is not a folder", dir)}
		}
		k.machine.Root, k.machine.Offline = hostfs.Root(dir), true
	}
	if !k.dryRun && !env.Root && c.Command.Name != "list" {
		return nil, &exitError{
			exitNeedsRoot, fmt.Errorf("%s: it changes how the machine boots: %w", k.name, cause.ErrNeedsRoot),
			[]string{"sudo xtm " + k.name, "what it would change: sudo xtm " + k.name + " --dry-run"},
		}
	}
	return k, nil
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
	if err := k.agree(ctx, "Install this"); err != nil {
		return err
	}
	return k.report(install.Install(ctx, k.machine, plan))
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
	if err := k.agree(ctx, "Remove it"); err != nil {
		return err
	}
	return k.report(install.Remove(ctx, k.machine, plan))
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

// agree asks whether to go on.
func (k *kernelRun) agree(ctx context.Context, question string) error {
	if k.yes {
		return nil
	}
	if !k.env.Interactive {
		return &usageError{"nobody is there to ask whether to do this", []string{"to do it: --yes; only to see it: --dry-run"}}
	}
	ok, err := k.ask(ctx, question+"? [y/N] ", "y", "yes")
	if err == nil && !ok {
		err = errDeclined
	}
	return err
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
	case errors.Is(err, install.ErrNotRestored):
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

// list shows what is installed.
func (k *kernelRun) list(ctx context.Context, format string) error {
	l, err := install.ReadList(ctx, k.machine, k.bootedBy)
	if err != nil {
		return err
	}
	if format == "json" {
		return render.JSON(k.env.Stdout, l, true)
	}
	table := kernelTable(l)
	switch format {
	case "csv":
		return render.CSV(k.env.Stdout, table)
	case "markdown":
		return render.Markdown(k.env.Stdout, render.Document{table})
	}
	return render.Text(k.env.Stdout, render.Document{table}, render.Options{Width: k.env.Width})
}

// kernelTable is a row for each kernel.
func kernelTable(l install.List) render.Table {
	t := render.Table{
		Title: "Kernels", Absent: "could not be told",
		Columns: []render.Column{
			{Key: "release", Name: "Kernel"},
			{Key: "package_version", Name: "Package"},
			{Key: "running", Name: "Running"},
			{Key: "default", Name: "Default"},
			{Key: "next_once", Name: "Next,\nonce"},
			{Key: "held", Name: "Held"},
			{Key: "own", Name: "xtm's"},
			{Key: "tmem", Name: "tmem"},
		},
	}
	numbered := l.By == install.ByPygrub
	if numbered {
		t.Columns = append(t.Columns, render.Column{Key: "pygrub_entry", Name: "pygrub\n--entry", Align: render.Right})
	}
	for _, k := range l.Kernels {
		own := "no"
		switch {
		case k.Confirmed:
			own = "confirmed"
		case k.Own:
			own = "on trial"
		}
		pkg := k.Version
		if k.Status != "" && k.Status != "ii" {
			pkg += " (" + k.Status + ")"
		}
		row := []render.Cell{
			render.Str(k.Release), render.Str(pkg), yesNo(k.Running), yesNo(k.Default), yesNo(k.Next),
			yesNo(opt.Of(k.Held)), render.Str(own), tmemWay(k.Tmem),
		}
		if numbered {
			row = append(row, opt.Map(k.Number, func(n int) render.Cell { return render.Int(int64(n)) }).Or(render.Cell{}))
		}
		t.Rows = append(t.Rows, row)
	}
	by := "could not be told"
	if l.By != "" {
		by = string(l.By)
	}
	t.Notes = []string{"booted by: " + by + " (" + l.Why + ")"}
	if l.Killed != "" {
		t.Notes = append(t.Notes, l.Killed+" was killed: the next change puts it right first")
	}
	return t
}

// yesNo is a dash where it could not be told.
func yesNo(v opt.Value[bool]) render.Cell {
	return opt.Map(v, func(yes bool) render.Cell {
		if yes {
			return render.Str("yes")
		}
		return render.Str("no")
	}).Or(render.Cell{})
}

// tmemWay is what it takes to have tmem under a kernel.
func tmemWay(v opt.Value[kernelbuild.Way]) render.Cell {
	return opt.Map(v, func(w kernelbuild.Way) render.Cell {
		switch w {
		case kernelbuild.WayReady, kernelbuild.WayModprobe, kernelbuild.WayBoot:
			return render.Str("yes")
		case kernelbuild.WayBuild, kernelbuild.WayOlder:
		}
		return render.Str("no")
	}).Or(render.Cell{})
}
