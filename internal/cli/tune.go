package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/role"
	"xtm/internal/run"
	"xtm/tune"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/xl"
)

func tuneCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "tune",
		Usage:     "change what tmem and selfballooning do, with reasons, and read back what came of it",
		ArgsUsage: noArgument,
		Description: `Run it as root in Dom0, and its guest commands in guests. Every command that changes something
takes --dry-run. Old toolstacks fail in silence, so what was set is read back.

   xtm tune show                              what is set for each domain
   xtm tune set web1 weight=100               one domain; --all is every tmem client
   xtm tune freeze --for 5m web1              no new pages of web1's, until then or Ctrl-C
   xtm tune make-room --start new.cfg 2GiB    take memory back from tmem and start a guest in it
   xtm tune advise --interval 60s             what to change, and the figures that say so
   xtm tune guest show                        in a guest: its tunables, and where it shrinks to

A freeze of a run that was killed ends with the next run of any xtm tune in Dom0, which a timer
starts after the deadline where systemd runs.`,
		Subcommands: []*cli.Command{
			tuneShowCommand(env),
			tuneSetCommand(env),
			tuneApplyCommand(env),
			tuneFreezeCommand(env),
			tuneThawCommand(env),
			tuneFlushCommand(env),
			tuneRoomCommand(env),
			tuneAdviseCommand(env),
			tuneVerifyCommand(env),
			tuneGuestCommand(env),
		},
	}
}

// The flags that several of tune's commands have.
func viaFlag() cli.Flag {
	return &cli.StringFlag{Name: "via", Value: "auto", Usage: "auto (hypercall, else xl), hypercall or xl"}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done and stop"}
}

// tuneRun is one run of tune in Dom0.
type tuneRun struct {
	env    Env
	name   string
	keeper tune.Keeper
	seen   tune.Seen
	dryRun bool
	format string
}

// openTune finds the way to Xen, reads the host, and ends what killed runs left.
func openTune(c *cli.Context, env Env) (*tuneRun, error) {
	t := &tuneRun{env: env, name: "tune " + c.Command.Name, dryRun: c.Bool("dry-run"), format: c.String("format")}
	if err := knownFormat(c); err != nil {
		return nil, err
	}
	root, err := t.dom0()
	if err != nil {
		return nil, err
	}
	ctx := c.Context
	host, err := openHost(ctx, env, c.String("via"))
	if err != nil {
		return nil, err
	}
	boot, err := tune.BootID(root)
	if err != nil && cause.Of(err) != cause.NoData {
		return nil, err
	}
	t.keeper = tune.Keeper{
		Host: host, Root: root, Now: env.Now, Boot: boot, Self: tune.ProcessOf(root, os.Getpid()), Alive: tune.Alive(root),
		Timer: systemdTimer(env, root),
	}
	return t, t.look(ctx)
}

// dom0 makes sure that this is Dom0 and that it may be changed.
func (t *tuneRun) dom0() (hostfs.Root, error) {
	root, ok := t.env.Files.(hostfs.Root)
	if !ok {
		return "", fmt.Errorf("%s: a recorded machine cannot be changed: %w", t.name, cause.ErrNotSupported)
	}
	switch found, seen, err := role.Detect(root); {
	case err != nil:
		return "", err
	case found == role.Guest:
		return "", &exitError{
			exitNotSupported, fmt.Errorf("this is a guest, and only Dom0 controls tmem: %s: %w", seen, cause.ErrNotSupported),
			[]string{"what can be tuned here: xtm tune guest show"},
		}
	case found == role.None:
		return "", &exitError{exitNotSupported, fmt.Errorf("this is not a Xen host: %s: %w", seen, cause.ErrNotSupported), nil}
	}
	if !t.env.Root {
		return "", &exitError{exitNeedsRoot, fmt.Errorf("%s: Xen answers root only: %w", t.name, cause.ErrNeedsRoot), []string{"sudo xtm " + t.name}}
	}
	return root, nil
}

// openHost finds the way to change Xen.
func openHost(ctx context.Context, env Env, via string) (tune.Host, error) {
	if via == "" { // those that cannot do without hypercalls have no such flag
		via = "auto"
	}
	if !slices.Contains(values("via"), via) {
		return tune.Host{}, &usageError{fmt.Sprintf("no way is called %q", via), []string{"ways are: " + strings.Join(values("via"), ", ")}}
	}
	var without error
	if env.Calls != nil && via != "xl" {
		h, err := hypercall.Probe(ctx, env.Calls)
		if err == nil {
			return tune.Host{Source: hypercall.New(env.Calls, env.Store, env.Files), Control: h, Flusher: h, Way: "hypercall"}, nil
		}
		if via == "hypercall" || ctx.Err() != nil {
			return tune.Host{}, err
		}
		without = err
	}
	src := xl.New(env.Run, env.Files)
	snap, err := src.Snapshot(ctx)
	if err != nil && without != nil {
		err = neither(err, without)
	}
	if err != nil {
		return tune.Host{}, err
	}
	return tune.Host{Source: &readOnce{snap: &snap, source: src}, Control: xl.NewControl(env.Run, snap.Host.Version), Way: "xl"}, nil
}

