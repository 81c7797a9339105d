// Package debroot gives tests a whole Debian: a debootstrap root with a boot
// loader's programs, initramfs-tools and Xen's image, in an ext4 image because
// grub-probe needs a file system on a block device. Nothing of it touches the
// machine that the test runs on.
package debroot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"

	"golang.org/x/sys/unix"
)

// UUID is the file system's, so that menus are the same each time.
const UUID = "11111111-2222-3333-4444-555555555555"

// Linux is where the image has the /boot of Debian's own kernel package.
const Linux = "/opt/linux/boot"

// build makes the image in $1 with $2 as a folder to work in. Xen and Linux are
// unpacked, not installed: their scripts are not wanted.
const build = `set -ex
cd "$2"
truncate -s 1500M root.img
mkfs.ext4 -q -F -U ` + UUID + ` root.img
mkdir -p root
mount -o loop root.img root
trap 'umount root' EXIT
debootstrap --variant=minbase --include=grub-common,grub2-common,initramfs-tools,kmod bookworm root
chroot root sh -ec '
apt-get update -q
cd /tmp
apt-get -o APT::Sandbox::User=root download -q xen-hypervisor-4.17-amd64 xen-hypervisor-common
# Not every package has both folders.
for p in *.deb; do dpkg-deb --fsys-tarfile $p | tar -x -C / --wildcards "./boot/*" "./etc/*" || true; done
test -f /boot/xen-4.17-amd64.gz
test -f /etc/default/grub.d/xen.cfg
rm -f *.deb
linux=$(apt-cache depends linux-image-amd64 | sed -n "s/.*Depends: //p" | head -n 1)
apt-get -o APT::Sandbox::User=root download -q $linux
mkdir /opt/linux
dpkg-deb --fsys-tarfile *.deb | tar -x -C /opt/linux ./boot
rm -f *.deb
apt-get clean
rm -rf /var/lib/apt/lists/*
mkdir -p /boot/grub
test -f /etc/default/grub || cp /usr/share/grub/default/grub /etc/default/grub
'
umount root
trap - EXIT
mv root.img "$1"
`

// image is the image, made where it is not cached.
func image(tb testing.TB, start run.Func) string {
	tb.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = tb.TempDir()
	}
	dir = filepath.Join(dir, "xtm-test")
	at := filepath.Join(dir, "bookworm-2.img")
	if _, err := os.Stat(at); err == nil {
		return at
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	c := run.Cmd{Name: "sh", Args: []string{"-c", build, "sh", at, tb.TempDir()}, Timeout: 10 * time.Minute}
	if _, err := start.Checked(context.Background(), c); err != nil {
		needs.Unmet(tb, "a Debian root could not be made: %v", err)
	}
	return at
}

// Root is a mounted copy of the image.
type Root struct {
	// Dir is where it is mounted.
	Dir hostfs.Root
	// Image is the file behind it; Frozen makes it hold what was written.
	Image string
	Run   run.Func
}

// New mounts a copy of the image with what update-grub needs in it, until the
// test ends.
func New(tb testing.TB, environ []string) Root {
	tb.Helper()
	if os.Geteuid() != 0 {
		needs.Unmet(tb, "root is needed to mount a file system")
	}
	r := Root{Run: run.New(environ)}
	dir := tb.TempDir()
	copied, root := filepath.Join(dir, "root.img"), filepath.Join(dir, "root")
	r.Image, r.Dir = copied, hostfs.Root(root)
	r.command(tb, "cp", "--sparse=always", image(tb, r.Run), copied)
	loop := r.attach(tb, copied)
	tb.Cleanup(func() { r.command(tb, "losetup", "--detach", loop) })
	if err := os.Mkdir(root, 0o755); err != nil {
		tb.Fatal(err)
	}
	r.command(tb, "mount", loop, root)
	tb.Cleanup(func() { r.command(tb, "umount", root) })
	for _, mount := range []string{"proc", "sysfs"} {
		at := filepath.Join(root, strings.TrimSuffix(mount, "fs"))
		r.command(tb, "mount", "-t", mount, mount, at)
		tb.Cleanup(func() { r.command(tb, "umount", at) })
	}
	var st syscall.Stat_t
	if err := syscall.Stat(loop, &st); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mknod(root+loop, unix.S_IFBLK|0o600, int(st.Rdev)); err != nil {
		tb.Fatal(err)
	}
	r.command(tb, "mkdir", "-p", root+"/dev/disk/by-uuid")
	r.command(tb, "ln", "-s", "../.."+strings.TrimPrefix(loop, "/dev"), root+"/dev/disk/by-uuid/"+UUID)
	return r
}

// attach puts an image behind a loop device with a number of two digits: 10_linux
// and 20_linux_xen leave out /dev/loop0 to 9, by name.
func (r Root) attach(tb testing.TB, image string) string {
	tb.Helper()
	const loopMajor = 7
	for n := 64; n < 96; n++ {
		loop := fmt.Sprintf("/dev/loop%d", n)
		if err := unix.Mknod(loop, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(n)))); err != nil && !os.IsExist(err) {
			needs.Unmet(tb, "a loop device could not be made: %v", err)
		}
		res, err := r.Run(context.Background(), run.Cmd{Name: "losetup", Args: []string{loop, image}})
		if err == nil && res.ExitCode == 0 {
			return loop
		}
	}
	needs.Unmet(tb, "no loop device is free")
	return ""
}

// command runs a program of the machine that the test runs on.
func (r Root) command(tb testing.TB, argv ...string) {
	tb.Helper()
	c := run.Cmd{Name: argv[0], Args: argv[1:], Timeout: 2 * time.Minute}
	if _, err := r.Run.Checked(context.Background(), c); err != nil {
		needs.Unmet(tb, "a Debian root could not be mounted: %v", err)
	}
}

// Chroot runs a program of the root in it, and returns what it printed.
func (r Root) Chroot(tb testing.TB, argv ...string) string {
	tb.Helper()
	c := run.Cmd{Name: "chroot", Args: append([]string{string(r.Dir)}, argv...), Timeout: 2 * time.Minute}
	res, err := r.Run.Checked(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return string(res.Stdout)
}

// Frozen calls do while the file system is at rest, so that a program which knows
// nothing of journals can read Image.
func (r Root) Frozen(tb testing.TB, do func()) {
	tb.Helper()
	r.command(tb, "fsfreeze", "--freeze", string(r.Dir))
	defer r.command(tb, "fsfreeze", "--unfreeze", string(r.Dir))
	do()
}

// Bare mounts the file system once more, without its /proc and /sys: folders
// there can say what a running machine's would.
func (r Root) Bare(tb testing.TB) hostfs.Root {
	tb.Helper()
	at := tb.TempDir()
	r.command(tb, "mount", "--bind", string(r.Dir), at)
	tb.Cleanup(func() { r.command(tb, "umount", at) })
	return hostfs.Root(at)
}
