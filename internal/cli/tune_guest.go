package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/role"
	"xtm/internal/units"
	"xtm/tune"
)

func tuneGuestCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "guest",
		Usage:     "in a guest: show and set what selfballooning does",
		ArgsUsage: noArgument,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show every tunable, and the target that the kernel computes now", ArgsUsage: noArgument,
				Flags: []cli.Flag{formatFlag("table or json")},
				Action: func(c *cli.Context) error {
					g, err := openGuest(c, env, false)
					if err != nil {
						return err
					}
					return g.show()
				},
			},
			{
				Name: "set", Usage: "set tunables, now and at each boot", ArgsUsage: "NAME=VALUE...",
				Description: `A value that the kernel would refuse or cut is refused before. Selfballooning is started only where
a pool is proved to stand behind this guest and swap is active.

   xtm tune guest set selfballoon_interval=10
   xtm tune guest set --no-persist selfballooning=0`,
				Flags: guestSetFlags(),
				Action: func(c *cli.Context) error {
					want, err := tune.ParseGuestWords(c.Args().Slice())
					if err != nil {
						return &usageError{msg: err.Error()}
					}
					return setGuest(c, env, want)
				},
			},
			{
				Name: "apply", Usage: "set the tunables of a file, now and at each boot", ArgsUsage: "FILE",
				Description: `The file is TOML, a line for each: selfballoon_interval = 10.`,
				Flags:       guestSetFlags(),
				Action: func(c *cli.Context) error {
					if c.NArg() != 1 {
						return &usageError{msg: "tune guest apply wants one file"}
					}
					text, err := readFile(c.Args().First())
					if err != nil {
						return err
					}
					want, err := tune.ParseGuestFile(text)
					if err != nil {
						return &usageError{msg: c.Args().First() + ": " + err.Error()}
					}
					return setGuest(c, env, want)
				},
			},
			{
				Name: "undo", Usage: "put back what was set before, now and at each boot", ArgsUsage: noArgument,
				Flags: []cli.Flag{dryRunFlag()},
				Action: func(c *cli.Context) error {
					g, err := openGuest(c, env, true)
					if err != nil {
						return err
					}
					return g.undo()
				},
			},
		},
	}
}

func guestSetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "no-persist", Usage: "only until the next boot"}, dryRunFlag(), formatFlag("table or json"),
	}
}

// guestRun is one run of tune in a guest.
type guestRun struct {
	tuneRun
	root    hostfs.Root
	state   guest.State
	persist bool
}

// openGuest reads this guest. One that changes something is refused in Dom0,
// whose size is the toolstack's, and for who is not root.
func openGuest(c *cli.Context, env Env, changes bool) (*guestRun, error) {
	g := &guestRun{tuneRun: tuneRun{env: env, name: "tune guest " + c.Command.Name, dryRun: c.Bool("dry-run"), format: c.String("format")}}
	g.persist = !c.Bool("no-persist")
	if err := knownFormat(c); err != nil {
		return nil, err
	}
	g.state = guest.Read(env.Files, nil)
	root, ok := env.Files.(hostfs.Root)
	g.root = root
	if !changes {
		return g, nil
	}
	if !ok {
		return nil, fmt.Errorf("%s: a recorded machine cannot be changed: %w", g.name, cause.ErrNotSupported)
	}
	switch found, seen, err := role.Detect(root); {
	case err != nil:
		return nil, err
	case found == role.Host:
		return nil, &exitError{
			exitNotSupported, fmt.Errorf("this is Dom0, which never balloons itself: %s: %w", seen, cause.ErrNotSupported), []string{"run it in guests"},
		}
	case found == role.None:
		return nil, &exitError{exitNotSupported, fmt.Errorf("this does not run under Xen: %s: %w", seen, cause.ErrNotSupported), nil}
	case !env.Root && !g.dryRun:
		return nil, &exitError{exitNeedsRoot, fmt.Errorf("%s: sysfs takes it from root only: %w", g.name, cause.ErrNeedsRoot), []string{"sudo xtm " + g.name}}
	}
	return g, nil
}

