package kernelbuild

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var changes61 = `Format: 1.8
Date: Sun, 22 Nov 2026 18:00:00 +0000
Source: linux-upstream
Binary: linux-headers-6.1.176-xen linux-image-6.1.176-xen linux-libc-dev
Architecture: amd64
Version: 6.1.176-xen-1
Checksums-Sha1:
 ` + strings.Repeat("1", 40) + ` 5151 linux-upstream_6.1.176-xen-1_amd64.buildinfo
Checksums-Sha256:
 ` + strings.Repeat("2", 64) + ` 7903724 linux-headers-6.1.176-xen_6.1.176-xen-1_amd64.deb
 ` + strings.Repeat("3", 64) + ` 5151 linux-upstream_6.1.176-xen-1_amd64.buildinfo
Files:
 ` + strings.Repeat("4", 32) + ` 7903724 kernel optional linux-headers-6.1.176-xen_6.1.176-xen-1_amd64.deb
`

const files313 = "linux-headers-3.13.10-tmem_1_amd64.deb kernel optional\nlinux-image-3.13.10-tmem_1_amd64.deb kernel optional\nlinux-libc-dev_1_amd64.deb kernel optional\n"

func TestListsOfPackages(t *testing.T) {
	got, err := ParseChanges([]byte(changes61))
	if diff := cmp.Diff([]Listed{{"linux-headers-6.1.176-xen_6.1.176-xen-1_amd64.deb", strings.Repeat("2", 64)}}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	got, err = ParseFiles([]byte(files313))
	if diff := cmp.Diff([]Listed{
		{File: "linux-headers-3.13.10-tmem_1_amd64.deb"}, {File: "linux-image-3.13.10-tmem_1_amd64.deb"}, {File: "linux-libc-dev_1_amd64.deb"},
	}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, bad := range []string{"", "Checksums-Sha256:\n x y z\n", "Checksums-Sha256:\n " + strings.Repeat("0", 64) + " 1 ../x.deb\n"} {
		if got, err := ParseChanges([]byte(bad)); !errors.Is(err, ErrChanges) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
	for _, bad := range []string{"", "../x.deb kernel optional\n", "x.deb\n"} {
		if got, err := ParseFiles([]byte(bad)); !errors.Is(err, ErrChanges) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
	for name, want := range map[string]PackageKind{
		"linux-image-6.1.176-xen": Image, "linux-image-6.1.176-xen-dbg": Debug, "linux-headers-6.1.176-xen": Headers, "linux-libc-dev": LibcDev, "bash": "",
	} {
		if kind, ok := KindOf(name); kind != want || ok != (want != "") {
			t.Errorf("%s is %q", name, kind)
		}
	}
}

func FuzzListsOfPackages(f *testing.F) {
	f.Add([]byte(changes61))
	f.Add([]byte(files313))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) ([]Listed, error){ParseChanges, ParseFiles} {
			got, err := parse(b)
			if err != nil {
				continue
			}
			for _, l := range got {
				if strings.ContainsAny(l.File, "/\n ") || l.File[0] == '-' || l.File[0] == '.' {
					t.Errorf("%q", l.File)
				}
			}
		}
	})
}

func TestExport(t *testing.T) {
	e := Export{
		Schema: ExportSchema, Target: Target{Release: "4.19.0-6-amd64", Architecture: "amd64", DpkgVersion: "1.19.7"},
		Config: "CONFIG_XEN=y\n", Modules: []string{"xen_blkfront", "nls_cp437"}, BootLoader: "grub",
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseExport(b)
	if err != nil || len(got.Modules) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if c, err := got.Base(); err != nil || c.Text("XEN") != "y" {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{
		"", "{}", strings.Replace(string(b), `"schema":1`, `"schema":2`, 1), strings.Replace(string(b), "4.19.0-6-amd64", "../../etc", 1),
		strings.Replace(string(b), "xen_blkfront", "x y", 1), string(b) + "{}", strings.Replace(string(b), `"grub"`, `"grub","password":""`, 1),
	} {
		if _, err := ParseExport([]byte(bad)); !errors.Is(err, ErrExport) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzExport(f *testing.F) {
	f.Add([]byte(`{"schema":1,"target":{"release":"4.19.0-6-amd64","architecture":"amd64","distribution":"debian","dpkg_version":"1.19.7"},"config":"CONFIG_XEN=y\n","modules":["xen_blkfront"],"dkms":[],"crypttab":false,"mdadm":false,"boot_loader":"grub"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseExport(b)
		if err != nil {
			return
		}
		if strings.ContainsAny(e.Target.Release+e.Target.Architecture, "/ \n") {
			t.Errorf("%+v", e.Target)
		}
	})
}
