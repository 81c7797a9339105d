package install

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/needs"
	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
)

// live is the Debian as if it ran: Root has a /proc of ours, and programs run in
// the root as if they were the machine's.
func (d *debian) live(t *testing.T) {
	t.Helper()
	inside := d.Run
	root := string(d.Dir)
	d.m = Machine{Root: d.Bare(t), Now: time.Now, Log: &d.log, Run: func(ctx context.Context, c run.Cmd) (run.Result, error) {
		switch c.Name {
		case "dpkg-deb", "sh": // packages lie outside
		case "dpkg":
			c.Args = append([]string{"--root=" + root}, c.Args...)
		default:
			c.Name, c.Args = "chroot", append([]string{root, c.Name}, c.Args...)
			if _, err := os.Stat(filepath.Join(root, "usr/bin", c.Args[1])); err != nil {
				if _, err := os.Stat(filepath.Join(root, "usr/sbin", c.Args[1])); err != nil {
					return run.Result{ExitCode: -1}, &missingError{c.Args[1], root}
				}
			}
		}
		return inside(ctx, c)
	}}
}

// runs makes the machine run a kernel, with words that begin its command line.
func (d *debian) runs(t *testing.T, release, line string) {
	t.Helper()
	for p, text := range map[string]string{"/proc/sys/kernel/osrelease": release + "\n", "/proc/cmdline": line + "\n"} {
		at := filepath.Join(string(d.m.Root), p)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// is puts files where a Xen kernel has them.
func (d *debian) is(t *testing.T, files map[string]string) {
	t.Helper()
	for p, text := range files {
		at := filepath.Join(string(d.m.Root), p)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *debian) wantList(t *testing.T, when, want string) {
	t.Helper()
	if diff := cmp.Diff(want, d.list(t)); diff != "" {
		t.Errorf("%s: %s", when, diff)
	}
}

// trial is that of a kernel in Dom0, from the boot once to the new default and
// back.
func (d *debian) trial(t *testing.T) {
	d.live(t)
	d.is(t, map[string]string{"/proc/xen/capabilities": "control_d\n"})
	d.runs(t, oldRelease, "placeholder root=/dev/xvda ro")
	before := d.files(t)
	ctx := t.Context()
	paths := build(t, newRelease, "1", kernelConfig)
	if _, _, err := installAll(ctx, d.m, paths, Options{BootOnce: true}); err != nil {
		t.Fatal(err)
	}
	d.wantList(t, "installed", newRelease+" ii next own\n"+oldRelease+" ii running default held\n")
	err := confirmIt(ctx, d.m)
	refused(t, err, cause.Blocked, "Linux "+oldRelease+" is running")

	// GRUB starts it, and takes next_entry away.
	d.Chroot(t, "grub-editenv", "/boot/grub/grubenv", "unset", "next_entry")
	d.runs(t, newRelease, "placeholder root=/dev/xvda ro")
	d.wantList(t, "tried", newRelease+" ii running own\n"+oldRelease+" ii default held\n")
	refused(t, removeOne(ctx, d.m, newRelease), cause.Blocked, "is running")
	_, err = PlanConfirm(d.m, "4.19.67-tmem", "")
	refused(t, err, cause.Blocked, "that is not 4.19.67-tmem")
	if err := confirmIt(ctx, d.m); err != nil {
		t.Fatal(err)
	}
	confirmed := newRelease + " ii running default held own confirmed\n" + oldRelease + " ii\n"
	d.wantList(t, "confirmed", confirmed)
	after := d.files(t)
	if err := confirmIt(ctx, d.m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(after, d.files(t)); diff != "" {
		t.Errorf("a second confirm: %s", diff)
	}
	if p, _, err := installAll(ctx, d.m, paths, Options{BootOnce: true}); err != nil || !p.Done() {
		t.Errorf("installing what is confirmed: %v, %v", p.Commands(), err)
	}

	// A newer kernel of the distribution's does not push it aside.
	const newer = "6.13.1-1-lab"
	d.put(t, build(t, newer, "6.13.1-1", kernelConfig)[0])
	d.wantList(t, "with a newer one", newer+" ii\n"+confirmed)

	d.runs(t, oldRelease, "placeholder root=/dev/xvda ro")
	if err := removeOne(ctx, d.m, newRelease); err != nil {
		t.Fatal(err)
	}
	d.wantList(t, "removed", newer+" ii default\n"+oldRelease+" ii running\n")
	d.Chroot(t, "dpkg", "--purge", "linux-image-"+newer)
	if diff := cmp.Diff(before, d.files(t)); diff != "" {
		t.Errorf("not as before: %s", diff)
	}
}

// pygrub starts Debian's own, unpacked from its packages, on a disk, and returns
// the kernel that it would boot and the kernel's words.
func pygrub(t *testing.T, d *debian, args ...string) (kernel, words string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	at := filepath.Join(cache, "xtm-test", "pygrub-4.17")
	if _, err := os.Stat(at); err != nil {
		script := `set -e; cd "$1"; apt-get -q -o APT::Sandbox::User=root download xen-utils-4.17 libxenmisc4.17
for p in *.deb; do dpkg-deb -x $p x; done; mv x "$2"`
		c := run.Cmd{Name: "sh", Args: []string{"-c", script, "sh", t.TempDir(), at}, Timeout: 5 * time.Minute}
		if _, err := d.Run.Checked(t.Context(), c); err != nil {
			needs.Unmet(t, "pygrub could not be had: %v", err)
		}
	}
	needs.Program(t, "python3")
	xen := filepath.Join(at, "usr/lib/xen-4.17")
	lib := filepath.Join(xen, "lib/x86_64-linux-gnu")
	c := run.Cmd{
		Name: "/usr/bin/python3", Env: []string{"LD_LIBRARY_PATH=" + lib, "XEN_FSIMAGE_FSDIR=" + lib + "/xenfsimage"},
		Args: slices.Concat([]string{
			xen + "/bin/pygrub", "--quiet", "--output-format=simple", "--output-directory=" + t.TempDir(),
		}, args, []string{d.Image}),
	}
	var r run.Result
	d.Frozen(t, func() {
		r, err = d.Run.Checked(t.Context(), c)
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(r.Stdout)) {
		if file, ok := strings.CutPrefix(line, "kernel "); ok {
			b, err := os.ReadFile(strings.TrimSpace(file))
			if err != nil {
				t.Fatal(err)
			}
			_, release, _ := strings.Cut(string(b), "Linux version ")
			kernel = strings.TrimSpace(release)
		}
		if w, ok := strings.CutPrefix(line, "args "); ok {
			words = strings.TrimSpace(w)
		}
	}
	return kernel, words
}

// asGuest takes Xen off the disk.
func (d *debian) asGuest(t *testing.T) {
	t.Helper()
	c := run.Cmd{Name: "sh", Args: []string{"-c", `cd "$1" && rm boot/xen-* etc/default/grub.d/xen.cfg`, "sh", string(d.Dir)}}
	if r, err := d.Run(t.Context(), c); err != nil || r.ExitCode != 0 {
		t.Fatalf("%v: %s", err, r.Stderr)
	}
	d.Chroot(t, "update-grub")
	d.live(t)
	d.is(t, map[string]string{"/proc/xen/capabilities": "", "/sys/hypervisor/type": "xen\n", "/sys/hypervisor/guest_type": "PV\n"})
}

// TestDebianGuest is a PV guest that pygrub boots, with a kernel that sorts above
// the old one and with one that sorts below, as 4.19 does; and one whose kernel
// is Dom0's.
func TestDebianGuest(t *testing.T) {
	d := newDebian(t)
	d.asGuest(t)
	t.Run("dom0", d.ownedByDom0)
	for _, release := range []string{newRelease, "4.19.67-tmem"} {
		t.Run("pygrub "+release, func(t *testing.T) {
			d.write(t, "/etc/default/grub", "GRUB_DEFAULT='Debian GNU/Linux'\nGRUB_CMDLINE_LINUX=\"console=hvc0\"\n", 0o644)
			d.Chroot(t, "update-grub")
			boots := func(when, want string, args ...string) {
				t.Helper()
				kernel, words := pygrub(t, d, args...)
				if kernel != want || !strings.Contains(words, "console=hvc0") {
					t.Errorf("%s, pygrub %v boots %s with %q, not %s", when, args, kernel, words, want)
				}
			}
			_, words := pygrub(t, d)
			d.runs(t, oldRelease, words)
			before := d.files(t)
			ctx := t.Context()
			paths := build(t, release, "1", kernelConfig)
			p, out, err := installAll(ctx, d.m, paths, Options{BootOnce: true})
			if err != nil {
				t.Fatal(err)
			}
			if p.By != ByPygrub {
				t.Fatalf("booted by %s: %s", p.By, p.Why)
			}
			boots("installed", oldRelease)
			i := slices.IndexFunc(out.InDom0, func(l string) bool { return strings.HasPrefix(l, `bootloader_args=["--entry=`) })
			if i < 0 {
				t.Fatalf("%q", out.InDom0)
			}
			entry := strings.TrimSuffix(strings.TrimPrefix(out.InDom0[i], `bootloader_args=["`), `"]`)
			boots("for a trial", release, entry)
			again, second, err := installAll(ctx, d.m, paths, Options{BootOnce: true})
			if err != nil || !again.Done() || !slices.Equal(second.InDom0, out.InDom0) {
				t.Errorf("a second run: %v, %v, %q", again.Commands(), err, second.InDom0)
			}

			d.runs(t, release, words)
			if err := confirmIt(ctx, d.m); err != nil {
				t.Fatal(err)
			}
			boots("confirmed", release)
			// A word that is added later reaches the first entry, too.
			d.write(t, "/etc/default/grub", "GRUB_DEFAULT='Debian GNU/Linux'\nGRUB_CMDLINE_LINUX=\"console=hvc0 tmem\"\n", 0o644)
			d.Chroot(t, "update-grub")
			if _, words := pygrub(t, d); !strings.Contains(words, "tmem") {
				t.Errorf("the first entry has %q", words)
			}
			d.write(t, "/etc/default/grub", before["/etc/default/grub"], 0o644)
			d.Chroot(t, "update-grub")
			boots("after update-grub", release)

			d.runs(t, oldRelease, words)
			if err := removeOne(ctx, d.m, release); err != nil {
				t.Fatal(err)
			}
			boots("removed", oldRelease)
			if diff := cmp.Diff(before, d.files(t)); diff != "" {
				t.Errorf("not as before: %s", diff)
			}
		})
	}
}

// ownedByDom0 is a guest whose kernel is Dom0's: its GRUB is left alone.
func (d *debian) ownedByDom0(t *testing.T) {
	d.runs(t, "6.1.0-9-dom0", "root=/dev/xvda ro xencons=tty")
	before := d.files(t)
	ctx := t.Context()
	p, out, err := installAll(ctx, d.m, build(t, newRelease, "1", kernelConfig), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.By != ByDom0 {
		t.Fatalf("booted by %s: %s", p.By, p.Why)
	}
	text := strings.Join(out.InDom0, "\n")
	for _, want := range []string{
		"/boot/vmlinuz-" + newRelease, "/boot/initrd.img-" + newRelease,
		"\nkernel='/var/lib/xen/kernels/vmlinuz-" + newRelease + "'\nramdisk=", `xl create CONFIGURATION 'kernel="`, "The way back",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	d.runs(t, newRelease, "root=/dev/xvda ro xencons=tty")
	if err := confirmIt(ctx, d.m); err != nil {
		t.Fatal(err)
	}
	refused(t, removeOne(ctx, d.m, newRelease), cause.Blocked, "is running")
	d.runs(t, "6.1.0-9-dom0", "root=/dev/xvda ro xencons=tty")
	if err := removeOne(ctx, d.m, newRelease); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, d.files(t)); diff != "" {
		t.Errorf("not as before: %s", diff)
	}
}
