package install

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/debroot"
	"xtm/internal/grub"
	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
)

const (
	oldRelease = "6.1.0-9-lab"
	newRelease = "6.12.107-tmem" // sorts above the old one, as 4.19.67-tmem does over 4.19.0-6-amd64
)

// debian is a Debian 12 with a kernel, booted by its GRUB. What runs is said by
// a file in the place of /proc.
type debian struct {
	debroot.Root

	m   Machine
	log bytes.Buffer
}

func newDebian(t *testing.T) *debian {
	t.Helper()
	d := &debian{Root: debroot.New(t, os.Environ())}
	d.m = Machine{Root: d.Dir, Run: d.Run, Now: time.Now, Offline: true, Log: &d.log}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	d.Chroot(t, "update-grub")
	d.put(t, build(t, oldRelease, "6.1.4-1", kernelConfig)[0])
	return d
}

// put installs a package as an administrator would.
func (d *debian) put(t *testing.T, paths ...string) {
	t.Helper()
	c := run.Cmd{Name: "dpkg", Args: append([]string{"--root=" + string(d.Dir), "--install"}, paths...), Timeout: 2 * time.Minute, Stream: &d.log}
	if _, err := d.Run.Checked(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// write changes a file of the root.
func (d *debian) write(t *testing.T, p, text string, mode os.FileMode) {
	t.Helper()
	at := filepath.Join(string(d.Dir), p)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		t.Fatal(err)
	}
}

// files is what installing and removing change: settings, menu, environment,
// /boot by name, dpkg's word for the packages.
func (d *debian) files(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, pattern := range []string{"etc/default/grub", "etc/default/grub.d/*", "etc/grub.d/*", "boot/grub/grub.cfg", "var/lib/xtm/kernel/*"} {
		names, err := filepath.Glob(filepath.Join(string(d.Dir), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			got[strings.TrimPrefix(n, string(d.Dir))] = string(b)
		}
	}
	names, err := d.Dir.ReadDir("/boot")
	if err != nil {
		t.Fatal(err)
	}
	got["/boot"] = strings.Join(names, " ")
	env, err := d.Dir.ReadFile("/boot/grub/grubenv")
	if err == nil {
		vars, err := grub.ParseEnv(env)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range slices.Sorted(maps.Keys(vars)) {
			got["grubenv "+k] = vars[k]
		}
	}
	got["dpkg"] = d.Chroot(t, "dpkg-query", "--show", "--showformat", `${Package} ${Version} ${db:Status-Abbrev}\n`)
	return got
}

func (d *debian) list(t *testing.T) string {
	t.Helper()
	l, err := ReadList(t.Context(), d.m, "")
	if err != nil {
		t.Fatal(err)
	}
	return lines(l)
}

func refused(t *testing.T, err error, kind cause.Kind, text string) {
	t.Helper()
	r, ok := errors.AsType[*cause.RefusalError](err)
	if !ok || r.Kind != kind || !strings.Contains(r.Error(), text) || len(r.Ways) == 0 {
		t.Errorf("want %s, %q, and a way: %v", kind, text, err)
	}
}

// TestDebianHost is a Debian Dom0 with its own dpkg, initramfs-tools and
// update-grub. Each part leaves it as it was.
func TestDebianHost(t *testing.T) {
	d := newDebian(t)
	t.Run("refusals", d.refusals)
	t.Run("hook fails", d.hookFails)
	t.Run("once", d.once)
	t.Run("module missing", d.moduleMissing)
	t.Run("trial", d.trial)
}

// once installs a kernel, has it boot once, and takes it away.
func (d *debian) once(t *testing.T) {
	before := d.files(t)
	paths := build(t, newRelease, "1", kernelConfig)
	p, out, err := installAll(t.Context(), d.m, paths, Options{BootOnce: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.By != ByGRUB || len(p.LeftOut) != 1 || p.LeftOut[0].Name != "linux-libc-dev" {
		t.Errorf("booted by %s, left out %v", p.By, p.LeftOut)
	}
	if len(out.Said) != 3 || !strings.Contains(out.Said[1], "with Xen 4.17-amd64 and Linux "+oldRelease) {
		t.Errorf("%q", out.Said)
	}
	if diff := cmp.Diff(newRelease+" ii next own\n"+oldRelease+" ii default held\n", d.list(t)); diff != "" {
		t.Error(diff)
	}
	// What GRUB itself would do: the entry once, and Xen with the old kernel from then on.
	env := d.files(t)
	for name, release := range map[string]string{"next_entry": newRelease, "saved_entry": oldRelease} {
		if got := env["grubenv "+name]; !strings.Contains(got, "(with Xen hypervisor)>") || !strings.Contains(got, release) {
			t.Errorf("%s=%q", name, got)
		}
	}
	if env["/etc/default/grub"] != before["/etc/default/grub"] {
		t.Error("a file of the user's was changed")
	}
	if !strings.Contains(env["/boot"], "initrd.img-"+newRelease) || strings.Contains(env["dpkg"], "linux-libc-dev") {
		t.Errorf("%s\n%s", env["/boot"], env["dpkg"])
	}

	// A second run changes nothing.
	if p, _, err = installAll(t.Context(), d.m, paths, Options{BootOnce: true}); err != nil || !p.Done() {
		t.Errorf("a second run would do something: %v\n%s%v", err, p.Diff(), p.Commands())
	}
	if diff := cmp.Diff(env, d.files(t)); diff != "" {
		t.Error(diff)
	}
	if err := removeOne(t.Context(), d.m, newRelease); err != nil {
		t.Fatal(err)
	}
	after := d.files(t)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after removing: %s", diff)
	}
	_, err = PlanRemove(d.m, newRelease, "")
	refused(t, err, cause.Blocked, "did not install")
}

// refusals are what stops before anything is changed.
func (d *debian) refusals(t *testing.T) {
	before := d.files(t)
	good := build(t, newRelease, "1", kernelConfig)
	plan := func(paths []string, o Options) error {
		_, _, err := installAll(t.Context(), d.m, paths, o)
		return err
	}
	refused(t, plan(build(t, newRelease, "1", "CONFIG_XEN=y\n"), Options{}), cause.Blocked, "CONFIG_XEN_DOM0")
	refused(t, plan(good[1:], Options{}), cause.Unsaid, "0 have a kernel")
	refused(t, plan(build(t, oldRelease, "6.1.4-2", kernelConfig), Options{}), cause.Blocked, "would replace it")

	// A package that is not the one that was built.
	f, err := os.OpenFile(good[1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	refused(t, plan(good, Options{}), cause.Blocked, "not the file that was built")
	if err := os.Remove(filepath.Join(filepath.Dir(good[0]), "record.json")); err != nil {
		t.Fatal(err)
	}
	refused(t, plan(good, Options{}), cause.Unsaid, "record.json")

	// dkms wants the headers.
	d.write(t, "/usr/bin/dkms", "#!/bin/sh\necho 'zfs/2.1.11, "+oldRelease+", x86_64: installed'\n", 0o755)
	good = build(t, newRelease, "1", kernelConfig)
	refused(t, plan(good[:1], Options{}), cause.Blocked, "the headers are not among")
	if err := os.Remove(string(d.Dir) + "/usr/bin/dkms"); err != nil {
		t.Fatal(err)
	}

	// /boot on LVM, and on btrfs, by the word of grub-probe.
	probe := string(d.Dir) + "/usr/sbin/grub-probe"
	if err := os.Rename(probe, probe+".real"); err != nil {
		t.Fatal(err)
	}
	for target, answer := range map[string]string{"abstraction": "lvm", "fs": "btrfs"} {
		d.write(t, "/usr/sbin/grub-probe", "#!/bin/sh\ncase \"$*\" in '--target="+target+" /boot/grub') echo "+answer+";; *) exec /usr/sbin/grub-probe.real \"$@\"; esac\n", 0o755)
		refused(t, plan(good, Options{BootOnce: true}), cause.Impossible, "/boot/grub is on "+answer)
	}
	if err := os.Rename(probe+".real", probe); err != nil {
		t.Fatal(err)
	}

	// A full disk.
	v, err := d.m.volume("/boot")
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(string(d.Dir), "filler")
	defer os.Remove(filler)
	c := run.Cmd{Name: "sh", Args: []string{"-c", `fallocate -l "$1" "$2"`, "sh", itoa(int64(v.free) - 8<<20), filler}}
	if r, err := d.Run(t.Context(), c); err != nil || r.ExitCode != 0 {
		t.Fatalf("%v: %s", err, r.Stderr)
	}
	refused(t, plan(good, Options{}), cause.Blocked, "MiB left: the kernel and its initrd need")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, d.files(t)); diff != "" {
		t.Errorf("something was changed: %s", diff)
	}
}

// hookFails: dpkg leaves a package half configured, and all is taken back.
func (d *debian) hookFails(t *testing.T) {
	before := d.files(t)
	defer os.Remove(string(d.Dir) + "/etc/kernel/postinst.d/dkms")
	d.write(t, "/etc/kernel/postinst.d/dkms", "#!/bin/sh\necho 'zfs failed to compile' >&2\nexit 1\n", 0o755)
	_, _, err := installAll(t.Context(), d.m, build(t, newRelease, "1", kernelConfig), Options{BootOnce: true})
	if err == nil || !IsRestored(err) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(d.log.String(), "zfs failed to compile") {
		t.Error("what dpkg printed is not passed on")
	}
	if diff := cmp.Diff(before, d.files(t)); diff != "" {
		t.Errorf("not everything is as before: %s", diff)
	}
}

// moduleMissing: dkms fails without telling dpkg. The kernel stays, does not boot
// by itself, and the same command goes on when that is mended.
func (d *debian) moduleMissing(t *testing.T) {
	defer os.Remove(string(d.Dir) + "/usr/bin/dkms")
	status := "zfs/2.1.11, " + oldRelease + ", x86_64: installed\n"
	dkms := func(status string) { d.write(t, "/usr/bin/dkms", "#!/bin/sh\nprintf '%s' '"+status+"'\n", 0o755) }
	dkms(status)
	paths := build(t, newRelease, "1", kernelConfig)
	_, _, err := installAll(t.Context(), d.m, paths, Options{BootOnce: true})
	if _, ok := errors.AsType[*PartlyError](err); !ok || !strings.Contains(err.Error(), "dkms has no zfs/2.1.11") {
		t.Errorf("%v", err)
	}
	want := newRelease + " ii own\n" + oldRelease + " ii default held\n"
	if diff := cmp.Diff(want, d.list(t)); diff != "" {
		t.Error(diff)
	}
	dkms(status + "zfs/2.1.11, " + newRelease + ", x86_64: installed\n")
	if _, _, err := installAll(t.Context(), d.m, paths, Options{BootOnce: true}); err != nil {
		t.Fatal(err)
	}
	want = newRelease + " ii next own\n" + oldRelease + " ii default held\n"
	if diff := cmp.Diff(want, d.list(t)); diff != "" {
		t.Error(diff)
	}
	if err := removeOne(t.Context(), d.m, newRelease); err != nil {
		t.Fatal(err)
	}
}
