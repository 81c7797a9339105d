package kernelbuild

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

func TestLocate(t *testing.T) {
	for _, tc := range []struct {
		name, distribution, line string
		id, upstream, binary     string
	}{
		{"signed", "debian", "linux-image-6.1.0-56-amd64\t6.1.192-2\tlinux-signed-amd64\t6.1.192+2\tlinux (= 6.1.192-2)", "linux=6.1.192-2", "6.1.192", "linux-source-6.1"},
		{"signed, Built-Using gone", "debian", "linux-image-6.1.0-56-amd64\t6.1.192-2\tlinux-signed-amd64\t6.1.192+2\t", "linux=6.1.192-2", "6.1.192", "linux-source-6.1"},
		{"signed, rebuilt", "debian", "linux-image-6.1.0-56-amd64\t6.1.192-2+b1\tlinux-signed-amd64\t6.1.192+2\t", "linux=6.1.192-2", "6.1.192", "linux-source-6.1"},
		{"signed, built using more", "debian", "linux-image-6.12.107+deb13-amd64\t6.12.107-1\tlinux-signed-amd64\t6.12.107+1\tgcc-14 (= 14.2.0-19), linux (= 6.12.107-1)", "linux=6.12.107-1", "6.12.107", "linux-source-6.12"},
		{"signed, a second kernel of a stable release", "debian", "linux-image-6.1.0-0.deb11.21-amd64\t6.1.90-1~deb11u1\tlinux-signed-6.1-amd64\t6.1.90+1~deb11u1\t", "linux-6.1=6.1.90-1~deb11u1", "6.1.90", "linux-source-6.1"},
		{"unsigned", "debian", "linux-image-6.1.0-56-amd64-unsigned\t6.1.192-2\tlinux\t6.1.192-2\t", "linux=6.1.192-2", "6.1.192", "linux-source-6.1"},
		{"sid: the modules' package", "debian", "linux-modules-7.2.13+deb14-amd64\t7.2.13-1\tlinux\t7.2.13-1\t", "linux=7.2.13-1", "7.2.13", "linux-source-7.2"},
		{"sid: rebuilt", "debian", "linux-base-7.2.13+deb14-amd64\t7.2.13-1+b2\tlinux\t7.2.13-1\t", "linux=7.2.13-1", "7.2.13", "linux-source-7.2"},
		{"source of the same name, no version", "debian", "linux\t3.13.10-1+b1\t\t\t", "linux=3.13.10-1", "3.13.10", "linux-source-3.13"},
		{"jessie's blog", "debian", "linux-image-3.13-1-amd64\t3.13.10-1\tlinux\t3.13.10-1\t", "linux=3.13.10-1", "3.13.10", "linux-source-3.13"},
		{"backport", "debian", "linux-image-5.10.0-0.bpo.15-amd64\t5.10.127-2~bpo10+1\tlinux-signed-amd64\t5.10.127+2~bpo10+1\tlinux (= 5.10.127-2~bpo10+1)", "linux=5.10.127-2~bpo10+1", "5.10.127", "linux-source-5.10"},
		{"candidate", "debian", "linux-image-6.12-rc6-amd64-unsigned\t6.12~rc6-1~exp1\tlinux\t6.12~rc6-1~exp1\t", "linux=6.12~rc6-1~exp1", "6.12.0-rc6", "linux-source-6.12"},
		{"Ubuntu, signed", "ubuntu", "linux-image-5.15.0-91-generic\t5.15.0-91.101\tlinux-signed\t5.15.0-91.101\tlinux (= 5.15.0-91.101)", "linux=5.15.0-91.101", "5.15.0", "linux-source-5.15.0"},
		{"Ubuntu, newer hardware", "ubuntu", "linux-image-6.5.0-35-generic\t6.5.0-35.35~22.04.1\tlinux-signed-hwe-6.5\t6.5.0-35.35~22.04.1\t", "linux-hwe-6.5=6.5.0-35.35~22.04.1", "6.5.0", "linux-source-6.5.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := ParseOwner(tc.line + "\n")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Locate(o, tc.distribution)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.id, tc.upstream, tc.binary}, []string{s.ID(), s.Upstream, s.Binary}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLocateRefuses(t *testing.T) {
	for _, line := range []string{
		"linux-image-6.1.192-tmem\t6.1.192-tmem-1\tlinux-upstream\t6.1.192-tmem-1\t",
		"linux-image-3.13.10-tmem\t1\tlinux-image-3.13.10-tmem\t1\t",
		"proxmox-kernel-6.8\t6.8.12-1\tproxmox-kernel-6.8\t6.8.12-1\t",
		"linux-image-x\t6.1\tlinux-oem\t6.1\t",
		"linux-image-x\t0none\tlinux\t0none\t",
	} {
		o, err := ParseOwner(line)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Locate(o, "debian"); err == nil {
			t.Errorf("%q became %+v", line, s)
		} else if !errors.Is(err, cause.ErrNotSupported) && !strings.Contains(err.Error(), "none") {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, line := range []string{
		"", "a\tb", "\t1\t\t\t", "a\t1\tb\t2\tc\td",
		"linux-image-x\tnone\tlinux\tnone\t", "linux-image-x\t1\tlinux;x\t1\t", "linux-image-x\t6.1 \tlinux\t1\t",
	} {
		if o, err := ParseOwner(line); err == nil {
			t.Errorf("%q became %+v", line, o)
		}
	}
}

func TestRoutes(t *testing.T) {
	s := Source{Package: "linux", Version: "6.1.192-2", Binary: "linux-source-6.1"}
	for _, tc := range []struct {
		name   string
		o      Options
		offers map[string][]string
		want   []string
	}{
		{"apt not asked", Options{}, nil, []string{"linux-source open", "deb-src open", "snapshot"}},
		{"another version in the archive", Options{SnapshotURL: "https://example.org/"}, map[string][]string{"linux-source-6.1": {"6.1.200-1"}}, []string{"deb-src open", "snapshot open", "linux-source"}},
		{"none in the archive", Options{}, map[string][]string{}, []string{"deb-src open", "linux-source", "snapshot"}},
		{"the user's own", Options{Source: "linux.dsc"}, nil, []string{"source open"}},
	} {
		var got []string
		for _, r := range Routes(s, tc.o, tc.offers) {
			text := string(r.Kind)
			if r.Open {
				text += " open"
			}
			if r.Why == "" || r.What == "" {
				t.Errorf("%s: %+v says too little", tc.name, r)
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	routes := Routes(s, Options{SnapshotURL: "http://127.0.0.1:8080/"}, nil)
	if got := routes[2].What; got != "http://127.0.0.1:8080/mr/package/linux/6.1.192-2/srcfiles?fileinfo=1" {
		t.Error(got)
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ upstream, local, version, want string }{
		{"3.13.10", "-tmem", "3.13.10-tmem-1", "linux-image-3.13.10-tmem_3.13.10-tmem-1_amd64.deb"},
		{"6.12.107", "tmem", "1", "linux-image-6.12.107tmem_1_amd64.deb"},
		{"6.12.0-rc6", "-tmem", "1+x~y", "linux-image-6.12.0-rc6-tmem_1+x~y_amd64.deb"},
		{"4.19.67", "-tmem", "1:2", "linux-image-4.19.67-tmem_2_amd64.deb"},
		{"4.19.67", "-tmem", "", "linux-image-4.19.67-tmem_4.19.67-tmem-1_amd64.deb"},
		{"4.19.67", "-TMEM", "", "local version"},
		{"4.19.67", "_x", "", "local version"},
		{"4.19.67", "-a b", "", "local version"},
		{"4.19.67", "-a~b", "", "local version"},
		{"4.19.67", "", "", "an empty local version"},
		{"4.19.67", "-" + strings.Repeat("x", 60), "", "68 characters, and the kernel takes 64"},
		{"tmem", "-x", "", "release"},
		{"4.19.67", "-tmem", "tmem1", "must begin with a digit"},
		{"4.19.67", "-tmem", "1_2", "letters, digits"},
		{"4.19.67", "-tmem", "1 2", "letters, digits"},
		{"4.19.67", "-tmem", "1-", "no - at the end"},
	} {
		n, err := Name(tc.upstream, tc.local, tc.version, "amd64")
		switch {
		case err == nil && n.Image != tc.want:
			t.Errorf("%+v: %s", tc, n.Image)
		case err != nil && (!errors.Is(err, ErrName) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

func TestReadTree(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	old := fstest.MapFS{
		"Makefile":                      file("VERSION = 3\nPATCHLEVEL = 13\nSUBLEVEL = 10\nEXTRAVERSION =\nNAME = x\n"),
		"Kconfig":                       file("config XEN\n\tbool\n"),
		"scripts/package/Makefile":      file("deb-pkg: FORCE\n"),
		"include/linux/compiler-gcc.h":  file(""),
		"include/linux/compiler-gcc3.h": file(""),
		"include/linux/compiler-gcc4.h": file(""),
		kaslrFile:                       file("#include <asm/archrandom.h>\n\n/* Used by PAGE_KERN* macros: */\nunsigned long __force_order;\n"),
	}
	got, err := ReadTree(hostfs.FromFS(old))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{3, 4}, got.GCCHeaders); got.Version != "3.13.10" || got.Bindeb || got.Debhelper || !got.DefinedTwice || diff != "" {
		t.Errorf("%+v %s", got, diff)
	}
	recent := fstest.MapFS{
		"Makefile":                     file("# SPDX\nVERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n"),
		"Kconfig":                      file(""),
		"scripts/Makefile.package":     file("bindeb-pkg: private\n"),
		"scripts/package/mkdebian":     file("debhelper-compat (= 12)\n"),
		"scripts/min-tool-version.sh":  file("case \"$1\" in\nbinutils)\n\techo 2.30.0\n\t;;\ngcc)\n\tif [ \"$A\" = b ]; then\n\t\techo 12.0.0\n\telse\n\t\techo 8.1.0\n\tfi\n\t;;\nllvm)\n\techo 15.0.0\n\t;;\n"),
		"include/linux/compiler-gcc.h": file(""),
	}
	if got, err = ReadTree(hostfs.FromFS(recent)); err != nil {
		t.Fatal(err)
	}
	if got.Version != "7.2.0-rc3" || !got.Bindeb || !got.Debhelper || got.GCCMinimum != "8.1.0" || got.GCCHeaders != nil || got.DefinedTwice {
		t.Errorf("%+v", got)
	}
	if _, err := ReadTree(hostfs.FromFS(fstest.MapFS{})); !errors.Is(err, cause.ErrNoData) {
		t.Error(err)
	}
	if _, err := ReadTree(hostfs.FromFS(fstest.MapFS{"Makefile": file("all:\n")})); !errors.Is(err, cause.ErrNoData) {
		t.Error(err)
	}
}
