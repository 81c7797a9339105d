package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/role"
	"xtm/setup"
)

func statusCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show which link of the chain to tmem is missing on this machine",
		ArgsUsage: noArgument,
		Description: `It changes nothing. It ends with 0 where all is well, with 3 where tmem is possible here and
something is missing or not to be told, and with 4 where this machine cannot have it.

   xtm status
   xtm status --format json
   xtm status --root /mnt              what boots next from the system that is mounted there`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "role", Value: "auto", Usage: "auto, host or guest"},
			&cli.StringFlag{Name: "root", Usage: "look at the system in this `DIR`, which does not run", TakesFile: true},
			formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			format := c.String("format")
			s, err := readStatus(c, env)
			if err != nil {
				return err
			}
			if err := showStatus(env, s, format); err != nil {
				return err
			}
			return statusOutcome(s)
		},
	}
}

// readStatus looks at a machine from its side of Xen.
func readStatus(c *cli.Context, env Env) (s setup.Status, err error) {
	root, offline, err := rootOf(c, "")
	if err != nil {
		return s, err
	}
	files := env.Files
	if offline {
		files = root
	}
	side, seen, err := findRole(files, offline, c.String("role"))
	switch {
	case err != nil:
		return s, err
	case offline:
		s, err = setup.OfflineStatus(setup.Machine{Root: root, Offline: true}, side)
	case side == role.Host:
		s, err = setup.HostStatus(c.Context, files, env.Run)
	default:
		s, err = guestStatus(c.Context, env)
	}
	s.Seen = seen
	return s, err
}

// guestStatus proves the pool only on the running machine, and for root, who
// may read the counters.
func guestStatus(ctx context.Context, env Env) (setup.Status, error) {
	root, ok := env.Files.(hostfs.Root)
	if !ok || !root.IsHost() || !env.Root {
		return setup.GuestStatus(ctx, env.Files, nil)
	}
	live, err := setup.LiveGuest(setup.Machine{Root: root, Run: env.Run, Now: env.Now})
	if err != nil {
		return setup.Status{}, err
	}
	return setup.GuestStatus(ctx, env.Files, &live)
}

func showStatus(env Env, s setup.Status, format string) error {
	if format == "json" {
		return render.JSON(env.Stdout, s, true)
	}
	list := slices.Clone(s.Findings)
	for i, f := range list {
		if strings.Contains(f.Seen, f.Subject) || strings.HasSuffix(f.Check, strings.ReplaceAll(f.Subject, " ", "-")) {
			list[i].Subject = "" // it is said already
		}
	}
	doc := render.Document{
		render.Heading{Level: 1, Text: fmt.Sprintf("tmem on this %s (%s)", s.Role, s.Seen)}, render.Findings{List: list, Chain: true},
	}
	if len(s.Ways) > 0 {
		doc = append(doc, render.Heading{Level: 2, Text: "What works here instead"}, render.Bullets(s.Ways))
	}
	return render.Text(env.Stdout, doc, env.page())
}

// statusOutcome is 4 where tmem is impossible, 3 where something is missing or
// could not be told: that is not good either.
func statusOutcome(s setup.Status) error {
	switch {
	case s.Impossible:
		return &exitError{code: exitNotSupported}
	case finding.Worst(s.Findings).Rank() >= finding.CouldNotTell.Rank():
		return &exitError{code: exitProblems}
	}
	return nil
}
