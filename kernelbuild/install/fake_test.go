package install

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// programs is a folder of programs that do in a root what Debian's do, as far as a
// kernel is concerned. dpkg ends its parent with SIGKILL where KILL_AT says so.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("testdata/bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// fakeRoot is a machine with one kernel, which runs.
func fakeRoot(t *testing.T, starter Starter) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	tenLinux, err := os.ReadFile("testdata/10_linux")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"etc/default/grub":                             "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"console=hvc0\"\n",
		"etc/default/grub.d/mine.cfg":                  "# nothing\n",
		"etc/grub.d/10_linux":                          string(tenLinux),
		"etc/kernel/postinst.d/initramfs-tools":        "",
		"usr/sbin/grub-mkconfig":                       "for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n",
		"usr/sbin/update-grub":                         "exec grub-mkconfig -o /boot/grub/grub.cfg\n",
		"boot/vmlinuz-" + oldRelease:                   oldRelease,
		"boot/config-" + oldRelease:                    kernelConfig,
		"boot/initrd.img-" + oldRelease:                oldRelease,
		"boot/grub/grub.cfg":                           "",
		"lib/modules/x":                                "",
		"var/lib/auto":                                 imagePrefix + oldRelease + "\n",
		"var/lib/packages/" + imagePrefix + oldRelease: "6.1.4-1\tii",
		"proc/sys/kernel/osrelease":                    oldRelease + "\n",
		"proc/cmdline":                                 "root=/dev/xvda1 ro console=hvc0\n",
	}
	if starter != ByGRUB {
		files["proc/xen/capabilities"] = ""
		files["sys/hypervisor/guest_type"] = "PV\n"
	}
	put(t, hostfs.Root(dir), files)
	return hostfs.Root(dir)
}

// fakeMachine starts the fakes, and nothing that could change this machine.
func fakeMachine(root hostfs.Root, bin, killAt string) Machine {
	return Machine{
		Root: root, Now: func() time.Time { return time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC) },
		Run: run.New([]string{"PATH=" + bin + ":/usr/bin:/bin", "TEST_ROOT=" + string(root), "KILL_AT=" + killAt}),
	}
}

// runsRelease makes a root's machine run a kernel.
func runsRelease(t *testing.T, root hostfs.Root, release string) {
	t.Helper()
	if err := os.WriteFile(string(root)+"/proc/sys/kernel/osrelease", []byte(release+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// live is all that kernels change in a root.
func live(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, top := range []string{"/etc", "/boot", "/var/lib"} {
		err := filepath.WalkDir(string(root)+top, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, "/lock") || strings.Contains(p, ".xtm-tmp-") {
				return err
			}
			b, err := os.ReadFile(p)
			name := strings.TrimPrefix(p, string(root))
			if name != "/boot/grub/grubenv" {
				got[name] = string(b)
				return err
			}
			env, err := grub.ParseEnv(b)
			for k, v := range env {
				got["grubenv "+k] = v
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// put writes files into a root.
func put(t *testing.T, root hostfs.Root, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(string(root), name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "etc/grub.d/") {
			mode = 0o755
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
}
