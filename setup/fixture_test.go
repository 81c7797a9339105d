package setup

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// updateGRUB sources the settings of the root in $1 and makes a menu of them,
// as 20_linux_xen does: recovery entries have GRUB_CMDLINE_XEN alone.
const updateGRUB = `#!/bin/sh
set -e
. $TEST_ROOT/etc/default/grub
for x in $TEST_ROOT/etc/default/grub.d/*.cfg; do if [ -e "$x" ]; then . "$x"; fi; done
cat > $TEST_ROOT/boot/grub/grub.cfg.new <<end
set default="$GRUB_DEFAULT"
menuentry 'Xen' {
	multiboot2	/boot/xen-4.11-amd64.gz placeholder $GRUB_CMDLINE_XEN $GRUB_CMDLINE_XEN_DEFAULT
	module2	/boot/vmlinuz-4.19.0-lab placeholder root=/dev/xvda ro $GRUB_CMDLINE_LINUX
}
menuentry 'Linux' {
	linux	/boot/vmlinuz-4.19.0-lab root=/dev/xvda ro $GRUB_CMDLINE_LINUX
}
menuentry 'Xen (recovery mode)' {
	multiboot2	/boot/xen-4.11-amd64.gz placeholder $GRUB_CMDLINE_XEN
	module2	/boot/vmlinuz placeholder root=/dev/xvda ro single $GRUB_CMDLINE_LINUX
}
end
mv $TEST_ROOT/boot/grub/grub.cfg.new $TEST_ROOT/boot/grub/grub.cfg
`

// updateRC makes and removes links as Debian's update-rc.d does.
const updateRC = `#!/bin/sh
[ "$1" = -f ] && shift
for n in 2 3 4 5; do
	case $2 in
	defaults) ls $TEST_ROOT/etc/rc$n.d/S* >/dev/null 2>&1 || ln -s ../init.d/$1 $TEST_ROOT/etc/rc$n.d/S01$1 ;;
	remove) rm -f $TEST_ROOT/etc/rc$n.d/S01$1 ;;
	esac
done
`

// hostFiles is a host with one Xen 4.11 that boots next.
func hostFiles() map[string]string {
	return map[string]string{
		"etc/default/grub":              "GRUB_DEFAULT=0\nGRUB_CMDLINE_XEN_DEFAULT=\"loglvl=all\"\n",
		"usr/sbin/grub-mkconfig":        "for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n",
		"usr/sbin/update-grub":          "exec grub-mkconfig -o /boot/grub/grub.cfg\n",
		"boot/xen-4.11-amd64.gz":        "",
		"boot/xen-4.11-amd64.config":    "# Xen/x86 4.11.4 Configuration\nCONFIG_TMEM=y\n",
		"proc/xen/capabilities":         "control_d\n",
		"sys/hypervisor/version/major":  "4\n",
		"sys/hypervisor/version/minor":  "11\n",
		"sys/hypervisor/version/extra":  ".4\n",
		"boot/grub/grub.cfg":            "set default=\"0\"\nmenuentry 'Xen' {\n\tmultiboot2\t/boot/xen-4.11-amd64.gz placeholder\n\tmodule2 /boot/vmlinuz placeholder ro\n}\n",
		"etc/default/grub.d/.placehold": "",
	}
}

// tree writes files into a new root; a name that ends with "/" is a folder.
func tree(t *testing.T, files map[string]string) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return hostfs.Root(dir)
}

// programs is a folder with an update-grub for a root.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"update-grub": updateGRUB,
		// The kernel of this machine is left in peace.
		"mkswap":      "#!/bin/sh\nprintf SWAPSPACE2 | dd of=$1 bs=1 seek=4086 conv=notrunc status=none\n",
		"swapon":      "#!/bin/sh\nprintf 'Filename Type Size Used Priority\\n/xtm.swap file 4092 0 -2\\n' > $TEST_ROOT/proc/swaps\n",
		"update-rc.d": updateRC,
		"swapoff":     "#!/bin/sh\nprintf 'Filename Type Size Used Priority\\n' > $TEST_ROOT/proc/swaps\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// machine runs update-grub for real, and nothing else that could change this
// machine.
func machine(root hostfs.Root, bin string) Machine {
	return Machine{
		Root: root, Now: func() time.Time { return time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC) },
		Run: run.New([]string{"PATH=" + bin + ":/usr/bin:/bin", "TEST_ROOT=" + string(root)}),
	}
}

// live is what enable changes: the settings, the menu, the record.
func live(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, top := range []string{"/etc", "/boot/grub"} {
		err := filepath.WalkDir(string(root)+top, func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, string(root)+"/")
			switch {
			case err != nil || strings.Contains(path, ".xtm-tmp-"):
			case d.Type() == fs.ModeSymlink:
				got[name], err = os.Readlink(path)
			case d.Type().IsRegular():
				var b []byte
				b, err = os.ReadFile(path)
				got[name] = string(b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(string(root) + swapPath); err == nil {
		got[swapPath] = fmt.Sprintf("%d bytes", len(b))
	}
	return got
}

// guestFiles is a guest without swap that the same boot loader starts.
func guestFiles() map[string]string {
	files := hostFiles()
	maps.Copy(files, map[string]string{
		"etc/fstab":              "/dev/xvda / ext4 defaults 0 1",
		"boot/vmlinuz":           "",
		"proc/cmdline":           "root=/dev/xvda ro\n",
		"proc/mounts":            "/dev/xvda / ext4 rw 0 0\n",
		"proc/self/mounts":       "/dev/xvda / ext4 rw 0 0\n",
		"proc/swaps":             "Filename Type Size Used Priority\n",
		"proc/meminfo":           "MemTotal: 240860 kB\nMemFree: 201792 kB\nMemAvailable: 198436 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nCommitted_AS: 10000 kB\n",
		"proc/xen/capabilities":  "",
		"boot/config-4.19.0-lab": "CONFIG_XEN=y\nCONFIG_SWAP=y\nCONFIG_CLEANCACHE=y\nCONFIG_FRONTSWAP=y\nCONFIG_XEN_BALLOON=y\nCONFIG_XEN_SELFBALLOONING=y\nCONFIG_XEN_TMEM=m\n",

		"proc/sys/kernel/osrelease":                         "4.19.0-lab\n",
		"lib/modules/4.19.0-lab/modules.dep":                "kernel/drivers/xen/tmem.ko:\n",
		"lib/modules/4.19.0-lab/kernel/drivers/xen/tmem.ko": "",
		"run/systemd/system/.placehold":                     "",
		"etc/modprobe.d/.placehold":                         "",
		"etc/modules-load.d/.placehold":                     "",
		"etc/systemd/system/multi-user.target.d/.placehold": "",
	})
	return files
}

// sysvFiles is the same guest with sysvinit.
func sysvFiles() map[string]string {
	files := guestFiles()
	delete(files, "run/systemd/system/.placehold")
	maps.Copy(files, map[string]string{
		"usr/sbin/update-rc.d": "", "etc/modules": "# one to a line\nloop",
		"etc/init.d/.placehold": "", "etc/rc2.d/.placehold": "", "etc/rc3.d/.placehold": "", "etc/rc4.d/.placehold": "", "etc/rc5.d/.placehold": "",
	})
	return files
}
