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

// Programs that do in a root what Debian's do, as far as a kernel is concerned.
// dpkg ends its parent with SIGKILL where KILL_AT says so.
var fakePrograms = map[string]string{
	"update-grub": `#!/bin/sh
set -e
cd $TEST_ROOT
. etc/default/grub
for x in etc/default/grub.d/*.cfg; do if [ -e "$x" ]; then . "./$x"; fi; done
if [ "$GRUB_DEFAULT" = saved ]; then GRUB_DEFAULT='${saved_entry}'; fi
{
	printf 'if [ "${next_entry}" ] ; then\n   set default="${next_entry}"\nelse\n   set default="%s"\nfi\n' "$GRUB_DEFAULT"
	for x in etc/grub.d/*; do $x; done
} > boot/grub/grub.cfg.new
mv boot/grub/grub.cfg.new boot/grub/grub.cfg
`,
	"grub-editenv": `#!/bin/sh
set -e
f=$TEST_ROOT$1
{ echo '# GRUB Environment Block'; if [ -e $f ]; then grep -v -e '^#' -e "^${3%%=*}=" $f || true; fi; if [ $2 = set ]; then echo "$3"; fi; } > $f.new
mv $f.new $f
`,
	"grub-probe": "#!/bin/sh\nif [ $1 = --target=fs ]; then echo ext2; fi\n",
	"apt-mark": `#!/bin/sh
cd $TEST_ROOT/var/lib
case $1 in
showauto) grep -x "$2" auto || true ;;
manual) grep -v -x "$2" auto > auto.new || true; mv auto.new auto ;;
auto) grep -q -x "$2" auto || echo "$2" >> auto ;;
esac
`,
	"dkms": "#!/bin/sh\n",
	"dpkg-query": `#!/bin/sh
cd $TEST_ROOT/var/lib/packages
shift 3
rc=0
for p; do for f in $p; do if [ -e "$f" ]; then printf '%s\t%s\n' "$f" "$(cat $f)"; else rc=1; fi; done; done
exit $rc
`,
	"dpkg": `#!/bin/sh
set -e
db=$TEST_ROOT/var/lib/packages boot=$TEST_ROOT/boot
die() { if [ "$KILL_AT" = $1 ]; then kill -KILL $PPID; sleep 0.2; exit 9; fi; }
verb=$1; shift
case $verb in
--install)
	for deb; do
		name=$(dpkg-deb -f $deb Package) version=$(dpkg-deb -f $deb Version)
		printf '%s\tiU' $version > $db/$name
		die unpack
		case $name in linux-image-*)
			r=${name#linux-image-}
			for f in vmlinuz config; do echo $r > $boot/$f-$r; done
			die unpacked
			echo $r > $boot/initrd.img-$r
			update-grub ;;
		esac
		die configure
		printf '%s\tii' $version > $db/$name
	done ;;
--force-remove-reinstreq)
	shift
	for name; do
		case $name in linux-image-*)
			r=${name#linux-image-}
			rm -f $boot/vmlinuz-$r
			die purge
			rm -f $boot/config-$r $boot/initrd.img-$r
			update-grub ;;
		esac
		rm -f $db/$name
		die purged
	done ;;
esac
`,
}

// tenLinux makes entries as 10_linux does.
const tenLinux = `#!/bin/sh
. $TEST_ROOT/etc/default/grub
entry() {
	printf "%smenuentry '%s' --class debian \$menuentry_id_option '%s' {\n" "$2" "$3" "$4"
	printf '%s\tlinux\t/boot/vmlinuz-%s root=/dev/xvda1 ro %s\n%s\tinitrd\t/boot/initrd.img-%s\n%s}\n' "$2" $1 "$5$GRUB_CMDLINE_LINUX" "$2" $1 "$2"
}
first=yes
for r in $(cd $TEST_ROOT/boot; ls vmlinuz-* | sed s/vmlinuz-// | sort -r -V); do
	if [ $first ]; then
		entry $r '' 'Debian GNU/Linux' gnulinux-simple-1
		echo "submenu 'Advanced options for Debian GNU/Linux' \$menuentry_id_option 'gnulinux-advanced-1' {"
		first=
	fi
	entry $r '	' "Debian GNU/Linux, with Linux $r" gnulinux-$r-advanced-1
	entry $r '	' "Debian GNU/Linux, with Linux $r (recovery mode)" gnulinux-$r-recovery-1 'single '
done
echo '}'
`

// programs is a folder with the fakes.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range fakePrograms {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fakeRoot is a machine with one kernel, which runs.
func fakeRoot(t *testing.T, starter Starter) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"etc/default/grub":                             "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"console=hvc0\"\n",
		"etc/default/grub.d/mine.cfg":                  "# nothing\n",
		"etc/grub.d/10_linux":                          tenLinux,
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
	for name, text := range files {
		p := filepath.Join(dir, name)
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
