package kernelbuild

import (
	"strings"
	"testing"
)

// FuzzLocate holds that what dpkg says can lead to names only that are safe in a
// command line.
func FuzzLocate(f *testing.F) {
	f.Add("linux-image-6.1.0-56-amd64\t6.1.192-2\tlinux-signed-amd64\t6.1.192+2\tlinux (= 6.1.192-2)\n", false)
	f.Add("linux-image-5.15.0-91-generic\t5.15.0-91.101\tlinux-signed\t5.15.0-91.101\t", true)
	f.Add("linux-image-6.12-rc6\t6.12~rc6-1\tlinux\t6.12~rc6-1\t", false)
	f.Fuzz(func(t *testing.T, line string, ubuntu bool) {
		o, err := ParseOwner(line)
		if err != nil {
			return
		}
		distribution := "debian"
		if ubuntu {
			distribution = "ubuntu"
		}
		s, err := Locate(o, distribution)
		if err != nil {
			return
		}
		if !strings.HasPrefix(s.Package, "linux") || strings.ContainsAny(s.ID()+s.Binary+s.Upstream, " \t\n/;'\"$`\\") {
			t.Errorf("%q became %+v", line, s)
		}
		if n, err := Name(s.Upstream, "-tmem", "", "amd64"); err == nil && len(n.Release) > maxRelease {
			t.Errorf("%+v", n)
		}
	})
}

// FuzzTreeFiles reads what a hostile tree may have in its Makefile and script.
func FuzzTreeFiles(f *testing.F) {
	f.Add([]byte("# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 176\nEXTRAVERSION =\nNAME = x\n"))
	f.Add([]byte("case \"$1\" in\ngcc)\n\techo 5.1.0\n\t;;\nesac\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseMakefile(b); err == nil && !releaseForm.MatchString(v) {
			t.Errorf("version %q", v)
		}
		if v := parseMinimum(b); v != "" && strings.Trim(v, "0123456789.") != "" {
			t.Errorf("minimum %q", v)
		}
	})
}
