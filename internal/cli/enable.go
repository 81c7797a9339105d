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
	"xtm/internal/role"
	"xtm/setup"
	"xtm/xen"
)

func enableCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "enable-tmem",
		Usage:     "switch tmem on, on a host or in a guest, provably, or change nothing",
		ArgsUsage: " ",
		Description: `Run it as root, in Dom0 and then in each guest. It shows what it will change as a diff,
asks, backs the files up, has the boot menu made again and proves the words in it; when a
step fails, all is restored. A guest is not allowed to shrink itself before it is proved that
its host has tmem, which the kernel alone does not see.

   xtm enable-tmem --dry-run           what it would change
   xtm enable-tmem                     do it, with questions
   xtm enable-tmem --yes --guests-trusted --dom0-mem 2G     on a host
   xtm enable-tmem --yes --now                              in a guest, without a reboot
   xtm enable-tmem --root /mnt         a system that is mounted there`,
		Flags: append(setupFlags(),
			&cli.BoolFlag{Name: "guests-trusted", Usage: "affirm that every guest of this host is trusted"},
			&cli.BoolFlag{Name: "accept-risk", Usage: "go on where guests can take over the host through tmem (XSA-15)"},
			&cli.BoolFlag{Name: "compress", Usage: "compress pages: about twice as many, for ten times the CPU time"},
			&cli.BoolFlag{Name: "dedup", Usage: "keep equal ephemeral pages once (Xen 4.0.1 to 4.7)"},
			&cli.StringSliceFlag{Name: "dom0-mem", Usage: "fix Dom0's memory at this `SIZE`, such as 2G"},
			&cli.StringFlag{Name: "xen-version", Usage: "the `RELEASE` of an image that does not tell its own"},
			&cli.BoolFlag{Name: "now", Usage: "in a guest: prove and switch on at once, too"},
			&cli.BoolFlag{Name: "minimal", Usage: "in a guest: write no word that its kernel does not read"},
			&cli.BoolFlag{Name: "unguarded", Usage: "in a guest: let it shrink from boot on, tmem in the host or not"},
			&cli.BoolFlag{Name: "no-swap", Usage: "in a guest: go on without a swap area"},
			&cli.BoolFlag{Name: "create-swap", Usage: "in a guest: make a swap file, as large as its maximum memory"},
			&cli.StringFlag{Name: "swap-size", Usage: "with --create-swap: this `SIZE` instead, such as 2G"},
		),
		Action: func(c *cli.Context) error {
			o, err := hostOptionsOf(c)
			if err != nil {
				return err
			}
			s, err := openSetup(c, env, false)
			if err != nil {
				return err
			}
			if s.role == role.Guest {
				return s.enableGuest(c.Context, c, env)
			}
			for _, name := range guestFlags {
				if c.IsSet(name) {
					return &usageError{msg: "--" + name + " is for guests, and this is a host"}
				}
			}
			return s.enableHost(c.Context, o, c.Bool("guests-trusted"))
		},
	}
}

// setupFlags are those of enable-tmem and disable-tmem.
func setupFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "role", Value: "auto", Usage: "auto, host or guest"},
		&cli.StringFlag{Name: "root", Usage: "work on the system in this `DIR`; its programs run chrooted", TakesFile: true},
		&cli.BoolFlag{Name: "dry-run", Usage: "show the changes and stop"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask whether to apply the changes"},
	}
}

func hostOptionsOf(c *cli.Context) (setup.HostOptions, error) {
	o := setup.HostOptions{Compress: c.Bool("compress"), Dedup: c.Bool("dedup"), AcceptRisk: c.Bool("accept-risk")}
	if text := c.String("xen-version"); text != "" {
		v, err := xen.ParseVersion(text)
		if err != nil {
			return o, &usageError{msg: err.Error()}
		}
		o.XenVersion = v
	}
	sizes := c.StringSlice("dom0-mem")
	if len(sizes) == 0 {
		return o, nil
	}
	size, err := setup.ParseSize(sizes[0])
	if err != nil {
		return o, &usageError{msg: "--dom0-mem: " + err.Error()}
	}
	if len(sizes) > 2 || slices.ContainsFunc(sizes, func(s string) bool { return s != sizes[0] }) {
		return o, &usageError{msg: "--dom0-mem wants one size: " + strings.Join(sizes, ", ")}
	}
	o.Dom0Mem, o.Dom0MemSure = opt.Of(size), len(sizes) == 2
	return o, nil
}

