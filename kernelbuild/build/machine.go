// Package build carries out what kernelbuild plans: it collects facts, fetches
// the source, and runs the phases, with a journal on disk from which a build
// that was interrupted goes on.
package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/kernelbuild"
)

// Machine is where facts come from and where the build runs.
type Machine struct {
	Files hostfs.Files
	Run   run.Func
	// Root tells whether programs run as root.
	Root bool
}

// output runs a program that must succeed.
func (m Machine) output(ctx context.Context, name string, args ...string) (string, error) {
	c := run.Cmd{Name: name, Args: args}
	r, err := m.Run.Checked(ctx, c)
	return string(r.Stdout), err
}

// Release is the running kernel's uname -r.
func (m Machine) Release() (string, error) {
	b, err := m.Files.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", fmt.Errorf("find the running kernel: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// Export collects what a build must know of the machine that the kernel is for.
// release is the kernel to start from; "" is the running one. What cannot be
// found is left out, for the plan to tell.
func (m Machine) Export(ctx context.Context, release string) (kernelbuild.Export, error) {
	e := kernelbuild.Export{Schema: kernelbuild.ExportSchema}
	running, err := m.Release()
	switch {
	case err != nil && release == "":
		return e, err
	case release == "":
		release = running
	}
	e.Target.Release = release
	arch, err := m.output(ctx, "dpkg", "--print-architecture")
	if err != nil {
		return e, fmt.Errorf("find architecture: %w", err)
	}
	e.Target.Architecture = strings.TrimSpace(arch)
	if e.Target.DpkgVersion, err = m.output(ctx, "dpkg-query", "--show", "--showformat=${Version}", "dpkg"); err != nil {
		return e, fmt.Errorf("find version of dpkg: %w", err)
	}
	e.Target.Distribution = m.osRelease()["ID"]
	if e.Target.Owner, err = m.owner(ctx, release); err != nil {
		return e, err
	}
	config, path, err := kernelbuild.FindConfig(m.Files, release, release == running)
	switch {
	case err == nil:
		e.Config, e.Target.ConfigPath = string(config.Bytes()), path
	case !errors.Is(err, cause.ErrNoData):
		return e, err
	}
	e.Target.Initrd = kernelbuild.FindInitrd(m.Files)
	if version, err := m.output(ctx, "dpkg-query", "--show", "--showformat=${Version}", "initramfs-tools-core"); err == nil {
		e.Target.InitramfsTools = version // absent where another program writes initrds
	}
	e.Modules = m.modules()
	e.DKMS = m.dkms()
	e.Crypttab = m.hasEntries("/etc/crypttab", "")
	e.Mdadm = m.hasEntries("/etc/mdadm/mdadm.conf", "ARRAY")
	for _, loader := range [][2]string{{"/boot/grub/grub.cfg", "grub"}, {"/boot/extlinux/extlinux.conf", "extlinux"}} {
		if ok, err := m.Files.Exists(loader[0]); err == nil && ok {
			e.BootLoader = loader[1]
			break
		}
	}
	return e, nil
}

// osRelease reads /etc/os-release.
//
//	PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
//	ID=debian
func (m Machine) osRelease() map[string]string {
	out := map[string]string{}
	b, err := m.Files.ReadFile("/etc/os-release")
	if err != nil {
		return out // not every container has one: the distribution is not known then
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[k] = strings.Trim(v, `"'`)
		}
	}
	return out
}

// owner asks dpkg which package has a kernel; absent where none has.
func (m Machine) owner(ctx context.Context, release string) (opt.Value[kernelbuild.Owner], error) {
	var none opt.Value[kernelbuild.Owner]
	for _, path := range kernelbuild.OwnerPaths(release) {
		// linux-image-6.1.0-56-amd64: /boot/vmlinuz-6.1.0-56-amd64
		out, err := m.output(ctx, "dpkg-query", "--search", path)
		if err != nil {
			if _, said := errors.AsType[*run.ExitError](err); said {
				continue // no package has this path
			}
			return none, fmt.Errorf("find package of the kernel: %w", err)
		}
		name, _, ok := strings.Cut(out, ":")
		if !ok || strings.ContainsAny(name, ", \n") {
			continue
		}
		if out, err = m.output(ctx, "dpkg-query", "--show", "--showformat="+kernelbuild.OwnerFormat, name); err != nil {
			return none, fmt.Errorf("find package of the kernel: %w", err)
		}
		o, err := kernelbuild.ParseOwner(out)
		return opt.Of(o), err
	}
	return none, nil
}

