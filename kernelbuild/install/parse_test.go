package install

import (
	"errors"
	"strings"
	"testing"

	"xtm/internal/cause"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/kernelbuild"

	"github.com/google/go-cmp/cmp"
)

// What Debian 12's dpkg-query says of packages in every state but one.
const presentText = "linux-headers-6.12.107-tmem\t1\tii \n" +
	"linux-image-6.1.0-9-lab\t6.1.4-1\tiF \nlinux-image-4.19.67-tmem\t\tun \nlinux-image-6.12.107-tmem\t1\trc \n"

func TestParsePresent(t *testing.T) {
	got, err := parsePresent([]byte(presentText))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]installed{
		"linux-headers-6.12.107-tmem": {"linux-headers-6.12.107-tmem", "1", "ii"},
		"linux-image-6.1.0-9-lab":     {"linux-image-6.1.0-9-lab", "6.1.4-1", "iF"},
		"linux-image-6.12.107-tmem":   {"linux-image-6.12.107-tmem", "1", "rc"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, unpacked := range map[string]bool{"linux-headers-6.12.107-tmem": true, "linux-image-6.1.0-9-lab": true, "linux-image-6.12.107-tmem": false} {
		if got[name].unpacked() != unpacked {
			t.Errorf("%s is unpacked: %v", name, !unpacked)
		}
	}
	if _, err := parsePresent([]byte("a\tb\nc\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

const dkmsText = `blktap/2.0.93: added
zfs/2.1.11, 6.1.0-56-amd64, x86_64: installed
zfs/2.1.11, 4.19.67-tmem, x86_64: built
openvswitch, 1.4.2, 6.1.0-56-amd64, x86_64: installed (WARNING! Diff between built and installed module!)
Error! Could not locate dkms.conf file.
`

func TestDKMS(t *testing.T) {
	got := parseDKMS([]byte(dkmsText))
	want := []DKMS{
		{"blktap/2.0.93", "", "added"},
		{"zfs/2.1.11", "6.1.0-56-amd64", "installed"},
		{"zfs/2.1.11", "4.19.67-tmem", "built"},
		{"openvswitch/1.4.2", "6.1.0-56-amd64", "installed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		works, release string
		want           int
	}{
		{"6.1.0-56-amd64", "4.19.67-tmem", 2},
		{"6.1.0-56-amd64", "6.1.0-56-amd64", 0},
		{"nothing known", "4.19.67-tmem", 2},
		{"4.19.67-tmem", "6.1.0-56-amd64", 0},
	} {
		if n := len(lacking(got, tt.works, tt.release)); n != tt.want {
			t.Errorf("%s lacks %d modules of %s, want %d", tt.release, n, tt.works, tt.want)
		}
	}
}

// What dpkg-deb 1.21 lists.
const listingText = `drwxr-xr-x root/root         0 2026-11-22 18:41 ./
drwxr-xr-x root/root         0 2026-11-22 18:41 ./boot/
-rw-r--r-- root/root        30 2026-11-22 18:41 ./boot/System.map-6.12.107-tmem
-rw-r--r-- root/root     65536 2026-11-22 18:41 ./boot/vmlinuz-6.12.107-tmem
lrwxrwxrwx root/root         0 2026-11-22 18:41 ./lib/modules/6.12.107-tmem/build -> /usr/src/linux
`

func TestDebFields(t *testing.T) {
	in := inBoot([]byte(listingText))
	if len(in) != 2 || in["vmlinuz-6.12.107-tmem"] != 65536 || in["System.map-6.12.107-tmem"] != 30 {
		t.Errorf("%v", in)
	}
	var d Deb
	if err := d.fields([]byte("Package: linux-image-6.12.107-tmem\nVersion: 1\nInstalled-Size: 80\n")); err != nil {
		t.Fatal(err)
	}
	if d.Kind != kernelbuild.Image || d.Unpacked != 80<<10 {
		t.Errorf("%+v", d)
	}
	for _, bad := range []string{"", "Package: a\n", "Package: Linux_Image\nVersion: 1\n", "Package: linux-image-1\nVersion: 1\nInstalled-Size: -1\n"} {
		if err := new(Deb).fields([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for name, want := range map[string]kernelbuild.PackageKind{
		"linux-image-4.19.67-tmem": kernelbuild.Image, "linux-image-4.19.67-tmem-dbg": kernelbuild.Debug, "linux-libc-dev": kernelbuild.LibcDev,
		"linux-headers-4.19.67-tmem": kernelbuild.Headers, "bash": "",
	} {
		if got := kindOf(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestMayBeDom0(t *testing.T) {
	for config, want := range map[string]bool{
		"CONFIG_XEN_DOM0=y\n": true, "CONFIG_XEN_PRIVILEGED_GUEST=y": true, "# CONFIG_XEN_DOM0 is not set\n": false, "CONFIG_XEN_DOM0=m\n": false,
	} {
		if got := mayBeDom0([]byte(config)); got != want {
			t.Errorf("%q: %v", config, got)
		}
	}
}

// A host and a guest whose menus Debian's own grub-mkconfig made.
func TestStarters(t *testing.T) {
	entry := func(title, id string, line int) grub.Entry {
		return grub.Entry{Title: title, ID: id, Line: line, Linux: []grub.Image{{Path: "/vmlinuz-6.1.0-9-lab", Args: []string{"root=/dev/xvda1", "ro"}}}}
	}
	menu := func(def string) grub.Menu {
		return grub.Menu{Default: def, Entries: []grub.Entry{entry("a", "a", 1), {Submenu: true, Entries: []grub.Entry{entry("b", "b", 2), entry("c", "c", 3)}}}}
	}
	for def, want := range map[string]string{"0": "a", "2": "c", "9": "a", "1>0": "a", "c": "a", "${saved_entry}": "a"} {
		b := boot{Boot: grub.Boot{Menu: menu(def)}}
		if e, err := b.pygrubs(); err != nil || e.Title != want || b.number(e) != strings.Index("abc", want) {
			t.Errorf("default %q: pygrub boots %q, %v", def, e.Title, err)
		}
	}
	if _, err := new(boot).pygrubs(); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("no entries: %v", err)
	}
	tests := []struct {
		name  string
		files map[string]string
		want  Starter
	}{
		{"Dom0", map[string]string{"proc/xen/capabilities": "control_d\n"}, ByGRUB},
		{"metal", nil, ByGRUB},
		{"HVM", map[string]string{"proc/xen/capabilities": "", "sys/hypervisor/guest_type": "HVM\n", "proc/cmdline": "BOOT_IMAGE=/vmlinuz-6.1.0-9-lab root=/dev/xvda1 ro\n"}, ByGRUB},
		{"PVH with kernel=", map[string]string{"proc/xen/capabilities": "", "sys/hypervisor/guest_type": "PVH\n"}, ByDom0},
		{"pygrub", map[string]string{"proc/xen/capabilities": "", "sys/hypervisor/guest_type": "PV\n"}, ByPygrub},
		{"pygrub, before 4.13", map[string]string{"proc/xen/capabilities": ""}, ByPygrub},
		{"kernel= of another release", map[string]string{"proc/xen/capabilities": "", "proc/sys/kernel/osrelease": "4.19.0-1\n"}, ByDom0},
		{"kernel= with other words", map[string]string{"proc/xen/capabilities": "", "proc/cmdline": "root=/dev/xvda2 ro\n"}, ByDom0},
	}
	for _, tt := range tests {
		files := hostfs.Root(t.TempDir())
		put(t, files, map[string]string{"proc/sys/kernel/osrelease": "6.1.0-9-lab\n", "proc/cmdline": "root=/dev/xvda1 ro\n"})
		put(t, files, tt.files)
		b := boot{Boot: grub.Boot{Menu: menu("0"), Loader: grub.Loader{Kind: grub.GRUB2}}}
		var err error
		if b.Running, err = readLine(files, "/proc/sys/kernel/osrelease"); err != nil {
			t.Fatal(err)
		}
		if b.Line, err = readLine(files, "/proc/cmdline"); err != nil {
			t.Fatal(err)
		}
		if err := b.findStarter(Machine{Root: files}, ""); err != nil || b.By != tt.want || b.Why == "" {
			t.Errorf("%s: started by %s (%s), %v", tt.name, b.By, b.Why, err)
		}
	}
}

func TestParseState(t *testing.T) {
	for _, bad := range []string{
		"", "{}", `{"schema": 2}`, `{"schema": 1, "more": 1}`, `{"schema": 1, "kernels": [{"release": "../x"}]}`,
		`{"schema": 1, "pending": {"release": "a b"}}`,
	} {
		if _, err := parseState([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzPresent(f *testing.F) {
	f.Add([]byte(presentText))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parsePresent(b)
		for name, i := range got {
			if err == nil && (i.Name != name || i.Version == "") {
				t.Errorf("%q: %+v", name, i)
			}
		}
	})
}

func FuzzDKMS(f *testing.F) {
	f.Add([]byte(dkmsText))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := parseDKMS(b)
		for _, d := range all {
			if got := lacking(all, d.Release, d.Release); d.Release != "" && d.State == "installed" && len(got) > 0 {
				t.Errorf("%s lacks its own %v", d.Release, got)
			}
		}
	})
}

func FuzzDeb(f *testing.F) {
	f.Add([]byte("Package: linux-image-6.12.107-tmem\nVersion: 1\nInstalled-Size: 80\n"), []byte(listingText))
	f.Fuzz(func(t *testing.T, fields, listing []byte) {
		var d Deb
		if d.fields(fields) == nil && (d.Name == "" || d.Version == "" || d.Unpacked < 0) {
			t.Errorf("%+v", d)
		}
		for name, size := range inBoot(listing) {
			if size < 0 {
				t.Errorf("%q has %d bytes", name, size)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"schema": 1, "kernels": [{"release": "4.19.67-tmem", "packages": ["linux-image-4.19.67-tmem"], "version": "1", "added": "2026-11-22T15:04:05Z"}],
"hold": {"by": "grub", "known": "6.1.0-9-lab", "saved": null}, "pending": {"verb": "install", "release": "4.19.67-tmem", "began": "2026-11-22T15:04:05Z",
"by": "grub", "files": [{"path": "/etc/default/grub", "old": "eA==", "new": null, "mode": 420}], "env": {"saved_entry": null}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		for _, k := range s.Kernels {
			if !releaseName.MatchString(k.Release) {
				t.Errorf("release %q", k.Release)
			}
		}
		if _, ok := s.find("x"); ok {
			t.Error("found what cannot be there")
		}
	})
}
