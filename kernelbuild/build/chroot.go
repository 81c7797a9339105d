package build

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// Chroot is a Debian of the kernel's own age, in a folder: the only place where
// an old kernel's compiler still is. xtm itself runs in it, as another user than
// root, so that nothing of the build knows of the machine around it.
type Chroot struct {
	// Dir is the folder of the other Debian.
	Dir string
	// Suite is what to make it of where it is not there; "" makes none.
	Suite  string
	Mirror string
	// UID and GID are the user that builds.
	UID, GID int
	// Program is xtm's own file.
	Program string
	// Share are paths of this machine that are there under the same names.
	Share []string
}

// suiteName is what a Debian release can be called.
var suiteName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,40}$`)

// IsSuite tells whether a word can be the name of a Debian release.
func IsSuite(word string) bool { return suiteName.MatchString(word) }

// chrootPackages are what builds of kernels of all ages need.
var chrootPackages = []string{
	"bc", "bison", "build-essential", "ca-certificates", "cpio", "debhelper", "fakeroot", "flex", "kmod", "libelf-dev", "libssl-dev", "rsync", "xz-utils",
}

// oldCompilers are what else a release has for kernels that its own compiler does
// not build.
var oldCompilers = map[string][]string{"bullseye": {"gcc-9"}}

// Make makes the other Debian, whole or not at all, unless it is there.
func (c Chroot) Make(ctx context.Context, f run.Func, log io.Writer) error {
	if _, err := os.Stat(c.Dir + "/usr/bin/dpkg"); err == nil {
		return nil
	}
	if c.Suite == "" {
		return fmt.Errorf("find a Debian in %s: there is no /usr/bin/dpkg: %w", c.Dir, fs.ErrNotExist)
	}
	part := c.Dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	args := []string{"--variant=minbase", "--mode=root", "--include=" + strings.Join(slices.Concat(chrootPackages, oldCompilers[c.Suite]), ","), c.Suite, part}
	if c.Mirror != "" {
		args = append(args, c.Mirror)
	}
	cmd := run.Cmd{Name: "mmdebstrap", Args: args, Timeout: 2 * time.Hour, MaxOutput: maxMakeOutput, Stream: log}
	if _, err := f.Checked(ctx, cmd); err != nil {
		return errors.Join(fmt.Errorf("make a Debian %s: %w", c.Suite, err), os.RemoveAll(part))
	}
	return os.Rename(part, c.Dir)
}

// ErrNeedsLibraries means that a program may not run in another Debian, whose
// libraries may be too old for it.
var ErrNeedsLibraries = errors.New("it needs this machine's libraries and may not run in another Debian")

// Standalone refuses a program that needs libraries, as Go's compiler links one
// where CGO_ENABLED is not 0, with ErrNeedsLibraries.
func Standalone(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("look at %s: %w", program, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("look at %s: %w", program, ErrNeedsLibraries)
	}
	return nil
}

// Put writes a file for xtm in the other Debian, and returns its path there.
func (c Chroot) Put(name string, text []byte) (string, error) {
	const folder = "/var/lib/xtm-build"
	dir, err := hostfs.Root(c.Dir).Path(folder)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = atomicfile.Replace(hostfs.Root(c.Dir), folder+"/"+name, text, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("prepare the Debian in %s: %w", c.Dir, err)
	}
	return folder + "/" + name, nil
}

// prepare puts xtm and the building user into the other Debian. Its paths are
// resolved inside it.
func (c Chroot) prepare() error {
	root := hostfs.Root(c.Dir)
	program, err := os.ReadFile(c.Program)
	if err != nil {
		return err
	}
	to, err := root.Path("/usr/local/bin/xtm")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, program, 0o755); err != nil { //nolint:gosec // it is run by another user
		return err
	}
	users, err := root.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	if !strings.Contains(string(users), fmt.Sprintf(":x:%d:", c.UID)) {
		path, err := root.Path("/etc/passwd")
		if err != nil {
			return err
		}
		line := fmt.Sprintf("xtm-build:x:%d:%d::/nonexistent:/bin/sh\n", c.UID, c.GID)
		if err := os.WriteFile(path, append(users, line...), 0o644); err != nil { //nolint:gosec // all read it
			return err
		}
	}
	for _, path := range c.Share {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		at, err := root.Path(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = os.MkdirAll(at, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(at), 0o755); err == nil {
			err = touch(at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// touch makes a file on which another can be mounted.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// inside is what runs as root in a mount namespace of its own, so that nothing
// is mounted for anybody else and nothing stays mounted: the folder, how many
// paths to share, the paths, the user, the program.
const inside = `set -e
root=$1 share=$2; shift 2
mount -t proc proc "$root/proc"
while [ "$share" -gt 0 ]; do mount --bind "$1" "$root$1"; shift; share=$((share - 1)); done
user=$1; shift
exec chroot --userspec="$user" "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/nonexistent "$@"`

// Command is a run of xtm in the other Debian.
func (c Chroot) Command(args ...string) run.Cmd {
	words := []string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", inside, "sh", c.Dir, strconv.Itoa(len(c.Share))}
	words = append(words, c.Share...)
	words = append(words, fmt.Sprintf("+%d:+%d", c.UID, c.GID), "/usr/local/bin/xtm")
	return run.Cmd{Name: "unshare", Args: append(words, args...), Timeout: makeTimeout, MaxOutput: maxMakeOutput}
}

// Run prepares the other Debian and runs xtm in it, with its output in log.
func (c Chroot) Run(ctx context.Context, f run.Func, log io.Writer, args ...string) (exitCode int, err error) {
	if err := c.prepare(); err != nil {
		return 0, fmt.Errorf("prepare the Debian in %s: %w", c.Dir, err)
	}
	cmd := c.Command(args...)
	cmd.Stream = log
	r, err := f(ctx, cmd)
	return r.ExitCode, err
}
