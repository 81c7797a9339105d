package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/periodic"
)

func periodicCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "periodic",
		Usage:     "have this host reported on again and again",
		ArgsUsage: noArgument,
		Description: `It installs a systemd timer, or a cron job where there is no systemd. Each run says in five
lines what changed since the one before and what to do.

   xtm periodic install                            every hour; the journal has it, or cron's mail
   xtm periodic install --every 24h --mail-to root
   xtm periodic install --out /var/log/xtm         keeps a week of reports there
   xtm periodic remove                             undoes it`,
		Subcommands: []*cli.Command{periodicInstall(env), periodicRemove(env), periodicRun(env)},
	}
}

// installFlags are those of install and remove.
func installFlags() []cli.Flag {
	root := &cli.StringFlag{Name: "root", Usage: "work on the system in this `DIR`, which does not run", TakesFile: true}
	return append([]cli.Flag{root}, dialogFlags()...)
}

// deliveryFlags say where a report goes.
func deliveryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "mail-to", Usage: "mail it to this `ADDRESS` through the local sendmail (may be repeated)"},
		&cli.StringFlag{Name: "out", Usage: "keep it in this `DIR`, as text and JSON", TakesFile: true},
		&cli.IntFlag{Name: "keep", Value: periodic.DefaultKeep, Usage: "with --out: keep `N` reports and remove older ones"},
	}
}

func periodicInstall(env Env) *cli.Command {
	flags := append(deliveryFlags(),
		&cli.DurationFlag{Name: "every", Value: periodic.DefaultEvery, Usage: "report after this time: 5m, 15m, 1h, 6h, 24h, 168h and what else divides an hour or a day"},
		&cli.StringFlag{Name: "scheduler", Usage: "systemd or cron; without it the one that this machine has"},
	)
	return &cli.Command{
		Name: "install", Usage: "install the timer or the cron job", ArgsUsage: noArgument, Flags: append(flags, installFlags()...),
		Description: "It shows what it will write, asks, and undoes all of it when a step fails. Run again, it changes\nwhat is different, and nothing where nothing is.",
		Action: func(c *cli.Context) error {
			s, err := openPeriodic(c, env)
			if err != nil {
				return err
			}
			o := periodic.Options{
				Every: c.Duration("every"), MailTo: c.StringSlice("mail-to"), Out: c.String("out"), Keep: c.Int("keep"),
				Program: env.Program, Scheduler: periodic.Scheduler(c.String("scheduler")),
			}
			if s.machine.Offline || !filepath.IsAbs(o.Program) {
				o.Program = installed
			}
			if err := o.Check(); err != nil {
				return &usageError{msg: err.Error()}
			}
			if err := s.mayReport(); err != nil {
				return err
			}
			plan, err := periodic.PlanInstall(c.Context, s.machine, o)
			if err != nil {
				return explainRefusal(err)
			}
			after := "Installed. The first one at once: xtm periodic run"
			if plan.Scheduler == periodic.Systemd {
				after = "Installed. When it runs: systemctl list-timers xtm-periodic.timer. The first one at once: systemctl start xtm-periodic.service"
			}
			return s.carryOut(c.Context, plan, "it is installed already: nothing was changed", after)
		},
	}
}

func periodicRemove(env Env) *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "take away what install installed", ArgsUsage: noArgument, Flags: installFlags(),
		Description: "Reports that were kept stay.",
		Action: func(c *cli.Context) error {
			s, err := openPeriodic(c, env)
			if err != nil {
				return err
			}
			plan, err := periodic.PlanRemove(c.Context, s.machine)
			if err != nil {
				return explainRefusal(err)
			}
			after := "Removed."
			if plan.Reports != "" {
				after += " Reports that are in " + plan.Reports + " stay."
			}
			return s.carryOut(c.Context, plan, "there is nothing to remove", after)
		},
	}
}

// periodicChange is one run of install or remove.
type periodicChange struct {
	dialog

	machine periodic.Machine
}

func openPeriodic(c *cli.Context, env Env) (*periodicChange, error) {
	s := &periodicChange{
		dialog:  openDialog(c, env, "periodic "+c.Command.Name),
		machine: periodic.Machine{Files: env.Files, Run: env.Run},
	}
	root, live := env.Files.(hostfs.Root)
	root, offline, err := rootOf(c, root)
	if err != nil {
		return nil, err
	}
	if live || offline {
		s.machine.Files, s.machine.Root, s.machine.Offline = root, &root, offline
	}
	if !s.dryRun && !env.Root {
		return nil, &exitError{
			exitNeedsRoot, fmt.Errorf("%s: it writes below /etc: %w", s.name, cause.ErrNeedsRoot),
			[]string{"sudo xtm " + s.name, "what it would change: xtm " + s.name + " --dry-run"},
		}
	}
	return s, nil
}

// mayReport refuses a guest, and says where Xen does not run.
func (s *periodicChange) mayReport() error {
	if s.machine.Offline {
		return nil
	}
	switch found, seen, err := role.Detect(s.machine.Files); {
	case err != nil:
		return err
	case found == role.Guest:
		return &exitError{
			exitNotSupported, fmt.Errorf("this is a guest, and only Dom0 sees the host: %s: %w", seen, cause.ErrNotSupported),
			[]string{"run it in Dom0"},
		}
	case found == role.None:
		return s.say("This does not run under Xen (" + seen + "): until it does, runs end with nothing to report.")
	}
	return nil
}

// carryOut shows, asks and applies.
func (s *periodicChange) carryOut(ctx context.Context, plan periodic.Plan, nothing, after string) error {
	if plan.Done() {
		return s.say(strings.ToUpper(nothing[:1]) + nothing[1:] + ".")
	}
	if _, err := io.WriteString(s.env.Stdout, plan.Diff()); err != nil {
		return err
	}
	if s.dryRun {
		return s.say("Nothing was changed. Without --dry-run this is done.")
	}
	if err := s.agree(ctx, "Apply this", "apply"); err != nil {
		return err
	}
	switch err := periodic.Apply(ctx, s.machine, plan); {
	case errors.Is(err, cause.ErrNotRestored):
		return &exitError{exitPartly, err, []string{"sudo xtm periodic remove"}}
	case errors.Is(err, context.Canceled):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	case err != nil:
		return err
	}
	return s.say(after)
}
