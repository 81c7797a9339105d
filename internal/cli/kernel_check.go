package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/kernelbuild"
)

func kernelCheckCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "show what a kernel has of what tmem needs",
		ArgsUsage: " ",
		Description: `It reads the kernel's configuration and changes nothing. It ends with 0 where tmem is on or one
step away, with 3 where a kernel must be built, and with 4 where no configuration of this release
has tmem.

   xtm kernel check                    the running kernel
   xtm kernel check --release 4.19.0-6-amd64`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "release", Usage: "another installed kernel, as uname -r names this `RELEASE`"},
			&cli.StringFlag{Name: "format", Value: "table", Usage: "table or json"},
		},
		Action: func(c *cli.Context) error {
			format := c.String("format")
			switch {
			case c.NArg() > 0:
				return &usageError{msg: fmt.Sprintf("check takes no argument, but got %q", c.Args().First())}
			case !slices.Contains([]string{"table", "json"}, format):
				return &usageError{fmt.Sprintf("check has no format that is called %q", format), []string{"formats are: table, json"}}
			}
			s, err := checkKernel(env, c.String("release"))
			if err != nil {
				return err
			}
			if format == "json" {
				err = render.JSON(env.Stdout, s, true)
			} else {
				err = render.Text(env.Stdout, render.Document{
					render.Heading{Level: 1, Text: "tmem in Linux " + s.Release}, render.Findings{List: s.Findings, Evidence: true},
				}, render.Options{Width: env.Width, Color: env.Terminal && !env.NoColor})
			}
			if err != nil {
				return err
			}
			switch s.Way {
			case kernelbuild.WayBuild:
				return &exitError{code: exitProblems}
			case kernelbuild.WayOlder:
				return &exitError{code: exitNotSupported}
			default:
				return nil
			}
		},
	}
}

// checkKernel looks at the running kernel, or at an installed one by its release.
func checkKernel(env Env, release string) (kernelbuild.Support, error) {
	b, err := env.Files.ReadFile("/proc/sys/kernel/osrelease")
	running := strings.TrimSpace(string(b))
	switch {
	case err != nil && release == "":
		return kernelbuild.Support{}, fmt.Errorf("find the running kernel: %w", err)
	case release == "":
		release = running
	}
	k := kernelbuild.Installed{Release: release}
	if k.Config, _, err = kernelbuild.FindConfig(env.Files, release, release == running); err != nil {
		return kernelbuild.Support{}, err
	}
	if release != running {
		return kernelbuild.Check(k)
	}
	loaded, err := env.Files.Exists("/sys/module/tmem")
	if err != nil {
		return kernelbuild.Support{}, fmt.Errorf("look for the module tmem: %w", err)
	}
	k.Loaded = opt.Of(loaded)
	line, err := env.Files.ReadFile("/proc/cmdline")
	switch {
	case err == nil:
		k.Booted = opt.Of(slices.Contains(strings.Fields(string(line)), "tmem"))
	case !errors.Is(err, fs.ErrNotExist):
		return kernelbuild.Support{}, err
	}
	return kernelbuild.Check(k)
}
