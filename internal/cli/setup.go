package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/setup"
)

// setupFlags are those of enable-tmem and disable-tmem.
func setupFlags() []cli.Flag {
	return append([]cli.Flag{&cli.StringFlag{Name: "role", Value: "auto", Usage: "auto, host or guest"}, rootFlag()}, dialogFlags()...)
}

// setupRun is one run of enable-tmem or disable-tmem.
type setupRun struct {
	dialog

	machine setup.Machine
	role    role.Role
}

// openSetup understands what both commands are told.
func openSetup(c *cli.Context, env Env, undo bool) (*setupRun, error) {
	s := &setupRun{dialog: openDialog(c, env, c.Command.Name)}
	root, ok := env.Files.(hostfs.Root)
	if !ok {
		return nil, fmt.Errorf("%s: a recorded machine cannot be changed: %w", s.name, cause.ErrNotSupported)
	}
	s.machine = setup.Machine{Root: root, Run: env.Run, Now: env.Now}
	var err error
	if s.machine.Root, s.machine.Offline, err = rootOf(c, root); err != nil {
		return nil, err
	}
	if err := s.mayChangeBoot(); err != nil {
		return nil, err
	}
	s.role, _, err = findRole(s.machine.Root, s.machine.Offline, c.String("role"))
	if err != nil && undo && s.machine.Offline {
		s.role, err = role.Guest, nil // it may have been Xen's once; what was done is on record
	}
	return s, err
}

func rootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Usage: "work on the system in this `DIR`; its programs run chrooted", TakesFile: true}
}

// rootOf is the system that --root names, or the running one.
func rootOf(c *cli.Context, running hostfs.Root) (root hostfs.Root, offline bool, err error) {
	dir := c.String("root")
	if dir == "" || hostfs.Root(dir).IsHost() {
		return running, false, nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return "", false, &usageError{msg: fmt.Sprintf("--root %s is no folder", dir)}
	case err != nil:
		return "", false, err
	}
	return hostfs.Root(dir), true, nil
}

// findRole finds out which side of Xen a machine is on, and by what. A side that
// is said must not be the wrong one; a host's Xen may be installed and not booted.
func findRole(files hostfs.Files, offline bool, said string) (r role.Role, seen string, err error) {
	if !slices.Contains(values("role"), said) {
		return "", "", &usageError{fmt.Sprintf("no role is called %q", said), []string{"roles are: " + strings.Join(values("role"), ", ")}}
	}
	if offline {
		if said != "auto" {
			return role.Role(said), "--role says so", nil
		}
		return offlineRole(files)
	}
	r, seen, err = role.Detect(files)
	switch {
	case err != nil:
		return r, seen, err
	case r == role.None && said == "host":
		return role.Host, "--role says so", nil
	case r == role.None:
		return r, seen, &exitError{
			exitNotSupported, fmt.Errorf("this does not run under Xen: %s: %w", seen, cause.ErrNotSupported),
			[]string{
				"tmem is a part of Xen, 4.0 to 4.12; elsewhere zswap and zram compress memory",
				"a host whose Xen is installed and not booted: --role host",
			},
		}
	case said != "auto" && said != string(r):
		return r, seen, &exitError{
			exitNotSupported, fmt.Errorf("this is no %s but a %s: %s: %w", said, r, seen, cause.ErrNotSupported), []string{"--role " + string(r)},
		}
	}
	return r, seen, nil
}

// offlineRole takes a system for a host's where it has a hypervisor.
func offlineRole(files hostfs.Files) (role.Role, string, error) {
	found, err := setup.HasHypervisor(files)
	if err == nil && !found {
		err = &exitError{
			exitNotSupported, fmt.Errorf("there is no Xen in the /boot of this system: %w", cause.ErrNotSupported),
			[]string{"if it is a guest's: --role guest", "if it is a host's, its /boot may be a file system that is not mounted there"},
		}
	}
	return role.Host, "Xen is in its /boot", err
}

// recover undoes what a killed run left, or says so where nothing may change.
func (s *setupRun) recover(ctx context.Context) error {
	when, killed, err := setup.Killed(s.machine.Root)
	if err != nil || !killed {
		return explainRefusal(err)
	}
	if s.dryRun {
		return s.say("There is " + when + " that was killed; without --dry-run it is put right first.")
	}
	if err := setup.Recover(ctx, s.machine); err != nil {
		return &exitError{exitPartly, err, []string{"mend what failed, then run this again", "the old files are in /var/lib/xtm/backup"}}
	}
	return s.say("There was " + when + " that was killed; it has been put right.")
}
