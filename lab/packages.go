package main

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// packages are what Dom0's root is made of, with all that they depend on.
// Nothing of them is installed on the machine that runs the lab.
var packages = []string{
	"xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xenstore-utils",
	"libvirt-daemon", "libvirt-daemon-driver-xen", "libvirt-clients",
	"linux-image-amd64", "busybox-static", "dash", "e2fsprogs", "jq", "pciutils", "systemd",
}

// needed are the programs that the lab runs on the outer machine, by package.
var needed = []struct{ pkg, program string }{
	{"apt", "apt-get"},
	{"dpkg", "dpkg-deb"},
	{"e2fsprogs", "mke2fs"},
	{"qemu-system-x86", "qemu-system-x86_64"},
	{"xz-utils", "xz"},
}

// missingPackages are those that are not there.
func missingPackages() []string {
	var missing []string
	for _, n := range needed {
		if _, err := lookPath(n.program); err != nil {
			missing = append(missing, n.pkg)
		}
	}
	return missing
}

// lookPath finds a program, in /usr/sbin too, which users other than root do not
// have in PATH.
func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	return path, err
}

// deb is a package file; its name has the version.
type deb struct{ file, size string }

// apt plans for a system where nothing is installed, so that the whole closure
// is fetched whatever the outer machine has. It keeps archives in dir.
func apt(ctx context.Context, dir string, arg ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "apt-get", append([]string{
		"-qq", "-y", "--no-install-recommends",
		"-o", "Dir::State::status=/dev/null",
		"-o", "Dir::Cache::archives=" + dir,
		"-o", "Debug::NoLocking=1",
		"-o", "APT::Sandbox::User=",
	}, append(arg, packages...)...)...)
}

// listDebs asks apt, without the network, which files the packages are.
func listDebs(ctx context.Context, dir string) ([]deb, error) {
	// apt does not name what it has already, so it is asked about a place
	// where it has nothing.
	none := filepath.Join(dir, "none")
	if err := os.MkdirAll(filepath.Join(none, "partial"), 0o755); err != nil {
		return nil, err
	}
	out, err := output(apt(ctx, none, "--print-uris", "install"))
	if err != nil {
		return nil, fmt.Errorf("%w\nthe lab needs Debian 12's package lists: run apt-get update", err)
	}
	return parseURIs(strings.NewReader(out))
}

// parseURIs reads lines such as
//
//	'http://HOST/debian/pool/main/j/jq/jq_1.6-2.1_amd64.deb' jq_1.6-2.1_amd64.deb 64432 MD5Sum:5d1c…
//
// The sum is empty for some; apt-get checks what it downloads all the same.
func parseURIs(r io.Reader) ([]deb, error) {
	var debs []deb
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		f := strings.Fields(sc.Text())
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 || !strings.HasSuffix(f[1], ".deb") || strings.ContainsRune(f[1], '/') {
			return nil, fmt.Errorf("parse apt's list: line %d: %q", n, sc.Text())
		}
		debs = append(debs, deb{f[1], f[2]})
	}
	return debs, sc.Err()
}

func download(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
		return err
	}
	_, err := output(apt(ctx, dir, "--download-only", "install"))
	return err
}

// dropped are parts of packages that no Dom0 of ours looks at.
var dropped = []string{
	"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/", "usr/share/info/",
	"usr/share/i18n/", "usr/share/perl5/", "usr/share/python3/", "usr/share/mime/", "usr/share/initramfs-tools/",
	"usr/lib/python3", "usr/lib/xen-4.17/lib/python", "usr/lib/klibc/", "usr/lib/udev/", "lib/udev/",
	"usr/lib/x86_64-linux-gnu/gconv/", "usr/lib/x86_64-linux-gnu/perl", "usr/include/", "boot/System.map",
}

// moduleDirs are where the kernel modules are that Dom0 and guests need, and
// whatever those depend on.
var moduleDirs = []string{
	"arch/x86/crypto", "block", "crypto", "lib", "drivers/ata", "drivers/block", "drivers/net/ethernet/intel/e1000e", "drivers/pci",
	"drivers/scsi", "drivers/xen", "fs/ext4", "fs/jbd2", "fs/mbcache",
}

// keep tells whether a file of a package goes into the root. libvirtd gets no
// driver but Xen's: with the one for QEMU it exits in a Dom0 without QEMU.
func keep(name string) bool {
	for _, d := range dropped {
		if strings.HasPrefix(name, d) {
			return false
		}
	}
	if dir, file := path.Split(name); strings.HasSuffix(dir, "/libvirt/connection-driver/") {
		return file == "libvirt_driver_libxl.so"
	}
	if rest, ok := strings.CutPrefix(name, "lib/modules/"); ok {
		_, rest, _ = strings.Cut(rest, "/kernel/")
		for _, d := range moduleDirs {
			if strings.HasPrefix(rest, d+"/") || strings.HasPrefix(rest, d+".") {
				return true
			}
		}
		return false
	}
	return true
}

// unpack writes what is kept of one package below root, without running any of
// its scripts.
func unpack(ctx context.Context, file, root string) (err error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = untar(out, root, keep)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	if werr := cmd.Wait(); err == nil && werr != nil {
		err = werr
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	return nil
}

// untar writes directories, files and links below root. The archives are
// Debian's signed packages or the lab's own result disk; os.Root refuses what
// would leave root all the same.
func untar(r io.Reader, root string, keep func(string) bool) (err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "/"))
		if name == "." || !keep(name) {
			continue
		}
		if err := dir.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = dir.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = writeFile(dir, name, tr, h.FileInfo().Mode())
		case tar.TypeSymlink:
			err = dir.Symlink(h.Linkname, name)
		case tar.TypeLink:
			err = dir.Link(path.Clean(h.Linkname), name)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func writeFile(dir *os.Root, name string, r io.Reader, mode fs.FileMode) error {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode.Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// output runs a program and returns its stdout; its error has the end of stderr.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
			return "", fmt.Errorf("%s: %w: %s", path.Base(cmd.Path), err, strings.TrimSpace(string(e.Stderr)))
		}
		return "", fmt.Errorf("%s: %w", path.Base(cmd.Path), err)
	}
	return string(out), nil
}