// readOnce hands out a snapshot that was taken already, then later ones: xl takes
// many seconds for each.
type readOnce struct {
	snap   *xen.Snapshot
	source source
}

func (r *readOnce) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	if s := r.snap; s != nil {
		r.snap = nil
		return *s, nil
	}
	return r.source.Snapshot(ctx)
}

// look reads the clients, and thaws what is overdue.
func (t *tuneRun) look(ctx context.Context) error {
	holds, err := tune.Holds(t.keeper.Root)
	if err != nil {
		return err
	}
	if t.seen, err = t.keeper.Look(ctx, holds); err != nil {
		return err
	}
	if t.dryRun {
		for _, h := range holds {
			if why, due := h.Due(t.env.Now(), t.keeper.Boot, t.keeper.Alive); due {
				t.say("Without --dry-run %s is thawed first: %s", h.Domain, why)
			}
		}
		return nil
	}
	ended := t.keeper.Honour(ctx, holds, t.seen.Domains)
	var failed []error
	for _, e := range ended {
		if e.Err != nil {
			failed = append(failed, e.Err)
			continue
		}
		t.say("%s %s: %s", e.Hold.Domain, e.How, e.Why)
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if len(ended) == 0 {
		return nil
	}
	return t.look(ctx)
}

// say writes a sentence to stderr. That it cannot is found out by the output.
func (t *tuneRun) say(format string, args ...any) {
	fmt.Fprintln(t.env.Stderr, render.Escape(fmt.Sprintf(format, args...))) //nolint:errcheck // as above
}

// domains are those that the words name, or all.
func (t *tuneRun) domains(words []string, all bool) ([]tune.Domain, error) {
	switch {
	case all && len(words) > 0:
		return nil, &usageError{msg: "--all and the name of a domain exclude each other"}
	case all:
		return t.seen.Domains, nil
	case len(words) == 0:
		return nil, &usageError{t.name + " wants a domain", []string{"a name, a number or a uuid, or --all"}}
	}
	return t.seen.Named(words)
}

// notes shows findings on stderr.
func (t *tuneRun) notes(list []finding.Finding) error {
	return showNotes(t.env, list)
}

func showNotes(env Env, list []finding.Finding) error {
	if len(list) == 0 {
		return nil
	}
	return render.Text(env.Stderr, render.Document{render.Findings{List: list}}, render.Options{Width: env.Width})
}

// systemdTimer wakes xtm up after a deadline where systemd runs; nil is nobody.
func systemdTimer(env Env, root hostfs.Root) tune.Timer {
	if ok, err := root.Exists("/run/systemd/system"); !ok || err != nil || env.Program == "" {
		return nil
	}
	return transient{env.Run, env.Program}
}

// transient is a systemd timer for one hold, which needs no unit file and ends
// with the boot, as the hold does.
type transient struct {
	run     run.Func
	program string
}

// grace is how long after the deadline the timer fires.
const grace = 2 * time.Second

func (transient) unit(h tune.Hold) string {
	return fmt.Sprintf("xtm-thaw-%d-%d", h.Domain.ID, h.Began.UnixNano())
}

func (s transient) Arm(ctx context.Context, h tune.Hold) error {
	after := h.Deadline.Sub(h.Began) + grace
	return s.do(ctx, "systemd-run", "--quiet", "--collect", "--unit="+s.unit(h),
		"--on-active="+strconv.Itoa(int(after/time.Second))+"s", "--timer-property=AccuracySec=1s",
		"--", s.program, "tune", "thaw", "--overdue")
}

func (s transient) Disarm(ctx context.Context, h tune.Hold) error {
	return s.do(ctx, "systemctl", "stop", s.unit(h)+".timer")
}

func (s transient) do(ctx context.Context, argv ...string) error {
	c := run.Cmd{Name: argv[0], Args: argv[1:], Timeout: 10 * time.Second}
	_, err := s.run.Checked(ctx, c)
	return err
}

// explainTune gives what tune refuses, or could not restore, its exit code.
func explainTune(err error) error {
	if errors.Is(err, cause.ErrNotRestored) {
		return &exitError{exitPartly, err, []string{"what is set now: xtm tune show"}}
	}
	return explainRefusal(err)
}