func (g *guestRun) show() error {
	v := tune.ViewGuest(g.state)
	if len(v.Tunables) == 0 {
		return &exitError{
			exitNotSupported, fmt.Errorf("kernel %s shows no tunables of the balloon driver: %w", v.Kernel, cause.ErrNotSupported), []string{"what is missing here: xtm status"},
		}
	}
	if g.format == "json" {
		return render.JSON(g.env.Stdout, v, true)
	}
	fields := make(render.Fields, 0, len(v.Tunables))
	for _, t := range v.Tunables {
		unit := t.Unit
		if t.Max > 1 {
			unit = fmt.Sprintf("%s, %d to %d", t.Unit, t.Min, t.Max)
		}
		fields = append(fields, render.Field{
			Label: t.Name[strings.LastIndexByte(t.Name, '/')+1:],
			Text:  fmt.Sprintf("%d (%s; by default %s): %s", t.Value, unit, t.Default, t.Meaning),
		})
	}
	doc := render.Document{
		render.Heading{Level: 2, Text: "Tunables of Linux " + v.Kernel},
		fields,
		render.Heading{Level: 2, Text: "The target that the kernel computes at its next step, in pages of 4 KiB"},
	}
	if v.NoTarget != "" {
		doc = append(doc, render.Paragraph(v.NoTarget))
	}
	if len(v.Formula) > 0 {
		doc = append(doc, render.Bullets(v.Formula))
		doc = append(doc, render.Paragraph(fmt.Sprintf("It comes to rest at %s MiB if nothing changes.", units.Group(v.Target.Rest().KiB()/1024))))
	}
	return render.Text(g.env.Stdout, doc, render.Options{Width: g.env.Width})
}

// proved reads a file twice, on the running machine, to see whether its pages come
// back from the host.
func (g *guestRun) proved(ctx context.Context) tune.Proved {
	return func() (bool, string) {
		if !g.root.IsHost() {
			answer, why := g.state.Pool()
			return answer == guest.Yes, why
		}
		d := guest.Disk{Root: g.root, Mounts: g.state.Mounts.Or(nil)}
		p, err := guest.Prove(ctx, d, d.ProofFiles(ctx, g.state.Filesys.Or(nil)))
		if err != nil {
			return false, err.Error()
		}
		return p.Outcome == guest.Proved, p.Why
	}
}

// guestSet is the JSON of what sets tunables.
type guestSet struct {
	Schema int            `json:"schema"`
	DryRun bool           `json:"dry_run,omitempty"`
	Plan   tune.GuestPlan `json:"plan"`
	tune.GuestResult
}

func setGuest(c *cli.Context, env Env, want map[string]string) error {
	g, err := openGuest(c, env, true)
	if err != nil {
		return err
	}
	plan, err := tune.PlanGuest(g.state, want, g.proved(c.Context))
	if err != nil {
		return explainTune(err)
	}
	out := guestSet{Schema: 1, DryRun: g.dryRun, Plan: plan}
	if g.format != "json" {
		if err := showNotes(env, plan.Notes); err != nil {
			return err
		}
		for _, ch := range plan.Changes {
			if err := g.print("%s", ch.String()); err != nil {
				return err
			}
		}
	}
	done, err := tune.Settled(g.root, plan, g.persist)
	if err != nil {
		return explainTune(err)
	}
	if !done && !g.dryRun {
		out.GuestResult, err = tune.ApplyGuest(g.root, plan, g.persist)
	}
	if g.format == "json" {
		if errOut := render.JSON(env.Stdout, out, true); errOut != nil {
			return errOut
		}
		return explainTune(err)
	}
	switch {
	case err != nil:
	case done:
		g.say("It is so already: nothing was changed.")
	case g.dryRun:
		g.say("Nothing was changed: --dry-run.")
	case out.Lasting != "":
		g.say("Set and read back; %s sets it at each boot. Undo it with: xtm tune guest undo", out.Lasting)
	default:
		g.say("Set and read back, until the next boot. Undo it with: xtm tune guest undo")
	}
	return explainTune(err)
}

func (g *guestRun) undo() error {
	u, err := tune.UndoGuest(g.root, g.state, g.dryRun)
	if err != nil {
		return err
	}
	for _, c := range u.Back {
		if err := g.print("%s", c.String()); err != nil {
			return err
		}
	}
	for _, p := range u.Removed {
		if err := g.print("no longer set at boot: %s", p); err != nil {
			return err
		}
	}
	switch {
	case len(u.Back)+len(u.Stays)+len(u.Removed) == 0:
		g.say("There is nothing of xtm tune guest's to undo.")
	case g.dryRun:
		g.say("Nothing was changed: --dry-run.")
	}
	if len(u.Stays) == 0 {
		return nil
	}
	var names []string
	for _, c := range u.Stays {
		names = append(names, c.String())
	}
	return &exitError{
		exitPartly, fmt.Errorf("some stay as they are: %s", strings.Join(names, ", ")),
		[]string{"the kernel does not take such a value back: a reboot brings it; selfballooning is started again by xtm guard"},
	}
}
