package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/role"
	"xtm/periodic"
	"xtm/report"
	"xtm/report/layout"
	"xtm/report/summary"
	"xtm/xen"
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
	return []cli.Flag{
		&cli.StringFlag{Name: "root", Usage: "work on the system in this `DIR`, which does not run", TakesFile: true},
		&cli.BoolFlag{Name: "dry-run", Usage: "show the changes and stop"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask whether to apply the changes"},
	}
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
				return err
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
				return err
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
	setupRun
	machine periodic.Machine
}

func openPeriodic(c *cli.Context, env Env) (*periodicChange, error) {
	s := &periodicChange{
		setupRun: setupRun{
			env: env, name: "periodic " + c.Command.Name, dryRun: c.Bool("dry-run"), yes: c.Bool("yes"), in: bufio.NewReader(noInput(env.Stdin)),
		},
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
	if !s.yes {
		if !s.env.Interactive {
			return &usageError{"nobody is there to ask whether to apply this", []string{"to apply it: --yes; only to see it: --dry-run"}}
		}
		ok, err := s.ask(ctx, "Apply this? [y/N] ", "y", "yes")
		if err != nil {
			return err
		}
		if !ok {
			return errDeclined
		}
	}
	switch err := periodic.Apply(ctx, s.machine, plan); {
	case errors.Is(err, periodic.ErrNotRestored):
		return &exitError{exitPartly, err, []string{"sudo xtm periodic remove"}}
	case errors.Is(err, context.Canceled):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	case err != nil:
		return err
	}
	return s.say(after)
}

func periodicRun(env Env) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "report once, as the timer or the cron job does", ArgsUsage: noArgument,
		Flags: append(deliveryFlags(),
			&cli.StringFlag{Name: "source", Aliases: []string{"from"}, Value: "auto", Usage: "as in xtm report", TakesFile: true},
			&cli.StringFlag{Name: "thresholds", Usage: "TOML `FILE` that replaces limits of the checks", TakesFile: true},
		),
		Description: `It prints five lines and remembers what it saw, for the next run to compare with. It ends with 0
on a host without tmem, too, and with 4 where Xen does not run.`,
		Action: func(c *cli.Context) error {
			o := periodic.Options{Every: periodic.DefaultEvery, MailTo: c.StringSlice("mail-to"), Out: c.String("out"), Keep: c.Int("keep")}
			if err := o.Check(); err != nil {
				return &usageError{msg: err.Error()}
			}
			rules, err := thresholdsOf(c.String("thresholds"))
			if err != nil {
				return err
			}
			return runPeriodic(c.Context, env, o, c.String("source"), rules)
		},
	}
}

// thresholdsOf reads the limits of the checks from a file; "" is the default.
func thresholdsOf(file string) (report.Thresholds, error) {
	if file == "" {
		return report.DefaultThresholds(), nil
	}
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	rules, err := report.ParseThresholds(text)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("%s: %s", file, err)}
	}
	return rules, nil
}

// runPeriodic reads, compares, and delivers as far as it can: a full disk does
// not keep the mail.
func runPeriodic(ctx context.Context, env Env, o periodic.Options, name string, rules report.Thresholds) error {
	src, err := openSource(env, name)
	if errors.Is(err, cause.ErrNotSupported) {
		// No error that cron would mail each time.
		if _, err := fmt.Fprintln(env.Stdout, "Nothing to report:", render.Escape(err.Error())); err != nil {
			return err
		}
		return &exitError{code: exitNotSupported}
	}
	if err != nil {
		return err
	}
	cur, err := src.Snapshot(ctx)
	if err != nil {
		return explainNoSnapshot(err)
	}
	if cur.Host.Name == "" { // hypercalls do not tell it, and a mail without it is of no host
		cur.Host.Name = hostName(env.Files)
	}
	var failed []error
	root, live := env.Files.(hostfs.Root)
	var prev *xen.Snapshot
	if live {
		if prev, err = periodic.Last(root); err != nil {
			failed = append(failed, err)
		}
	}
	r, before := compare(prev, cur, rules)
	lines, text, data, err := renderPeriodic(before, r)
	if err != nil {
		return err
	}
	if _, err := env.Stdout.Write(lines); err != nil {
		return err
	}
	switch {
	case !live && o.Out != "":
		failed = append(failed, fmt.Errorf("keep a report: this machine is recorded: %w", cause.ErrNotSupported))
	case live:
		if cur.Recorded == "" {
			failed = append(failed, periodic.Remember(root, cur))
		}
		if o.Out != "" {
			failed = append(failed, periodic.Keep(root, o.Out, reportTime(env, r), o.Keep, text, data))
		}
	}
	if len(o.MailTo) > 0 {
		message, err := periodic.Message(o.MailTo, render.Escape(summary.Of(before, r).Subject), env.Now(), text)
		if err == nil {
			err = periodic.Send(ctx, env.Run, o.MailTo, message)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// hostName is Dom0's own name, "" where it does not tell.
func hostName(files hostfs.Files) string {
	b, err := files.ReadFile("/proc/sys/kernel/hostname")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// compare computes the report, and the one of the run before; nil for the first.
func compare(prev *xen.Snapshot, cur xen.Snapshot, rules report.Thresholds) (now report.Report, before *report.Report) {
	if prev != nil {
		before = new(report.Compute(nil, *prev, rules))
	}
	return report.Compute(prev, cur, rules), before
}

// periodicWidth is that of a report in a mail or a file.
const periodicWidth = 100

// renderPeriodic writes the five lines, the whole text and the JSON.
func renderPeriodic(before *report.Report, r report.Report) (lines, text, data []byte, err error) {
	var b, all, js bytes.Buffer
	for _, line := range summary.Of(before, r).Lines {
		b.WriteString(render.Escape(line) + "\n")
	}
	all.Write(b.Bytes())
	all.WriteString("\n")
	if err := render.Text(&all, layout.Document(r, layout.Options{Units: "auto"}), render.Options{Width: periodicWidth}); err != nil {
		return nil, nil, nil, err
	}
	if err := render.JSON(&js, layout.Filter(r, layout.Options{}), true); err != nil {
		return nil, nil, nil, err
	}
	return b.Bytes(), all.Bytes(), js.Bytes(), nil
}

// reportTime is when the host was read.
func reportTime(env Env, r report.Report) time.Time {
	if r.End.IsZero() {
		return env.Now()
	}
	return r.End
}
