package apt

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
)

// bookworm is /etc/apt/sources.list.d/debian.sources of a Debian 12 image, with
// a disabled stanza and a folded value added.
const bookworm = `Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.example.org/debian-security
Suites:
 bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://deb.example.org/debian
Suites: sid
Components: main
`

// bullseye is a sources.list as the installer of Debian 11 writes it.
const bullseye = `# deb cdrom:[Debian GNU/Linux 11.0.0 _Bullseye_ - Official amd64 NETINST]/ bullseye main

deb http://mirror.example.org/debian/ bullseye main contrib
deb-src http://mirror.example.org/debian/ bullseye main contrib
deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://security.debian.example/ bullseye-security main # updates
deb [trusted=yes] https://packages.example.org/apt stable main
`

func TestReadSources(t *testing.T) {
	files := hostfs.FromFS(fstest.MapFS{
		"etc/apt/sources.list":                           {Data: []byte(bullseye)},
		"etc/apt/sources.list.d/debian.sources":          {Data: []byte(bookworm)},
		"etc/apt/sources.list.d/debian.sources.dpkg-old": {Data: []byte("what apt passes over")},
		"etc/apt/sources.list.d/nodesource.sources": {Data: []byte(
			"Types: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro\nComponents: main\nSigned-By: /usr/share/keyrings/nodesource.gpg\n")},
	})
	s, err := ReadSources(files)
	if err != nil {
		t.Fatal(err)
	}
	want := `Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bullseye
Components: main contrib

Types: deb deb-src
URIs: http://security.debian.example/
Suites: bullseye-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://deb.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`
	if diff := cmp.Diff(want, s.Text()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		"/etc/apt/sources.list:6: https://packages.example.org/apt is not the distribution's",
		"/etc/apt/sources.list.d/nodesource.sources:1: https://deb.nodesource.com/node_20.x is not the distribution's",
	}, s.Dropped); diff != "" {
		t.Error(diff)
	}
	if urls := s.URLs(); len(urls) != 5 || urls[0] != "http://mirror.example.org/debian/dists/bullseye" {
		t.Errorf("%q", urls)
	}
}

func TestBadSources(t *testing.T) {
	for text, says := range map[string]string{
		"rpm http://x y z\n":             `x.list:1: the type "rpm"`,
		"\ndeb [arch=amd64 http://x y\n": "x.list:2: the options do not end",
		"deb http://deb.example.org\n":   "x.list:1: no address and suite",
	} {
		if _, err := ParseList("x.list", []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		" main\n":                          "x.sources:1: a value of no field",
		"Types deb\n":                      "x.sources:1: no field",
		"\n\nTypes: deb\nURIs: http://x\n": "x.sources:3: a stanza without",
	} {
		if _, err := ParseDeb822("x.sources", []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzSources holds that whatever /etc has, what is written for apt is read back
// as the same archives: nothing is smuggled in.
func FuzzSources(f *testing.F) {
	f.Add([]byte(bookworm), true)
	f.Add([]byte(bullseye), false)
	f.Add([]byte("Types: deb\nURIs: http://x/debian\nSuites: a\nSigned-By:\n -----BEGIN PGP\n .\n x\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, stanzas bool) {
		name := "/etc/apt/sources.list"
		if stanzas {
			name = "/etc/apt/sources.list.d/x.sources"
		}
		s, err := ReadSources(hostfs.FromFS(fstest.MapFS{name[1:]: {Data: b}}))
		if err != nil {
			return
		}
		again, err := ParseDeb822("x", []byte(s.Text()))
		if err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		if len(again) != len(s.Stanzas) {
			t.Fatalf("%d archives became %d: %q", len(s.Stanzas), len(again), s.Text())
		}
		for i, st := range again {
			st.Pos, s.Stanzas[i].Pos = "", ""
			if diff := cmp.Diff(strings.Join(s.Stanzas[i].URIs, " "), strings.Join(st.URIs, " ")); diff != "" {
				t.Error(diff)
			}
		}
	})
}
