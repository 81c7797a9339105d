package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"xtm/internal/run"
	"xtm/kernelbuild"
)

// Bounds of one run of make.
const (
	makeTimeout   = 48 * time.Hour
	maxMakeOutput = 1 << 30
)

// sum is the SHA-256 of bytes, in hex.
func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// environment is what make is told beside its arguments: what decides the
// packages' bytes, so that the same tree gives the same ones.
func (s *session) environment() []string {
	arch := "x86_64"
	if s.Export.Target.Architecture == "i386" {
		arch = "i386"
	}
	return []string{
		"ARCH=" + arch, "CROSS_COMPILE=", "MAKEFLAGS=", "MFLAGS=",
		"KBUILD_BUILD_TIMESTAMP=" + s.timestamp(), "KBUILD_BUILD_USER=xtm", "KBUILD_BUILD_HOST=xtm",
		"CCACHE_DIR=" + s.ccacheDir(), "DEBFULLNAME=xtm", "DEBEMAIL=xtm@localhost", "NAME=xtm", "EMAIL=xtm@localhost", "KDEB_CHANGELOG_DIST=unstable",
	}
}

// timestamp is the age of the tree, which is the same for all who unpack it.
func (s *session) timestamp() string {
	info, err := os.Stat(s.treeDir() + "/Makefile")
	if err != nil {
		return "@0"
	}
	return "@" + strconv.FormatInt(info.ModTime().Unix(), 10)
}

// command is a run of make in the tree. Its lock is inherited by all that it
// starts: should xtm be killed, the next run waits until the last compiler of
// this one has ended.
func (s *session) command(target string, args []string) run.Cmd {
	return run.Cmd{
		Name: "flock",
		Args: slices.Concat([]string{"--wait", "120", "--conflict-exit-code", "75", s.path("make.lock"), "nice", "-n", "10", "make", target}, args), Dir: s.treeDir(), Env: s.environment(),
		Timeout: makeTimeout, MaxOutput: maxMakeOutput,
	}
}

// make runs make for a phase, with the log in out. The error tells the first
// thing that went wrong.
func (s *session) make(ctx context.Context, phase Phase, target string, args []string, stdin []byte, also io.Writer) error {
	args, err := s.throughCcache(args)
	if err != nil {
		return err
	}
	c := s.command(target, args)
	c.Stdin = stdin
	path := s.path("out", target+".log")
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	c.Stream = log
	if also != nil {
		c.Stream = io.MultiWriter(log, also)
	}
	r, err := s.Run(ctx, c)
	if cerr := log.Close(); err == nil && cerr != nil {
		return fmt.Errorf("write log: %w", cerr)
	}
	switch {
	case err != nil:
		return err
	case r.ExitCode == 0:
		return nil
	case r.ExitCode == 75:
		return fmt.Errorf("make %s: programs of an earlier run are still at work in the tree: %w", target, ErrBusy)
	}
	e := &PhaseError{Phase: phase, Err: fmt.Errorf("make %s failed with exit status %d", target, r.ExitCode), Log: path}
	in, err := os.Open(path)
	if err != nil {
		return errors.Join(e, err)
	}
	defer in.Close() //nolint:errcheck // it was only read
	if f, found, err := kernelbuild.FirstFailure(in); err == nil && found {
		e.Failure = &f
		e.Err = fmt.Errorf("make %s: %s", target, f.Text)
	}
	return e
}

// reproducer is the command that makes the packages, for a shell.
func (s *session) reproducer() string {
	return run.Cmd{Name: "env", Args: slices.Concat(s.environment(), []string{"make"}, s.plan.Make)}.String()
}

// makeInputs are what the outcome of compiling depends on, beside the
// configuration.
func (s *session) makeInputs() []string {
	args := slices.DeleteFunc(slices.Clone(s.plan.Make), func(a string) bool { return strings.HasPrefix(a, "-j") })
	return append(args, s.plan.Toolchain.Compiler.Version)
}

func (s *session) probed(map[string]string) bool { return true }

// probe compiles the little that everything else needs: where the compiler and
// the tree do not fit, it fails in seconds instead of hours.
func (s *session) probe(ctx context.Context) (map[string]string, error) {
	args := slices.Clone(s.plan.Make[1:])
	if err := s.make(ctx, Probe, "prepare", args, nil, nil); err != nil {
		return nil, err
	}
	// Only after "prepare" has read the configuration is the answer this one's.
	c := run.Cmd{Name: "make", Args: append([]string{"-s", "kernelrelease"}, s.configArguments()...), Dir: s.treeDir(), Env: s.environment()}
	r, err := s.Run.Checked(ctx, c)
	if err != nil {
		return nil, err
	}
	if got := strings.TrimSpace(string(r.Stdout)); got != s.plan.Names.Release {
		return nil, fmt.Errorf("the tree would make Linux %q, not %q: it holds a file localversion, or CONFIG_LOCALVERSION is set: %w",
			got, s.plan.Names.Release, kernelbuild.ErrName)
	}
	return nil, nil
}