// modules lists what is loaded.
//
//	xen_blkfront 61440 2 - Live 0xffffffffc0000000
func (m Machine) modules() []string {
	b, err := m.Files.ReadFile("/proc/modules")
	if err != nil {
		return nil // a kernel without modules
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if name, _, ok := strings.Cut(line, " "); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// dkms lists what /var/lib/dkms has, a folder for each module.
func (m Machine) dkms() []string {
	names, err := m.Files.ReadDir("/var/lib/dkms")
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(n string) bool {
		files, err := m.Files.ReadDir("/var/lib/dkms/" + n)
		return err != nil || len(files) == 0 // dkms_dbversion, mok.key and the like are no folders
	})
}

// hasEntries tells whether a file has a line that is no comment and begins so.
func (m Machine) hasEntries(path, begin string) bool {
	b, err := m.Files.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

// Builder collects what a plan must know of the machine that builds. source is
// the package whose versions apt is asked for, "" for none; dir is the folder to
// build in.
func (m Machine) Builder(ctx context.Context, dir, source string) (kernelbuild.Builder, error) {
	b := kernelbuild.Builder{Root: m.Root}
	cpus, err := m.output(ctx, "nproc")
	if err != nil {
		return b, fmt.Errorf("count processors: %w", err)
	}
	if b.CPUs, err = strconv.Atoi(strings.TrimSpace(cpus)); err != nil {
		return b, fmt.Errorf("count processors: %w", err)
	}
	if b.Memory, err = m.memory(); err != nil {
		return b, err
	}
	if b.Folders, err = folders(dir); err != nil {
		return b, err
	}
	b.Compilers = m.compilers(ctx)
	installed, err := m.output(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version}\n")
	if err != nil {
		return b, fmt.Errorf("list installed packages: %w", err)
	}
	b.Installed = map[string]bool{}
	for line := range strings.Lines(installed) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "installed" {
			continue
		}
		b.Installed[f[1]] = true
		if f[1] == "dpkg" {
			b.DpkgVersion = f[2]
		}
	}
	if _, err := m.output(ctx, "ccache", "--version"); err == nil {
		b.Ccache = true
	}
	if versions := m.offers(ctx, source); len(versions) > 0 { // else its lists may be missing
		b.Offers = map[string][]string{source: versions}
	}
	return b, nil
}

// memory reads MemAvailable.
func (m Machine) memory() (units.Bytes, error) {
	b, err := m.Files.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("find free memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return units.Bytes(kib) << 10, err
		}
	}
	return 0, fmt.Errorf("find free memory: no MemAvailable in /proc/meminfo: %w", cause.ErrNoData)
}

// folders measures where the build writes. A folder that is to be made is
// measured by the nearest one that is there.
func folders(dir string) ([]kernelbuild.Folder, error) {
	out := []kernelbuild.Folder{
		{Path: dir, Use: kernelbuild.ForTree}, {Path: dir, Use: kernelbuild.ForPackages}, {Path: "/tmp", Use: kernelbuild.ForTemporary},
	}
	for i := range out {
		f := &out[i]
		var st unix.Statfs_t
		var id unix.Stat_t
		at := f.Path
		err := unix.Statfs(at, &st)
		for errors.Is(err, fs.ErrNotExist) && at != "/" {
			at = parent(at)
			err = unix.Statfs(at, &st)
		}
		if err == nil {
			err = unix.Stat(at, &id)
		}
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", f.Path, err)
		}
		f.Free = units.Bytes(st.Bavail) * units.Bytes(st.Bsize)
		if st.Files > 0 { // btrfs says 0: it makes inodes as they are needed
			f.Inodes = opt.Of(int64(st.Ffree))
		}
		f.Device = strconv.FormatUint(id.Dev, 10)
		f.Writable = unix.Access(at, unix.W_OK) == nil
	}
	return out, nil
}

func parent(path string) string {
	if i := strings.LastIndexByte(strings.TrimRight(path, "/"), '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

var compilerName = regexp.MustCompile(`^gcc(-[0-9]+)?$`)

// compilers asks each gcc for its version; the one without a number first, then
// the newest.
func (m Machine) compilers(ctx context.Context) []kernelbuild.Compiler {
	names, err := m.Files.ReadDir("/usr/bin")
	if err != nil {
		return nil
	}
	var out []kernelbuild.Compiler
	for _, n := range names {
		if !compilerName.MatchString(n) {
			continue
		}
		version, err := m.output(ctx, n, "-dumpfullversion", "-dumpversion")
		if err == nil {
			out = append(out, kernelbuild.Compiler{Name: n, Version: strings.TrimSpace(version)})
		}
	}
	slices.SortFunc(out, func(a, b kernelbuild.Compiler) int { return rank(b.Name) - rank(a.Name) })
	return out
}

// rank puts plain gcc before gcc-12, and that before gcc-9.
func rank(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "gcc-"))
	if err != nil {
		return 1000
	}
	return n
}

// offers lists the versions of a package that apt knows.
//
//	linux-source-6.1 | 6.1.192-2 | http://deb.example.org/debian-security bookworm-security/main amd64 Packages
func (m Machine) offers(ctx context.Context, name string) []string {
	if name == "" {
		return nil
	}
	out, err := m.output(ctx, "apt-cache", "madison", name)
	if err != nil {
		return nil // the private configuration will ask again
	}
	var versions []string
	for line := range strings.Lines(out) {
		f := strings.Split(line, "|")
		if len(f) == 3 && strings.HasSuffix(strings.TrimSpace(f[2]), "Packages") {
			versions = append(versions, strings.TrimSpace(f[1]))
		}
	}
	return versions
}
