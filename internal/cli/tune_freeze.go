package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/tune"
)

// longestFreeze bounds --for: a frozen guest swaps to its disk.
const longestFreeze = 24 * time.Hour

func tuneFreezeCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "freeze",
		Usage:     "keep domains from putting new pages into tmem, for a time",
		ArgsUsage: "DOMAIN...",
		Description: `What a frozen domain has in tmem stays and can be read; what it swaps out goes to its disk. It is
thawed when the time is up, when this is interrupted or fails, and when it is killed by the
next run of xtm tune. A domain that is saved or migrated is left alone.

   xtm tune freeze --for 5m web1
   xtm tune freeze --for 1h --keep web1       and return; a timer thaws it`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Value: 5 * time.Minute, Usage: "for how long"},
			&cli.BoolFlag{Name: "keep", Usage: "return at once and leave it frozen for that long"},
			dryRunFlag(), viaFlag(),
		},
		Action: func(c *cli.Context) error {
			long := c.Duration("for")
			if long <= 0 || long > longestFreeze {
				return &usageError{msg: fmt.Sprintf("--for wants a time above zero, up to %s", longestFreeze)}
			}
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			domains, err := t.domains(c.Args().Slice(), false)
			if err != nil {
				return err
			}
			return t.freeze(c.Context, domains, long, c.Bool("keep"))
		},
	}
}

// freeze freezes, waits and thaws.
func (t *tuneRun) freeze(ctx context.Context, domains []tune.Domain, long time.Duration, keep bool) (err error) {
	until := t.env.Now().Add(long)
	var holds []tune.Hold
	defer func() {
		if err != nil || !keep {
			err = errors.Join(err, t.release(ctx, holds))
		}
	}()
	for _, d := range domains {
		if t.dryRun {
			if err := t.print("freeze %s until %s", d.Ref, until.UTC().Format("15:04:05 MST")); err != nil {
				return err
			}
			continue
		}
		h, unarmed, err := t.keeper.Freeze(ctx, d, until, keep)
		if err != nil {
			return err
		}
		holds = append(holds, h)
		t.say("%s is frozen until %s.", d.Ref, until.UTC().Format("15:04:05 MST"))
		if keep && (unarmed != nil || t.keeper.Timer == nil) {
			t.say("No timer wakes up for it (%s): the first xtm tune after that thaws it.", reasonOf(unarmed))
		}
	}
	if t.dryRun || keep {
		return nil
	}
	if !sleep(ctx, long) {
		return ctx.Err()
	}
	return nil
}

func reasonOf(err error) string {
	if err == nil {
		return "systemd does not run here"
	}
	return err.Error()
}

// release thaws what was frozen, whatever became of ctx.
func (t *tuneRun) release(ctx context.Context, holds []tune.Hold) error {
	var failed []error
	for _, h := range holds {
		how, err := t.keeper.Release(ctx, h)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		t.say("%s %s.", h.Domain, how)
	}
	if len(failed) == 0 {
		return nil
	}
	return &exitError{exitPartly, errors.Join(failed...), []string{"a domain may still be frozen: xtm tune show; to thaw it: xtm tune thaw DOMAIN"}}
}

func (t *tuneRun) print(format string, args ...any) error {
	_, err := fmt.Fprintln(t.env.Stdout, render.Escape(fmt.Sprintf(format, args...)))
	return err
}

func tuneThawCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "thaw",
		Usage:     "end freezes, whoever began them",
		ArgsUsage: "DOMAIN...",
		Description: `A domain that is saved or migrated is left alone. Through xl, and on Xen up to 4.7, that looks like
any freeze that is not xtm's.

   xtm tune thaw web1
   xtm tune thaw --overdue             only what killed runs left: our timer runs it`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "every tmem client that is frozen"},
			&cli.BoolFlag{Name: "overdue", Usage: "only freezes of xtm's that are past their deadline, or whose run was killed"},
			dryRunFlag(), viaFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("overdue") && (c.NArg() > 0 || c.Bool("all")) {
				return &usageError{msg: "--overdue takes no domain"}
			}
			t, err := openTune(c, env) // which thaws what is overdue
			if err != nil || c.Bool("overdue") {
				return explainTune(err)
			}
			domains, err := t.domains(c.Args().Slice(), c.Bool("all"))
			if err != nil {
				return err
			}
			return t.thaw(c.Context, domains, c.Bool("all"))
		},
	}
}

func (t *tuneRun) thaw(ctx context.Context, domains []tune.Domain, all bool) error {
	var failed []error
	for _, d := range domains {
		switch {
		case !d.Frozen && d.Hold == nil:
			if !all {
				t.say("%s is not frozen.", d.Ref)
			}
			continue
		case t.dryRun:
			if err := t.print("thaw %s", d.Ref); err != nil {
				return err
			}
			continue
		}
		how, err := t.keeper.Thaw(ctx, d)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		t.say("%s %s.", d.Ref, how)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return errors.Join(failed...)
}

func tuneFlushCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "flush",
		Usage:     "take ephemeral pages back from tmem, the least valuable first",
		ArgsUsage: "MIB",
		Description: `Xen takes them from all domains together, and serves no other tmem call meanwhile. No xl can do
it. What is free then can be taken by any guest again: xtm tune make-room keeps it.

   xtm tune flush 512`,
		Flags: []cli.Flag{dryRunFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return &usageError{msg: "tune flush wants one size in MiB"}
			}
			size, err := parseRoom(c.Args().First())
			if err != nil {
				return err
			}
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			return t.flush(c.Context, size)
		},
	}
}

func (t *tuneRun) flush(ctx context.Context, size units.MiB) error {
	if t.keeper.Flusher == nil {
		return &exitError{
			exitNotSupported, fmt.Errorf("flush %d MiB: no xl can flush, and hypercalls do not work here: %w", size, cause.ErrNotSupported), nil,
		}
	}
	can, err := t.keeper.Flusher.Freeable(ctx)
	if err != nil {
		return err
	}
	if t.dryRun {
		return t.print("flush %d MiB of the %d that tmem could give back", size, can)
	}
	got, err := t.keeper.Flusher.Flush(ctx, size.KiB())
	if err != nil {
		return err
	}
	t.say("Xen took back %s KiB of the %s asked for; tmem could give %d MiB.", units.Group(got), units.Group(size.KiB()), can)
	if got < size.KiB() {
		return &exitError{exitPartly, errors.New("there was no more to take back"), []string{"what guests hold: xtm report --pools"}}
	}
	return nil
}
