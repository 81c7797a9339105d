package scrub

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"quiet rd.iscsi.password=hunter2 ro":          "quiet rd.iscsi.password=[scrubbed] ro",
		"rd.iscsi.in.username=me":                     "rd.iscsi.in.username=[scrubbed]",
		"rd.luks.key=/k rd.vconsole.keymap=de":        "rd.luks.key=[scrubbed] rd.vconsole.keymap=de",
		`GRUB_CMDLINE_LINUX="quiet password=a,b"`:     `GRUB_CMDLINE_LINUX="quiet password=[scrubbed]"`,
		`X="a foo.secret=\"b c\" d"`:                  `X="a foo.secret=\"[scrubbed]\" d"`,
		`vncpasswd='a b'` + "\n":                      `vncpasswd='[scrubbed]'` + "\n",
		`vncpasswd = "a \" b"`:                        `vncpasswd = "[scrubbed]"`,
		`vncpasswd = ""`:                              `vncpasswd = ""`,
		`vncpasswd = "open`:                           `vncpasswd = "[scrubbed]`,
		"vfb=[ 'vnc=1,vncpasswd=x,keymap=de' ]":       "vfb=[ 'vnc=1,vncpasswd=[scrubbed]' ]",
		"rbd:rbd/web1:id=admin:key=AQD==:mon_host=h":  "rbd:rbd/web1:id=admin:key=[scrubbed]",
		"netroot=iscsi:me:pw:r:rp@10.0.0.1::::iqn.x":  "netroot=iscsi:[scrubbed]@10.0.0.1::::iqn.x",
		"netroot=iscsi:@10.0.0.1::::iqn.x":            "netroot=iscsi:@10.0.0.1::::iqn.x",
		"iscsi://me%pw@h/iqn/1":                       "iscsi://[scrubbed]@h/iqn/1",
		"nbd://a:b@h:10809/x http://h/y":              "nbd://[scrubbed]@h:10809/x http://h/y",
		"https://u:p/q@h/":                            "https://[scrubbed]@h/",
		"token: abc\nTOKEN=abc":                       "token: [scrubbed]\nTOKEN=[scrubbed]",
		"Authorization: Bearer abcdefghij":            "Authorization: Bearer [scrubbed]",
		"password_pbkdf2 root grub.pbkdf2.sha512.1.A": "password_pbkdf2 root grub.pbkdf2.[scrubbed]",
		"root:$6$salt$hash:1:":                        "root:$6$[scrubbed]:1:",
		"a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b": "a -----BEGIN RSA PRIVATE KEY-----[scrubbed]-----END RSA PRIVATE KEY----- b",
		"-----BEGIN PRIVATE KEY-----\nMII":                                        "-----BEGIN PRIVATE KEY-----[scrubbed]",
		"spice=1,password=":                                                       "spice=1,password=",
		"the key is = 5, Passwords: none of these":                                "the key is = 5, Passwords: [scrubbed] of these",
		"(XEN) tmem: initialized comp=0 dedup=0":                                  "(XEN) tmem: initialized comp=0 dedup=0",
	} {
		s := &Scrubber{}
		got := string(s.Text([]byte(in)))
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
		if (s.Secrets > 0) != (in != got) {
			t.Errorf("%q: counted %d secrets", in, s.Secrets)
		}
		again := &Scrubber{}
		if twice := string(again.Text([]byte(got))); twice != got || again.Secrets > 0 {
			t.Errorf("%q: scrubbed again: %q, %d", got, twice, again.Secrets)
		}
	}
}

func TestConfiguration(t *testing.T) {
	for in, want := range map[string]string{
		`[{"vnc": {"passwd": "x", "listen": "::1"}, "keymap": "de"}]`:      `[{"vnc": {"passwd": "[scrubbed]", "listen": "::1"}, "keymap": "de"}]`,
		`{"spice": {"passwd": ""}, "tokens": ["a", {"b": "c"}], "n": "d"}`: `{"spice": {"passwd": ""}, "tokens": ["[scrubbed]", {"b": "[scrubbed]"}], "n": "d"}`,
		`{"cmdline": "root=/dev/xvda1 foo.password=\"a b\" x\u0041"}`:      `{"cmdline": "root=/dev/xvda1 foo.password=\"[scrubbed]\" xA"}`,
		`{"passwd": "cut he`: `{"passwd": "[scrubbed]`,
		"(domain\n\t(domid 1)\n\t(vncpasswd a b)\n\t(cmdline key=1)\n)\n":        "(domain\n\t(domid 1)\n\t(vncpasswd [scrubbed])\n\t(cmdline key=[scrubbed])\n)\n",
		`{"pdev_path": "rbd:p/i:key=A==:x", "extra": ["-vnc", ":0,password=q"]}`: `{"pdev_path": "rbd:p/i:key=[scrubbed]", "extra": ["-vnc", ":0,password=[scrubbed]"]}`,
		"a warning: password=x\n": "a warning: password=[scrubbed]\n",
	} {
		for _, long := range []string{"-l", "--long"} {
			if got := string((&Scrubber{}).Output([]string{"/usr/sbin/xl", "list", long}, []byte(in))); got != want {
				t.Errorf("%s:\n got %s\nwant %s", in, got, want)
			}
		}
	}
}

