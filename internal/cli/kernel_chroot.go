package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

// buildInChroot has xtm build in a Debian of the kernel's own age. Facts of the
// target are collected here, all else is found there.
func buildInChroot(c *cli.Context, env Env) error {
	if !env.Root {
		return &exitError{
			exitNeedsRoot, fmt.Errorf("build in another Debian: chroot and what makes one: %w", cause.ErrNeedsRoot),
			[]string{"sudo xtm kernel build --chroot … --user NAME; make itself runs as that user"},
		}
	}
	if err := build.Standalone(env.Program); err != nil {
		return &exitError{exitFailed, err, []string{"make build, or CGO_ENABLED=0 go build, makes an xtm that needs none"}}
	}
	user, err := env.builder(c.String("user"))
	if err != nil {
		return err
	}
	j, err := openJob(c.Context, c, env, user.home)
	if err != nil {
		return err
	}
	if err := ownFolder(c.Context, env, j.Dir, user); err != nil {
		return err
	}
	ch := build.Chroot{UID: user.uid, GID: user.gid, Program: env.Program, Mirror: c.String("mirror"), Share: []string{j.Dir}}
	switch where := c.String("chroot"); {
	case strings.Contains(where, "/"):
		ch.Dir, err = filepath.Abs(where)
	case build.IsSuite(where):
		ch.Suite, ch.Dir = where, "/var/lib/xtm/chroot/"+where
		err = os.MkdirAll(filepath.Dir(ch.Dir), 0o755)
	default:
		err = &usageError{fmt.Sprintf("--chroot %q is neither a folder nor a release of Debian", where), []string{"such as --chroot bullseye, or --chroot ./folder"}}
	}
	if err != nil {
		return err
	}
	if err := ch.Make(c.Context, env.Run, env.Stderr); err != nil {
		return err
	}
	export, err := json.Marshal(j.Export)
	if err != nil {
		return err
	}
	target, err := ch.Put("target.json", export)
	if err != nil {
		return err
	}
	args := []string{"kernel", "build", "--target", target, "--dir", j.Dir, "--in-chroot", c.String("chroot")}
	if j.Options.Source != "" {
		args = append(args, "--source", j.Options.Source)
		ch.Share = append(ch.Share, j.Options.Source)
	}
	if f := c.String("fragment"); f != "" {
		text, err := readFile(f)
		if err != nil {
			return err
		}
		copied, err := ch.Put("fragment", text)
		if err != nil {
			return err
		}
		args = append(args, "--fragment", copied)
	}
	code, err := ch.Run(c.Context, env.Run, env.Stderr, append(args, passedOn(c)...)...)
	if err != nil {
		return err
	}
	if code != 0 {
		return &exitError{code: code} // it has said why
	}
	record, err := kernelbuild.ReadRecord(hostfs.Host, filepath.Join(j.Dir, "out", kernelbuild.RecordName))
	if err != nil {
		return err
	}
	return showRecord(env, j.Dir, record)
}

// passedOn are the flags that mean the same in the other Debian.
func passedOn(c *cli.Context) []string {
	var out []string
	for _, f := range jobFlags() {
		name := f.Names()[0]
		if !c.IsSet(name) || slices.Contains([]string{"target", "release", "config", "dir", "source", "fragment"}, name) {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			out = append(out, "--"+name)
		case *cli.StringSliceFlag:
			for _, v := range c.StringSlice(name) {
				out = append(out, "--"+name, v)
			}
		default:
			out = append(out, "--"+name, fmt.Sprint(c.Value(name)))
		}
	}
	return out
}

// ownFolder makes the work folder, as its user: root follows no links that lie
// in somebody's home.
func ownFolder(ctx context.Context, env Env, dir string, u account) error {
	cmd := run.Cmd{Name: "setpriv", Args: []string{
		"--reuid=" + strconv.Itoa(u.uid), "--regid=" + strconv.Itoa(u.gid), "--clear-groups", "mkdir", "-p", dir,
	}}
	_, err := env.Run.Checked(ctx, cmd)
	return err
}
