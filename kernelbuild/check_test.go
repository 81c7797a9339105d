package kernelbuild

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

func TestCheck(t *testing.T) {
	built := map[string]string{"CLEANCACHE": "y", "XEN_SELFBALLOONING": "y", "ZSWAP": "n"}
	for _, tc := range []struct {
		name, release, config string
		set                   map[string]string
		loaded, booted        opt.Value[bool]
		way                   Way
		lacking               []string
	}{
		{"Debian 10", "4.19.0-6-amd64", "4.19.0-6-amd64", nil, opt.Of(false), opt.Of(false), WayModprobe, []string{"CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP"}},
		{"built for tmem", "4.19.67-tmem", "4.19.0-6-amd64", built, opt.Of(false), opt.Of(false), WayModprobe, nil},
		{"and loaded", "4.19.67-tmem", "4.19.0-6-amd64", built, opt.Of(true), opt.Of(false), WayReady, nil},
		{"built in", "4.19.67", "4.19.0-6-amd64", map[string]string{"XEN_TMEM": "y"}, opt.Of(false), opt.Of(false), WayBoot, []string{"CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP"}},
		{"built in and on", "4.19.67", "4.19.0-6-amd64", map[string]string{"XEN_TMEM": "y"}, opt.Of(false), opt.Of(true), WayReady, []string{"CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP"}},
		{"nothing to do for the driver", "4.19.67", "4.19.0-6-amd64", map[string]string{"FRONTSWAP": "n", "XEN_TMEM": "n"}, opt.Of(false), opt.Of(false), WayBuild, []string{"XEN_TMEM", "CLEANCACHE", "FRONTSWAP", "XEN_SELFBALLOONING", "ZSWAP", "4.19.67"}},
		{"Debian 12, not running", "6.1.0-56-amd64", "6.1.0-56-amd64", nil, opt.Value[bool]{}, opt.Value[bool]{}, WayOlder, []string{"XEN_TMEM", "CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP", "6.1.0-56-amd64"}},
		{"5.3 is too new", "5.3.0-1-amd64", "4.19.0-6-amd64", map[string]string{"XEN_TMEM": "n"}, opt.Of(false), opt.Of(false), WayOlder, []string{"XEN_TMEM", "CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP", "5.3.0-1-amd64"}},
		{"5.2 is not", "5.2.21", "4.19.0-6-amd64", map[string]string{"XEN_TMEM": "n"}, opt.Of(false), opt.Of(false), WayBuild, []string{"XEN_TMEM", "CLEANCACHE", "XEN_SELFBALLOONING", "ZSWAP", "5.2.21"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := config(t, tc.config)
			for symbol, value := range tc.set {
				if err := c.Set(symbol, value); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Check(Installed{tc.release, c, tc.loaded, tc.booted})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.lacking, s.Lacking()); s.Way != tc.way || diff != "" {
				t.Errorf("%s: %s", s.Way, diff)
			}
		})
	}
	if _, err := Check(Installed{Release: "GNU"}); err == nil {
		t.Error("a release without numbers was taken")
	}
}

func TestFindConfig(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("CONFIG_XEN=y\n"))
	z.Close()
	files := hostfs.FromFS(fstest.MapFS{
		"boot/config-4.19.67-tmem":            {Data: []byte("CONFIG_XEN_TMEM=m\n")},
		"usr/lib/modules/7.2.13+deb14/config": {Data: []byte("CONFIG_XEN=y\n")},
		"boot/config-bad":                     {Data: []byte("CONFIG_XEN_TMEM=m\n")},
		"boot/config-5.2.1":                   {Data: []byte("CONFIG_XEN_TMEM\n")},
		"proc/config.gz":                      {Data: packed.Bytes()},
	})
	for _, tc := range []struct {
		release string
		running bool
		path    string
	}{
		{"4.19.67-tmem", false, "/boot/config-4.19.67-tmem"},
		{"7.2.13+deb14", false, "/usr/lib/modules/7.2.13+deb14/config"},
		{"6.6.6", true, "/proc/config.gz"},
	} {
		c, path, err := FindConfig(files, tc.release, tc.running)
		if err != nil || path != tc.path || len(c.Names()) != 1 {
			t.Errorf("%s: %s, %v", tc.release, path, err)
		}
	}
	for release, want := range map[string]string{
		"6.6.6": "looked at /boot/config-6.6.6, /usr/lib/modules/6.6.6/config, /lib/modules/6.6.6/config-6.6.6: no data",
		"bad":   "no release of a kernel",
		"5/../": "no release of a kernel",
		"5.2.1": "/boot/config-5.2.1: read .config: line 1",
	} {
		if _, _, err := FindConfig(files, release, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", release, err)
		}
	}
}