// The dump has a line of every kind, in the form of Xen 4.12's xenstore-ls.
func TestXenstore(t *testing.T) {
	const dump = `/tool = ""
/local = ""
/local/domain = ""
/local/domain/1 = ""
/local/domain/1/vm = "/vm/1d9f7584-e679-11f1-971d-5fe415631a83"
/local/domain/1/name = "web1"
/local/domain/1/domid = "1"
/local/domain/1/memory = ""
/local/domain/1/memory/target = "262144"
/local/domain/1/memory/meminfo = "MemTotal: 262144 kB\nMemFree: 1024 kB\n"
/local/domain/1/data = ""
/local/domain/1/data/meminfo_free = "1024"
/local/domain/1/data/updated = "Sun Nov 22 13:35:01 2026"
/local/domain/1/data/set_clipboard = "hunter2"
/local/domain/1/data = "hunter3"
/local/domain/1/control/feature-balloon = "1"
/local/domain/1/control/sysrq = ""
/local/domain/1/name/x = "hunter4"
/local/domain/1/device/vfb/0/vncpasswd = "hunter5"
/local/domain/1/console/vnc-pass = "hunter6"
/vm/1d9f7584-e679-11f1-971d-5fe415631a83/image/cmdline = "key=hunter7"
/local/domain/1/memory/x:

hunter8
`
	const want = `/local = ""
/local/domain = ""
/local/domain/1 = ""
/local/domain/1/vm = "/vm/1d9f7584-e679-11f1-971d-5fe415631a83"
/local/domain/1/name = "web1"
/local/domain/1/domid = "1"
/local/domain/1/memory = ""
/local/domain/1/memory/target = "262144"
/local/domain/1/memory/meminfo = "MemTotal: 262144 kB\nMemFree: 1024 kB\n"
/local/domain/1/data = ""
/local/domain/1/data/meminfo_free = "1024"
/local/domain/1/data/updated = "Sun Nov 22 13:35:01 2026"
/local/domain/1/control/feature-balloon = "1"
`
	withPermissions := strings.ReplaceAll(dump, "\"\n", "\"   . . . . . (n0,r1)\n")
	for _, c := range []struct{ argv, in, want string }{
		{"xenstore-ls -f", dump, want},
		{"xenstore ls -f /", dump, want},
		{"/usr/bin/xenstore-ls -fp /local", withPermissions, strings.ReplaceAll(want, "\"\n", "\"   . . . . . (n0,r1)\n")},
		{"xenstore-ls", "name = \"web1\"\n", ""},
		{"xenstore-read /local/domain/1/memory/target", "262144\n", "262144\n"},
		{"xenstore-read memory/target", "262144\n", "262144\n"},
		{"xenstore-read -p name device/vfb/0/vncpasswd", "hunter2\n", ""},
		{"xenstore-read device/vfb/0/vncpasswd", "hunter2\n", ""},
		{"xenstore-list device", "vfb\n", ""},
	} {
		s := &Scrubber{}
		got := string(s.Output(strings.Fields(c.argv), []byte(c.in)))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.argv, diff)
		}
		if lost := strings.Count(c.in, "\n") - strings.Count(c.want, "\n"); s.Withheld != lost {
			t.Errorf("%s: counted %d lines, want %d", c.argv, s.Withheld, lost)
		}
	}
}