// setupRun is one run of enable-tmem or disable-tmem.
type setupRun struct {
	env         Env
	machine     setup.Machine
	role        role.Role
	name        string
	dryRun, yes bool
	in          *bufio.Reader
}

// openSetup understands what both commands are told.
func openSetup(c *cli.Context, env Env, undo bool) (*setupRun, error) {
	if c.NArg() > 0 {
		return nil, &usageError{msg: fmt.Sprintf("%s takes no argument, but got %q", c.Command.Name, c.Args().First())}
	}
	s := &setupRun{
		env: env, name: c.Command.Name, dryRun: c.Bool("dry-run"), yes: c.Bool("yes"), in: bufio.NewReader(noInput(env.Stdin)),
	}
	root, ok := env.Files.(hostfs.Root)
	if !ok {
		return nil, fmt.Errorf("%s: a recorded machine cannot be changed: %w", s.name, cause.ErrNotSupported)
	}
	s.machine = setup.Machine{Root: root, Run: env.Run, Now: env.Now}
	if dir := c.String("root"); dir != "" && !hostfs.Root(dir).IsHost() {
		if info, err := os.Stat(dir); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, &usageError{msg: fmt.Sprintf("--root %s is not a folder", dir)}
		}
		s.machine.Root, s.machine.Offline = hostfs.Root(dir), true
	}
	if !s.dryRun && !env.Root {
		return nil, &exitError{
			exitNeedsRoot, fmt.Errorf("%s: it changes how the machine boots: %w", s.name, cause.ErrNeedsRoot),
			[]string{"sudo xtm " + s.name, "what it would change: sudo xtm " + s.name + " --dry-run"},
		}
	}
	var err error
	s.role, err = setupRole(s.machine, c.String("role"))
	if err != nil && undo && s.machine.Offline {
		s.role, err = role.Guest, nil // it may have been Xen's once; what was done is on record
	}
	return s, err
}

func noInput(r io.Reader) io.Reader {
	if r == nil {
		return strings.NewReader("")
	}
	return r
}

// setupRole finds out which side of Xen a machine is on.
func setupRole(m setup.Machine, said string) (role.Role, error) {
	switch said {
	case "host", "guest":
		return role.Role(said), nil
	case "auto":
	default:
		return "", &usageError{fmt.Sprintf("no role is called %q", said), []string{"roles are: auto, host, guest"}}
	}
	if m.Offline {
		found, err := setup.HasHypervisor(m.Root)
		if err != nil {
			return "", err
		}
		if !found {
			return "", &exitError{
				exitNotSupported, fmt.Errorf("there is no Xen in /boot of %s: %w", m.Root, cause.ErrNotSupported),
				[]string{"if it is a guest's: --role guest; a host's all the same: --role host"},
			}
		}
		return role.Host, nil
	}
	found, seen, err := role.Detect(m.Root)
	switch {
	case err != nil:
		return "", err
	case found == role.None:
		return "", &exitError{
			exitNotSupported, fmt.Errorf("this does not run under Xen: %s: %w", seen, cause.ErrNotSupported),
			[]string{"a host whose Xen is installed and not booted: --role host"},
		}
	}
	return found, nil
}

// enableHost plans, shows, asks and applies.
func (s *setupRun) enableHost(ctx context.Context, o setup.HostOptions, trusted bool) error {
	if err := s.recover(ctx); err != nil {
		return err
	}
	host, err := setup.ProbeHost(ctx, s.machine)
	if err != nil {
		return explainSetup(err)
	}
	plan, err := setup.PlanHost(host, o)
	if err != nil {
		return explainSetup(err)
	}
	done, err := s.show(plan, "tmem is on at the next boot already: nothing was changed")
	if done || err != nil {
		return err
	}
	if err := s.affirm(ctx, plan.Trust, trusted, "--guests-trusted"); err != nil {
		return err
	}
	return s.apply(ctx, plan, "tmem is on from the next boot; in each guest then: xtm status")
}

// recover undoes what a killed run left, or says so where nothing may change.
func (s *setupRun) recover(ctx context.Context) error {
	when, killed, err := setup.Killed(s.machine.Root)
	if err != nil || !killed {
		return explainSetup(err)
	}
	if s.dryRun {
		return s.say("There is " + when + " that was killed; without --dry-run it is put right first.")
	}
	if err := setup.Recover(ctx, s.machine); err != nil {
		return &exitError{exitPartly, err, []string{"the old files are in /var/lib/xtm/backup"}}
	}
	return s.say("There was " + when + " that was killed; it has been put right.")
}

