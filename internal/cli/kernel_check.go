package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/run"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

func kernelCheckCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "show what a kernel has of what tmem needs",
		ArgsUsage: noArgument,
		Description: `It reads the kernel's configuration and changes nothing. It ends with 0 where tmem is on or one
step away, with 3 where a kernel must be built, and with 4 where no configuration of this release
has tmem.

   xtm kernel check                    the running kernel
   xtm kernel check --release 4.19.0-6-amd64
   xtm kernel check --export guest.json   for a build on another machine`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "release", Usage: "another installed kernel, as uname -r names this `RELEASE`"},
			&cli.StringFlag{Name: "export", Usage: "write what a build elsewhere must know of this machine into this `FILE`", TakesFile: true},
			formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			format := c.String("format")
			if path := c.String("export"); path != "" {
				return exportMachine(c.Context, env, c.String("release"), path)
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

// exportMachine writes what plan and build take with --target.
func exportMachine(ctx context.Context, env Env, release, path string) error {
	e, err := build.Machine{Files: env.Files, Run: env.Run}.Export(ctx, release)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if err := atomicfile.Replace(hostfs.Host, path, append(b, '\n'), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stderr, "Where it shall be built: xtm kernel build --target %s\n", run.Quote(filepath.Base(path)))
	return err
}
