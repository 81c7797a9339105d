package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A Debian 12 with its own grub-mkconfig and Xen 4.17, in an ext4 image because
// grub-probe needs a file system on a block device.

// debianUUID is the file system's, so that menus are the same each time.
const debianUUID = "11111111-2222-3333-4444-555555555555"

// buildDebian makes the image in $1 with $2 as a folder to work in. The kernel
// and the hypervisor are unpacked, not installed: their scripts are not wanted.
const buildDebian = `set -ex
cd "$2"
truncate -s 1500M root.img
mkfs.ext4 -q -F -U ` + debianUUID + ` root.img
mkdir -p root
mount -o loop root.img root
trap 'umount root' EXIT
debootstrap --variant=minbase --include=grub-common,grub2-common bookworm root
chroot root sh -ec '
apt-get update -q
cd /tmp
linux=$(apt-cache depends linux-image-amd64 | sed -n "s/.*Depends: //p" | head -n 1)
apt-get -o APT::Sandbox::User=root download -q $linux xen-hypervisor-4.17-amd64 xen-hypervisor-common
# Not every package has both folders.
for p in *.deb; do dpkg-deb --fsys-tarfile $p | tar -x -C / --wildcards "./boot/*" "./etc/*" || true; done
test -f /boot/xen-4.17-amd64.gz
test -f /etc/default/grub.d/xen.cfg
rm -f *.deb
apt-get clean
rm -rf /var/lib/apt/lists/*
mkdir -p /boot/grub
for v in /boot/vmlinuz-*; do touch /boot/initrd.img-${v#/boot/vmlinuz-}; done
test -f /etc/default/grub || cp /usr/share/grub/default/grub /etc/default/grub
'
umount root
trap - EXIT
mv root.img "$1"
`

// debianImage is the image, made where it is not cached.
func debianImage(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = t.TempDir()
	}
	dir = filepath.Join(dir, "xtm-test")
	image := filepath.Join(dir, "bookworm-grub-2.img")
	if _, err := os.Stat(image); err == nil {
		return image
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := run.Cmd{Name: "sh", Args: []string{"-c", buildDebian, "sh", image, t.TempDir()}, Timeout: 10 * time.Minute}
	r, err := run.New(os.Environ())(t.Context(), c)
	if err == nil {
		err = r.Check(c)
	}
	if err != nil {
		needs.Unmet(t, "a Debian root could not be made: %v", err)
	}
	return image
}

// debian mounts a copy of the image, with what update-grub needs in it.
func debian(t *testing.T) Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		needs.Unmet(t, "root is needed to mount a file system")
	}
	start := run.New(os.Environ())
	command := func(argv ...string) string {
		t.Helper()
		c := run.Cmd{Name: argv[0], Args: argv[1:], Timeout: 2 * time.Minute}
		r, err := start(context.Background(), c)
		if err == nil {
			err = r.Check(c)
		}
		if err != nil {
			needs.Unmet(t, "a Debian root could not be mounted: %v", err)
		}
		return strings.TrimSpace(string(r.Stdout))
	}
	image := debianImage(t)
	dir := t.TempDir()
	copied, root := filepath.Join(dir, "root.img"), filepath.Join(dir, "root")
	command("cp", "--sparse=always", image, copied)
	loop := attach(t, start, copied)
	t.Cleanup(func() { command("losetup", "--detach", loop) })
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	command("mount", loop, root)
	t.Cleanup(func() { command("umount", root) })
	for _, mount := range []string{"proc", "sysfs"} {
		at := filepath.Join(root, strings.TrimSuffix(mount, "fs"))
		command("mount", "-t", mount, mount, at)
		t.Cleanup(func() { command("umount", at) })
	}
	var st syscall.Stat_t
	if err := syscall.Stat(loop, &st); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(root+loop, unix.S_IFBLK|0o600, int(st.Rdev)); err != nil {
		t.Fatal(err)
	}
	command("mkdir", "-p", root+"/dev/disk/by-uuid")
	command("ln", "-s", "../.."+strings.TrimPrefix(loop, "/dev"), root+"/dev/disk/by-uuid/"+debianUUID)
	m := Machine{Root: hostfs.Root(root), Run: start, Now: time.Now, Offline: true}
	if missing := m.Missing(); len(missing) > 0 {
		t.Fatalf("the root lacks %v", missing)
	}
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	return m
}

