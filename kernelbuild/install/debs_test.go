package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/kernelbuild"
)

// makeDebs makes the packages of a kernel build in $1 for the release $2 and the
// version $3, small and real: what bindeb-pkg puts into them, with an image that
// has no more than the header of a kernel and its release, and no modules.
const makeDebs = `set -e
cd "$1"; release=$2 version=$3
d=image; mkdir -p $d/boot $d/lib/modules/$release/kernel $d/DEBIAN
{ head -c 514 /dev/zero; printf HdrS; head -c 65018 /dev/zero; printf 'Linux version %s\n' $release; } > $d/boot/vmlinuz-$release
cp config $d/boot/config-$release
echo 'ffffffff81000000 T _text' > $d/boot/System.map-$release
: > $d/lib/modules/$release/modules.order
: > $d/lib/modules/$release/modules.builtin
depmod -b $d $release
for script in preinst postinst prerm postrm; do
	cat > $d/DEBIAN/$script <<end
#!/bin/sh
set -e
export DEB_MAINT_PARAMS="\$*" INITRD=Yes
test ! -d /etc/kernel/$script.d || run-parts --arg=$release --arg=/boot/vmlinuz-$release /etc/kernel/$script.d
end
	chmod 755 $d/DEBIAN/$script
done
mkdir -p headers/usr/src/linux-headers-$release headers/DEBIAN libc/usr/include/linux libc/DEBIAN
cp config headers/usr/src/linux-headers-$release/.config
: > libc/usr/include/linux/xtm-test.h
control() {
	printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: xtm <xtm@example.org>\nInstalled-Size: %s\nDescription: a kernel for a test\n' \
		$2 $version amd64 $(du -sk $1 | cut -f 1) > $1/DEBIAN/control
	dpkg-deb --root-owner-group -Znone --build $1 $2_${version}_amd64.deb > /dev/null
	rm -r $1
}
control image linux-image-$release
control headers linux-headers-$release
control libc linux-libc-dev
`

// kernelConfig is what a 4.19 with tmem has, and a Dom0 needs.
const kernelConfig = "CONFIG_RD_GZIP=y\nCONFIG_XEN=y\nCONFIG_XEN_DOM0=y\nCONFIG_SWAP=y\nCONFIG_CLEANCACHE=y\nCONFIG_FRONTSWAP=y\nCONFIG_XEN_TMEM=m\n"

// build makes packages and their record, and returns the packages: the image,
// the headers, linux-libc-dev.
func build(t *testing.T, release, version, config string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	c := run.Cmd{Name: "sh", Args: []string{"-c", makeDebs, "sh", dir, release, version}, Timeout: time.Minute}
	r, err := run.New(os.Environ())(t.Context(), c)
	if err == nil {
		err = r.Check(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	rec := kernelbuild.Record{
		Schema: kernelbuild.RecordSchema, State: kernelbuild.Checked, Release: release, PackageVersion: version, Architecture: "amd64",
	}
	var out []string
	for _, name := range []string{"linux-image-" + release, "linux-headers-" + release, "linux-libc-dev"} {
		path := filepath.Join(dir, name+"_"+version+"_amd64.deb")
		sum, err := fileSum(path)
		if err != nil {
			t.Fatal(err)
		}
		rec.Packages = append(rec.Packages, kernelbuild.Package{
			File: filepath.Base(path), Name: name, Version: version, Architecture: "amd64", Kind: kindOf(name), Size: units.Bytes(1), SHA256: sum,
		})
		out = append(out, path)
	}
	if err := kernelbuild.WriteRecord(hostfs.Host, filepath.Join(dir, kernelbuild.RecordName), rec); err != nil {
		t.Fatal(err)
	}
	return out
}

// read reads package files, which must hold.
func read(t *testing.T, m Machine, paths ...string) []Deb {
	t.Helper()
	debs, err := ReadDebs(t.Context(), m.Run, paths, false)
	if err != nil {
		t.Fatal(err)
	}
	return debs
}

// installAll does what the command does, without its questions.
func installAll(ctx context.Context, m Machine, paths []string, o Options) (Plan, Outcome, error) {
	if err := Recover(ctx, m); err != nil {
		return Plan{}, Outcome{}, err
	}
	debs, err := ReadDebs(ctx, m.Run, paths, false)
	if err != nil {
		return Plan{}, Outcome{}, err
	}
	p, err := PlanInstall(ctx, m, debs, o)
	if err != nil || p.Done() {
		return p, Outcome{InDom0: p.InDom0(m)}, err
	}
	out, err := Install(ctx, m, p)
	return p, out, err
}

func removeOne(ctx context.Context, m Machine, release string) error {
	if err := Recover(ctx, m); err != nil {
		return err
	}
	r, err := PlanRemove(m, release, "")
	if err != nil {
		return err
	}
	_, err = Remove(ctx, m, r)
	return err
}

func confirmIt(ctx context.Context, m Machine) error {
	if err := Recover(ctx, m); err != nil {
		return err
	}
	c, err := PlanConfirm(m, "", "")
	if err != nil || c.Done() {
		return err
	}
	_, err = Confirm(ctx, m, c)
	return err
}

// lines joins a list of kernels, a line each: release, status, and what is true.
func lines(l List) string {
	var b strings.Builder
	for _, k := range l.Kernels {
		fmt.Fprintf(&b, "%s %s", k.Release, k.Status)
		for _, f := range []struct {
			name string
			is   bool
		}{
			{"running", k.Running.Or(false)},
			{"default", k.Default.Or(false)},
			{"next", k.Next.Or(false)},
			{"held", k.Held},
			{"own", k.Own},
			{"confirmed", k.Confirmed},
		} {
			if f.is {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func itoa(n int64) string { return fmt.Sprint(n) }
