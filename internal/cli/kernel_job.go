package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
	"xtm/kernelbuild/kconfig"
)

// jobFlags are those of plan and build: what to build, of what, and where.
func jobFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Value: "tmem", Usage: strings.Join(kernelbuild.Profiles(), " or ")},
		&cli.StringFlag{Name: "fragment", Usage: "ask for the settings in this `FILE`, a part of a .config, instead of a profile", TakesFile: true},
		&cli.StringFlag{Name: "release", Usage: "start from this installed kernel instead of the running one"},
		&cli.StringFlag{Name: "target", Usage: "build for the machine in this `FILE`, of kernel check --export", TakesFile: true},
		&cli.StringFlag{Name: "config", Usage: "start from this `FILE` instead of the kernel's own configuration", TakesFile: true},
		&cli.StringFlag{Name: "source", Usage: "build this `TREE`: a folder, a tarball, a .dsc or a linux-source .deb", TakesFile: true},
		&cli.StringFlag{Name: "snapshot-url", Usage: "an archive of old versions, as a last way to the source"},
		&cli.StringFlag{Name: "dir", Usage: "work in this `DIR` (default: .cache/xtm/kernel in the user's home)", TakesFile: true},
		&cli.StringFlag{Name: "localversion", Usage: "the `SUFFIX` of the release, such as -tmem"},
		&cli.StringFlag{Name: "package-version", Usage: "the `VERSION` of the packages"},
		&cli.BoolFlag{Name: "localmod", Usage: "leave out the modules that are not loaded, but for Xen's"},
		&cli.BoolFlag{Name: "debug-info", Usage: "keep debug information: 13 GB more, and an hour"},
		&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Usage: "how many compilers run at once"},
		&cli.StringFlag{Name: "cc", Usage: "the `COMPILER`, such as gcc-11"},
		&cli.BoolFlag{Name: "any-compiler", Usage: "try a compiler that the tree is not known to take"},
		&cli.StringFlag{Name: "compressor", Usage: "for the packages: none, zstd, gzip or xz"},
		&cli.StringSliceFlag{Name: "make-arg", Usage: "a further `VARIABLE=VALUE` for make; may be given again"},
		&cli.BoolFlag{Name: "no-ccache", Usage: "do not use ccache where it is installed"},
	}
}

// openJob understands what plan and build are told.
func openJob(ctx context.Context, c *cli.Context, env Env, home string) (build.Job, error) {
	j := build.Job{Machine: build.Machine{Files: env.Files, Run: env.Run, Root: env.Root}, Now: env.Now}
	var err error
	o := &j.Options
	if o.Profile, err = jobProfile(c); err != nil {
		return j, err
	}
	if c.IsSet("localversion") {
		o.LocalVersion = opt.Of(c.String("localversion"))
	}
	o.PackageVersion, o.SnapshotURL = c.String("package-version"), c.String("snapshot-url")
	o.Localmod, o.KeepDebug, o.NoCcache = c.Bool("localmod"), c.Bool("debug-info"), c.Bool("no-ccache")
	o.AnyCompiler = c.Bool("any-compiler")
	o.Jobs, o.Compiler, o.Compressor = c.Int("jobs"), c.String("cc"), c.String("compressor")
	o.MakeArgs = c.StringSlice("make-arg")
	for _, arg := range o.MakeArgs {
		if err := kernelbuild.MakeArg(arg); err != nil {
			return j, &usageError{msg: "--make-arg: " + err.Error()}
		}
	}
	switch o.Compressor {
	case "", "none", "zstd", "gzip", "xz":
	default:
		return j, &usageError{fmt.Sprintf("dpkg-deb knows no compressor %q", o.Compressor), []string{"compressors are: none, zstd, gzip, xz"}}
	}
	if s := c.String("source"); s != "" {
		if o.Source, err = filepath.Abs(s); err != nil {
			return j, err
		}
		if _, err := os.Stat(o.Source); err != nil {
			return j, fmt.Errorf("find source: %w", err)
		}
	}
	if err := jobTarget(ctx, c, &j); err != nil {
		return j, err
	}
	j.Dir, err = jobDir(c, j, home)
	return j, err
}

// jobProfile is what to ask of the kernel.
func jobProfile(c *cli.Context) (kernelbuild.Profile, error) {
	path := c.String("fragment")
	if path == "" {
		p, err := kernelbuild.ProfileNamed(c.String("profile"))
		if err != nil {
			return p, &usageError{fmt.Sprintf("there is no profile %q", c.String("profile")), []string{"profiles are: " + strings.Join(kernelbuild.Profiles(), ", "), "wishes of your own: --fragment FILE"}}
		}
		return p, nil
	}
	if c.IsSet("profile") {
		return kernelbuild.Profile{}, &usageError{msg: "--fragment replaces --profile: give one of them"}
	}
	b, err := readFile(path)
	if err != nil {
		return kernelbuild.Profile{}, err
	}
	fragment, err := kconfig.ReadConfig(b)
	if err != nil {
		return kernelbuild.Profile{}, &usageError{msg: fmt.Sprintf("%s: %s", path, err)}
	}
	return kernelbuild.FragmentProfile(filepath.Base(path), "-custom", fragment), nil
}

// jobTarget finds out what machine the kernel is for.
func jobTarget(ctx context.Context, c *cli.Context, j *build.Job) error {
	var err error
	if path := c.String("target"); path != "" {
		if c.IsSet("release") {
			return &usageError{msg: "--target names the release, too: leave --release out"}
		}
		b, err := readFile(path)
		if err != nil {
			return err
		}
		if j.Export, err = kernelbuild.ParseExport(b); err != nil {
			return &usageError{msg: fmt.Sprintf("%s: %s", path, err)}
		}
	} else if j.Export, err = j.Machine.Export(ctx, c.String("release")); err != nil {
		return err
	}
	if path := c.String("config"); path != "" {
		b, err := readFile(path)
		if err != nil {
			return err
		}
		config, err := kconfig.ReadConfig(b)
		if err != nil {
			return &usageError{msg: fmt.Sprintf("%s: %s", path, err)}
		}
		j.Export.Config, j.Export.Target.ConfigPath = string(config.Bytes()), path
	}
	return nil
}

// jobDir is the folder to work in, one for each source and profile.
func jobDir(c *cli.Context, j build.Job, home string) (string, error) {
	if dir := c.String("dir"); dir != "" {
		return filepath.Abs(dir)
	}
	if home == "" || home == "/nonexistent" {
		return "", &usageError{"the user has no home to build in", []string{"name a folder: --dir DIR"}}
	}
	name := j.Export.Target.Release
	if j.Options.Source != "" {
		name = filepath.Base(j.Options.Source)
	}
	return filepath.Join(home, ".cache/xtm/kernel", j.Options.Profile.Name+"-"+name), nil
}

// account is a line of /etc/passwd.
type account struct {
	name, home string
	uid, gid   int
}

// accounts reads /etc/passwd.
//
//	builder:x:1001:1001:,,,:/home/builder:/bin/bash
func (e Env) accounts() ([]account, error) {
	b, err := e.Files.ReadFile("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("look for users: %w", err)
	}
	var out []account
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 {
			continue // a comment, or a line for another name service
		}
		uid, err := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if errors.Join(err, err2) == nil {
			out = append(out, account{f[0], f[5], uid, gid})
		}
	}
	return out, nil
}