// attach puts an image behind a loop device with a number of two digits: 10_linux
// and 20_linux_xen leave out /dev/loop0 to 9, by name.
func attach(t *testing.T, start run.Func, image string) string {
	t.Helper()
	const loopMajor = 7
	for n := 16; n < 64; n++ {
		loop := fmt.Sprintf("/dev/loop%d", n)
		if err := unix.Mknod(loop, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(n)))); err != nil && !os.IsExist(err) {
			needs.Unmet(t, "a loop device could not be made: %v", err)
		}
		r, err := start(t.Context(), run.Cmd{Name: "losetup", Args: []string{loop, image}})
		if err == nil && r.ExitCode == 0 {
			return loop
		}
	}
	needs.Unmet(t, "no loop device is free")
	return ""
}

// inRoot changes a file of the root.
func inRoot(t *testing.T, m Machine, p string, edit func(string) string) {
	t.Helper()
	full, err := m.Root.Path(p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(full)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(edit(string(b))), 0o644); err != nil {
		t.Fatal(err)
	}
}

func planOf(t *testing.T, m Machine, o HostOptions) (Plan, error) {
	t.Helper()
	h, err := ProbeHost(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return PlanHost(h, o)
}

func refused(t *testing.T, m Machine, want Kind, text string) {
	t.Helper()
	_, err := planOf(t, m, HostOptions{})
	r, ok := errors.AsType[*RefusalError](err)
	if !ok || r.Kind != want || !strings.Contains(r.Error(), text) {
		t.Errorf("want %s, %q: %v", want, text, err)
	}
}

// TestDebianHost enables and disables tmem on a real Debian with the real
// update-grub.
func TestDebianHost(t *testing.T) {
	m := debian(t)
	refused(t, m, Impossible, "removed in Xen 4.13")

	// The same images as a 4.11 whose configuration has tmem.
	boot, err := m.Root.Path("/boot")
	if err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"gz", "efi"} {
		if err := os.Rename(boot+"/xen-4.17-amd64."+ext, boot+"/xen-4.11-amd64."+ext); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(boot + "/xen-4.17-amd64.config"); err != nil {
		t.Fatal(err)
	}
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	refused(t, m, Unsaid, "does not tell its release")
	config := func(text string) {
		inRoot(t, m, "/boot/xen-4.11-amd64.config", func(string) string { return text })
	}
	config("# Xen/x86 4.12.4 Configuration\n# CONFIG_TMEM is not set\n")
	refused(t, m, Impossible, "built without tmem")
	config("# Xen/x86 4.11.4 Configuration\nCONFIG_TMEM=y\n")
	before := live(t, m.Root)

	p, err := planOf(t, m, HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Apply(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Seen != "" {
		t.Errorf("Debian's xen.cfg makes Xen the default, but: %s", out.Seen)
	}
	normal, recovery := 0, 0
	for line := range strings.Lines(live(t, m.Root)["boot/grub/grub.cfg"]) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "multiboot2" || !strings.HasPrefix(words[1], "/boot/xen-") {
			continue
		}
		if slices.Contains(words, "tmem") {
			normal++
		} else {
			recovery++
		}
	}
	// The simple entry, and one with its recovery for each of the two images.
	if normal != 3 || recovery != 2 {
		t.Errorf("%d lines of Xen have tmem and %d have not, want 3 and 2", normal, recovery)
	}

	if p, err = planOf(t, m, HostOptions{}); err != nil || !p.Done() {
		t.Errorf("a second run would change something: %v\n%s", err, p.Diff())
	}
	if p, err = PlanDisable(m, "host"); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, live(t, m.Root)); diff != "" {
		t.Errorf("after disabling: %s", diff)
	}

	// Linux boots by default: the change stays, and what mends it is named.
	inRoot(t, m, "/etc/default/grub.d/xen.cfg", func(s string) string { return "XEN_OVERRIDE_GRUB_DEFAULT=0\n" + s })
	if p, err = planOf(t, m, HostOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err = Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	want := "GRUB_DEFAULT='Debian GNU/Linux, with Xen hypervisor'"
	if len(out.Fix) == 0 || !strings.HasSuffix(out.Fix[0], want) {
		t.Errorf("want %q: %q, %q", want, out.Seen, out.Fix)
	}
	inRoot(t, m, "/etc/default/grub", func(s string) string { return s + "\n" + want + "\n" })
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	if seen, _, err := nextBoot(m.Root); err != nil || seen != "" {
		t.Errorf("the named line does not mend it: %q, %v", seen, err)
	}
}
