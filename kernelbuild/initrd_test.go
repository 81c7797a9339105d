package kernelbuild

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
	"xtm/kernelbuild/kconfig"
)

func TestFindInitrd(t *testing.T) {
	const main, etc, usr = "etc/initramfs-tools/initramfs.conf", "etc/initramfs-tools/conf.d/", "usr/share/initramfs-tools/conf.d/"
	debian12, err := os.ReadFile("testdata/initramfs.conf-12")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no initramfs-tools", map[string]string{etc + "resume": "RESUME=none\n"}, ""},
		{"Debian 12", map[string]string{main: string(debian12)}, "zstd"},
		{"no word of it", map[string]string{main: "MODULES=most\n#COMPRESS=xz\n"}, "gzip"},
		{"quoted", map[string]string{main: "COMPRESS=\"lz4\" # fast\n"}, "lz4"},
		{"a folder has the last word", map[string]string{main: "COMPRESS=zstd\n", etc + "b": "COMPRESS=xz\n", etc + "a": "COMPRESS=lz4\n", etc + "c.dpkg-old": "COMPRESS=lzma\n"}, "xz"},
		{"a package's", map[string]string{main: "COMPRESS=zstd\n", usr + "a": "COMPRESS=xz\n"}, "xz"},
		{"a package's that is masked", map[string]string{main: "COMPRESS=zstd\n", usr + "a": "COMPRESS=xz\n", etc + "a": "\n"}, "zstd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for path, text := range tt.files {
				fsys[path] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := FindInitrd(hostfs.FromFS(fsys)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzFindInitrd: whatever stands above, the last line decides.
func FuzzFindInitrd(f *testing.F) {
	debian12, err := os.ReadFile("testdata/initramfs.conf-12")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(debian12))
	f.Add("COMPRESS=\"lz4\" # fast\nexport COMPRESS=xz")
	f.Fuzz(func(t *testing.T, text string) {
		find := func(text string) string {
			return FindInitrd(hostfs.FromFS(fstest.MapFS{"etc/initramfs-tools/initramfs.conf": {Data: []byte(text)}}))
		}
		if got := find(text); got == "" || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("got %q", got)
		}
		if got := find(text + "\nCOMPRESS=lzop\n"); got != "lzop" {
			t.Errorf("got %q of the last line", got)
		}
	})
}

// initrdTree is a tree that unpacks gzip and, from some release on, zstd.
func initrdTree(t *testing.T, symbols ...string) *Tree {
	t.Helper()
	text := "mainmenu \"Linux\"\n"
	for _, s := range symbols {
		text += "config " + s + "\n\tbool \"" + s + "\"\n"
	}
	k, err := kconfig.Scan(hostfs.FromFS(fstest.MapFS{"Kconfig": &fstest.MapFile{Data: []byte(text)}}), kconfig.X86())
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{Version: "6.1.192", Bindeb: true, Kconfig: k}
}

func TestInitrdIsAskedFor(t *testing.T) {
	newTree := initrdTree(t, "BLK_DEV_INITRD", "RD_GZIP", "RD_ZSTD")
	oldTree := initrdTree(t, "BLK_DEV_INITRD", "RD_GZIP")
	for _, tt := range []struct {
		name       string
		compressor string
		tree       *Tree
		profile    []kconfig.Request
		want       []string
	}{
		{"nobody looked", "", newTree, nil, nil},
		{"zstd", "zstd", newTree, nil, []string{"BLK_DEV_INITRD=y", "RD_ZSTD=y"}},
		{"no tree yet", "zstd", nil, nil, []string{"BLK_DEV_INITRD=y", "RD_ZSTD=y"}},
		{"a tree without zstd", "zstd", oldTree, nil, []string{"BLK_DEV_INITRD=y", "RD_GZIP=y"}},
		{"a compressor that nobody knows", "brotli", newTree, nil, []string{"BLK_DEV_INITRD=y", "RD_GZIP=y"}},
		{"the user's own wish", "zstd", newTree, []kconfig.Request{{Symbol: "RD_ZSTD", Value: "n"}}, []string{"RD_ZSTD=n", "BLK_DEV_INITRD=y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := buster(t)
			f.Target.Initrd, f.Tree, f.Options.Profile.Requests = tt.compressor, tt.tree, tt.profile
			var got []string
			for _, r := range NewPlan(f).Requested {
				got = append(got, r.Symbol+"="+r.Value)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestInitrdReadable(t *testing.T) {
	for _, tt := range []struct {
		name, initrd, version, config, lacks string
	}{
		{"nobody looked", "", "", "", ""},
		{"zstd", "zstd", "0.140", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_ZSTD=y\n", ""},
		{"gzip instead", "zstd", "0.142+deb12u3", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n", ""},
		{"no gzip instead", "xz", "0.140", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n", "CONFIG_RD_XZ"},
		{"who knows", "xz", "", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n", "CONFIG_RD_XZ"},
		{"no initrd at all", "gzip", "0.142", "# CONFIG_BLK_DEV_INITRD is not set\nCONFIG_RD_GZIP=y\n", "CONFIG_RD_GZIP"},
		{"another compressor", "zstd", "0.142", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\n# CONFIG_RD_GZIP is not set\n", "CONFIG_RD_ZSTD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := kconfig.ReadConfig([]byte(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			v, err := Verify(initrdTree(t, "X"), Target{Initrd: tt.initrd, InitramfsTools: tt.version}, c, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if v.Holds() != (tt.lacks == "") {
				t.Fatalf("holds %v: %+v", v.Holds(), v.Findings)
			}
			if tt.lacks == "" {
				return
			}
			if hasGzip := strings.Contains(tt.config, "RD_GZIP=y"); tt.initrd != "gzip" && hasGzip != strings.Contains(v.Findings[0].Advice, "COMPRESS=gzip") {
				t.Errorf("advice %q", v.Findings[0].Advice)
			}
			if f := v.Findings[0]; f.Subject != tt.lacks || !strings.Contains(f.Seen, "could not unpack") || !strings.Contains(f.Advice, tt.lacks+"=y") {
				t.Errorf("%+v", f)
			}
		})
	}
}