// show prints the notes and the diff. done tells that this is the end.
func (s *setupRun) show(plan setup.Plan, nothing string) (done bool, err error) {
	if len(plan.Notes) > 0 {
		width := s.env.Width
		if width == 0 {
			width = render.DefaultWidth
		}
		if err := render.Text(s.env.Stderr, render.Document{render.Findings{List: plan.Notes}}, render.Options{Width: width}); err != nil {
			return true, err
		}
	}
	if plan.Done() {
		if !s.dryRun {
			if err := plan.CleanUp(s.machine); err != nil {
				return true, err
			}
		}
		return true, s.say(nothing)
	}
	if diff := plan.Diff(); diff != "" {
		_, err = io.WriteString(s.env.Stdout, diff)
	} else {
		err = s.say("The settings are right, and the boot menu is not made of them: run is " + plan.Command())
	}
	if err != nil || !s.dryRun {
		return err != nil, err
	}
	if command := plan.Command(); command != "" {
		return true, s.say("Nothing was changed. Without --dry-run this is written, and then run: " + command)
	}
	return true, s.say("Nothing was changed. Without --dry-run this is written.")
}

// affirm asks for a statement that --yes does not make.
func (s *setupRun) affirm(ctx context.Context, statement string, said bool, flag string) error {
	if statement == "" || said {
		return nil
	}
	if !s.env.Interactive {
		return &usageError{
			"this must be affirmed first: " + statement,
			[]string{"if it is so: " + flag + " (--yes does not say it)"},
		}
	}
	ok, err := s.ask(ctx, statement+". Is that so? Type yes: ", "yes")
	if err == nil && !ok {
		err = errDeclined
	}
	return err
}

var errDeclined = errors.New("not confirmed: nothing was changed")

// apply asks whether to go on, and does it.
func (s *setupRun) apply(ctx context.Context, plan setup.Plan, after string) error {
	if !s.yes {
		if !s.env.Interactive {
			return &usageError{"nobody is there to ask whether to apply this", []string{"to apply it: --yes; only to see it: --dry-run"}}
		}
		question := "Apply this"
		if command := plan.Command(); command != "" {
			question += " and run " + command
		}
		ok, err := s.ask(ctx, question+"? [y/N] ", "y", "yes")
		if err != nil {
			return err
		}
		if !ok {
			return errDeclined
		}
	}
	out, err := setup.Apply(ctx, s.machine, plan)
	if err != nil {
		return s.failed(err, out)
	}
	for _, b := range out.Backups {
		if err := s.say("Backup: " + b); err != nil {
			return err
		}
	}
	if out.Seen != "" {
		return &exitError{exitProblems, fmt.Errorf("it is set, but %s", out.Seen), out.Fix}
	}
	return s.say(strings.ToUpper(after[:1]) + after[1:])
}

// failed explains a change that did not come about.
func (s *setupRun) failed(err error, out setup.Outcome) error {
	switch {
	case errors.Is(err, setup.ErrNotRestored):
		return &exitError{exitPartly, err, append([]string{"the old files, to be copied back by hand:"}, out.Backups...)}
	case errors.Is(err, setup.ErrChanged), errors.Is(err, setup.ErrLocked):
		return err
	case errors.Is(err, context.Canceled):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	}
	return &exitError{exitFailed, fmt.Errorf("everything is as before: %w", err), nil}
}

// ask reads one line from the terminal, until the user interrupts it.
func (s *setupRun) ask(ctx context.Context, question string, yes ...string) (bool, error) {
	if _, err := io.WriteString(s.env.Stderr, question); err != nil {
		return false, err
	}
	type answer struct {
		line string
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := s.in.ReadString('\n')
		given <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case a := <-given:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, a.err
		}
		return slices.Contains(yes, strings.ToLower(strings.TrimSpace(a.line))), nil
	}
}

func (s *setupRun) say(text string) error {
	_, err := fmt.Fprintln(s.env.Stderr, render.Escape(text))
	return err
}

// explainSetup gives a refusal its exit code.
func explainSetup(err error) error {
	r, ok := errors.AsType[*setup.RefusalError](err)
	if !ok {
		return err
	}
	code := map[setup.Kind]int{setup.Impossible: exitNotSupported, setup.Unsaid: exitUsage, setup.Blocked: exitFailed}[r.Kind]
	hints := make([]string, len(r.Ways))
	for i, w := range r.Ways {
		hints[i] = render.Escape(w)
	}
	return &exitError{code, errors.New(render.Escape(r.Error())), hints}
}