func TestFiles(t *testing.T) {
	const config = "CONFIG_KEYS=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"certs.pem\"\nCONFIG_CMDLINE=\"ro password=x\"\n"
	const scrubbed = "CONFIG_KEYS=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"certs.pem\"\nCONFIG_CMDLINE=\"ro password=[scrubbed]\"\n"
	if got := string((&Scrubber{}).File("/boot/config-4.19.0", []byte(config))); got != scrubbed {
		t.Errorf("got %q", got)
	}
	got := (&Scrubber{}).File("/proc/config.gz", Pack([]byte(config)))
	z, err := gzip.NewReader(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || string(plain) != scrubbed {
		t.Errorf("packed: got %q, %v", plain, err)
	}
	harmless := Pack([]byte("CONFIG_XEN=y\n"))
	if got := (&Scrubber{}).File("/proc/config.gz", harmless); !bytes.Equal(got, harmless) {
		t.Error("bytes changed without a secret")
	}
	for _, bad := range [][]byte{Pack(make([]byte, maxUnpacked+1)), Pack([]byte("password=x"))[:20]} {
		if got := string((&Scrubber{}).File("/proc/config.gz", bad)); got != Mark+"\n" {
			t.Errorf("what cannot be looked into was kept: %d bytes", len(got))
		}
	}
}

func TestArgv(t *testing.T) {
	got := (&Scrubber{}).Argv([]string{"prog", "--password", "x", "--key=y", "-token", "z", "--keymap", "de", "list"})
	want := []string{"prog", "--password", Mark, "--key=" + Mark, "-token", Mark, "--keymap", "de", "list"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// No secret survives in any place that names it, whatever it is made of.
func TestNoSecretSurvives(t *testing.T) {
	places := []string{
		"quiet rd.iscsi.password=%s ro", "vncpasswd = \"%s\"\n", "https://user:%s@host/x", "netroot=iscsi:user:%s@10.0.0.1::::iqn",
		"rbd:pool/disk:id=admin:key=%s:mon_host=h", "api_token: %s\n", "a=1,spice_passwd=%s", "AUTH_SECRET='%s'",
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9+=_!%.~^(){}-]{7,20}`).Draw(t, "secret")
		text := fmt.Sprintf(rapid.SampledFrom(places).Draw(t, "place"), secret)
		before := rapid.StringMatching(`[a-z =,.]{0,10}`).Draw(t, "before") + " "
		text = before + text
		if got := (&Scrubber{}).Text([]byte(text)); bytes.Contains(got, []byte(secret)) {
			t.Fatalf("%q became %q", text, got)
		}
		listing, err := json.MarshalIndent([]map[string]any{{"config": map[string]any{"cmdline": text, "vncpasswd": secret, "max_memkb": 5}}}, "", "    ")
		if err != nil {
			t.Fatal(err)
		}
		got := (&Scrubber{}).Output([]string{"xl", "list", "-l"}, listing)
		if bytes.Contains(got, []byte(secret)) || !json.Valid(got) {
			t.Fatalf("%s became %s", listing, got)
		}
	})
}

func FuzzOutput(f *testing.F) {
	f.Add("xl list -l", []byte(`[{"domid": 1, "config": {"c_info": {"name": "web1", "vnc": {"passwd": "x"}}}}]`))
	f.Add("xl list -l", []byte("(domain\n\t(domid 1)\n\t(vncpasswd x)\n)\n"))
	f.Add("xenstore-ls -f", []byte("/local/domain/1/memory/target = \"262144\"\n"))
	f.Add("dmesg", []byte("Command line: rd.iscsi.password=x https://a:b@c/"))
	f.Fuzz(func(t *testing.T, command string, b []byte) {
		argv := strings.Fields(command)
		if len(argv) == 0 {
			return
		}
		valid := json.Valid(b)
		got := (&Scrubber{}).Output(argv, b)
		again := &Scrubber{}
		if twice := again.Output(argv, got); !bytes.Equal(got, twice) {
			t.Fatalf("%q: scrubbed to %q, then to %q", b, got, twice)
		}
		if strings.HasPrefix(command, "xl list -l") && valid && (b[0] == '[' || b[0] == '{') && !json.Valid(got) {
			t.Fatalf("%q became %q, which is not JSON", b, got)
		}
	})
}

// In memory of a fixed layout no byte moves, and nothing is left of a secret.
func TestFixed(t *testing.T) {
	for in, want := range map[string]string{
		"tmem password=hunter2hunter2 a\x00\x00": "tmem password=[scrubbed]---- a\x00\x00",
		"password=abc\x00password=":              "password=[sc\x00password=",
		"\x06\x00key='a b'\x00":                  "\x06\x00key='[sc'\x00",
		"":                                       "",
	} {
		s := &Scrubber{}
		if got := string(s.Fixed([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		again := &Scrubber{}
		if again.Fixed([]byte(want)); again.Secrets > 0 {
			t.Errorf("%q holds %d secrets", want, again.Secrets)
		}
	}
	if (&Scrubber{}).Fixed(nil) != nil {
		t.Error("no memory became some")
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.SampledFrom([]byte("key=pwd:@/'\"\\ \n\x00\xa5.-$6iscs"))).Draw(t, "memory")
		if out := (&Scrubber{}).Fixed(in); len(out) != len(in) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func TestKey(t *testing.T) {
	for path, value := range map[string]string{
		"/local/domain/3/memory/target":            "262144",
		"/local/domain/0/backend/pci/3/0/num_devs": "1",
		"/libxl/3/type":                            "pvh",
		"/vm/1d9f7584/start_time":                  "1795354329.15",
	} {
		s := &Scrubber{}
		if p, v, ok := s.Key(path, value); p != path || v != value || !ok || s.Withheld != 0 {
			t.Errorf("%s: %q %q %v, withheld %d", path, p, v, ok, s.Withheld)
		}
	}
	for _, path := range []string{
		"/local/domain/3/data/password", "/local/domain/0/backend/vkbd/3/0/vnc-pass", "/libxl/3/device/vfb/0/params",
		"/vm/1d9f7584/image/cmdline", "/vm/start_time", "/tool/start_time", "libxl/3/type", "",
	} {
		s := &Scrubber{}
		if _, _, ok := s.Key(path, "hunter2"); ok || s.Withheld != 1 {
			t.Errorf("%s: %v, withheld %d", path, ok, s.Withheld)
		}
	}
}
