package grub

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"xtm/internal/cause"

	"github.com/google/go-cmp/cmp"
)

// The .cfg files in testdata are what Debian 12's own grub-mkconfig (2.06-13)
// made in a loop-mounted root: a guest; a host with Xen 4.17; the same with two
// Xen images, dom0_mem and tmem in GRUB_CMDLINE_XEN_DEFAULT, quotes in
// GRUB_CMDLINE_LINUX, GRUB_DEFAULT=saved and entries in 40_custom.

func menu(t *testing.T, name string) Menu {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseMenu(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// brief is an entry in one line.
func brief(e Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", e.Path, e.Title)
	if e.Recovery {
		b.WriteString(" recovery")
	}
	if e.Conditional {
		b.WriteString(" conditional")
	}
	for _, x := range e.Xen {
		fmt.Fprintf(&b, " | xen %d %s %q", x.Line, x.Path, x.Args)
	}
	for _, l := range e.Linux {
		fmt.Fprintf(&b, " | linux %d %s %q", l.Line, l.Path, l.Args)
	}
	if len(e.Initrd) > 0 {
		fmt.Fprintf(&b, " | %s", e.Initrd)
	}
	return b.String()
}

func TestParseMenu(t *testing.T) {
	const kernel = "/boot/vmlinuz-6.1.0-56-amd64"
	const initrd = "[/boot/initrd.img-6.1.0-56-amd64]"
	const root = `"root=UUID=11111111-2222-3333-4444-555555555555" "ro"`
	xen := func(line int, image, words string) string {
		return fmt.Sprintf(`xen %d /boot/%s ["placeholder"%s "${xen_rm_opts}"]`, line, image, words)
	}
	linux := func(line int, words string) string {
		return fmt.Sprintf(`linux %d %s ["placeholder" %s%s] | %s`, line, kernel, root, words, initrd)
	}
	const set = ` "dom0_mem=1024M,max:1024M" "tmem"`
	const words = ` "dyndbg=file drivers/xen/* +p" "console=hvc0"`
	for _, tt := range []struct {
		file string
		want []string
	}{
		{"debian12-guest.cfg", []string{
			`0 "Debian GNU/Linux" | linux 107 ` + kernel + ` [` + root + ` "quiet"] | ` + initrd,
			`1>0 "Debian GNU/Linux, with Linux 6.1.0-56-amd64" | linux 119 ` + kernel + ` [` + root + ` "quiet"] | ` + initrd,
			`1>1 "Debian GNU/Linux, with Linux 6.1.0-56-amd64 (recovery mode)" recovery | linux 130 ` + kernel + ` [` + root + ` "single"] | ` + initrd,
		}},
		{"debian12-host-tmem-saved.cfg", []string{
			`0 "Debian GNU/Linux" | linux 107 ` + kernel + ` [` + root + words + ` "quiet"] | ` + initrd,
			`1>0 "Debian GNU/Linux, with Linux 6.1.0-56-amd64" | linux 119 ` + kernel + ` [` + root + words + ` "quiet"] | ` + initrd,
			`1>1 "Debian GNU/Linux, with Linux 6.1.0-56-amd64 (recovery mode)" recovery | linux 130 ` + kernel + ` [` + root + ` "single"` + words + `] | ` + initrd,
			`2 "Debian GNU/Linux, with Xen hypervisor" | ` + xen(148, "xen-4.17-amd64.gz", set) + ` | ` + linux(150, words+` "quiet"`),
			`3>0>0 "Debian GNU/Linux, with Xen 4.17-amd64 and Linux 6.1.0-56-amd64" | ` + xen(165, "xen-4.17-amd64.gz", set) + ` | ` + linux(167, words+` "quiet"`),
			`3>0>1 "Debian GNU/Linux, with Xen 4.17-amd64 and Linux 6.1.0-56-amd64 (recovery mode)" recovery | ` + xen(180, "xen-4.17-amd64.gz", "") + ` | ` + linux(182, ` "single"`+words),
			`3>1>0 "Debian GNU/Linux, with Xen 4.17-amd64.efi and Linux 6.1.0-56-amd64" | ` + xen(197, "xen-4.17-amd64.efi", set) + ` | ` + linux(199, words+` "quiet"`),
			`3>1>1 "Debian GNU/Linux, with Xen 4.17-amd64.efi and Linux 6.1.0-56-amd64 (recovery mode)" recovery | ` + xen(212, "xen-4.17-amd64.efi", "") + ` | ` + linux(214, ` "single"`+words),
			`3>2>0 "Debian GNU/Linux, with Xen 4.11-amd64 and Linux 6.1.0-56-amd64" | ` + xen(229, "xen-4.11-amd64.gz", set) + ` | ` + linux(231, words+` "quiet"`),
			`3>2>1 "Debian GNU/Linux, with Xen 4.11-amd64 and Linux 6.1.0-56-amd64 (recovery mode)" recovery | ` + xen(244, "xen-4.11-amd64.gz", "") + ` | ` + linux(246, ` "single"`+words),
			`4 "Ulrich's \"old\" system" | linux 267 /vmlinuz ["root=/dev/sdb1" "ro"] | [/initrd.img]`,
			`5 "System setup" conditional`,
		}},
	} {
		var got []string
		for e := range menu(t, tt.file).All() {
			got = append(got, brief(e))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.file, diff)
		}
	}
}

// TestProof is what the caller does with a menu: each entry of Xen's carries
// the word, but those for recovery do not.
func TestProof(t *testing.T) {
	seen := 0
	for e := range menu(t, "debian12-host-tmem-saved.cfg").All() {
		for _, x := range e.Xen {
			seen++
			if x.Has("tmem") == e.Recovery {
				t.Errorf("line %d: %s: %q", x.Line, e.Title, x.Args)
			}
		}
	}
	if seen != 7 {
		t.Errorf("%d entries of Xen's", seen)
	}
	for e := range menu(t, "debian12-host.cfg").All() {
		for _, x := range e.Xen {
			if x.Has("tmem") {
				t.Errorf("line %d: %s: %q", x.Line, e.Title, x.Args)
			}
		}
	}
}

func env(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnv(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBoots(t *testing.T) {
	guest, host, saved := menu(t, "debian12-guest.cfg"), menu(t, "debian12-host.cfg"), menu(t, "debian12-host-tmem-saved.cfg")
	const uuid = "11111111-2222-3333-4444-555555555555"
	const savedPath = "Advanced options for Debian GNU/Linux (with Xen hypervisor)>Xen hypervisor, version 4.11-amd64"
	with := func(entry string) map[string]string { return map[string]string{"saved_entry": entry} }
	for _, tt := range []struct {
		name string
		m    Menu
		env  map[string]string
		want string
	}{
		{"by number", guest, nil, "0"},
		{"by title", host, nil, "2"},
		{"grub-reboot goes first", host, map[string]string{"next_entry": "1>1"}, "1>1"},
		{"saved by grub-set-default", saved, env(t, "grubenv-saved"), "3>0>0"},
		{"saved, and grub-reboot 1", saved, env(t, "grubenv-next"), "1>1"},
		{"nothing saved", saved, nil, "0"},
		{"saved title is gone", saved, with("Debian GNU/Linux, with Linux 3.2"), "0"},
		{"a submenu's first entry", saved, with(savedPath), "3>2>0"},
		{"path of ids", saved, with("gnulinux-advanced-" + uuid + ">gnulinux-6.1.0-56-amd64-recovery-" + uuid), "1>1"},
		// Both submenus have this id: GRUB takes the first, in which the rest is not.
		{"ambiguous id", saved, with("gnulinux-advanced-" + uuid + ">xen-hypervisor-4.11-amd64-" + uuid), "1>0"},
		{"path of numbers", saved, with("3>2>1"), "3>2>1"},
		{"number too large", saved, with("17"), "0"},
		{"number with a tail", saved, with("4 or so"), "4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tt.m.Boots(tt.env)
			if err != nil || e.Path != tt.want {
				t.Errorf("%q %s, %v; want %s", e.Path, e.Title, err, tt.want)
			}
		})
	}
	if e, err := saved.Boots(with("uefi-firmware")); err == nil {
		t.Errorf("an entry that only EFI has: %+v", e)
	}
	if _, err := (Menu{}).Boots(nil); cause.Of(err) != cause.NoData {
		t.Errorf("an empty menu: %v", err)
	}
	if e, err := (Menu{Default: "$foo", Entries: guest.Entries}).Boots(nil); err == nil {
		t.Errorf("a variable: %+v", e)
	}
}

func TestMenuOddities(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      []string
	}{
		{"empty", "", nil},
		{"one line", "menuentry a { linux /k tmem; initrd /i; }", []string{`0 "a" | linux 1 /k ["tmem"] | [/i]`}},
		{"brace on the next line is no block", "menuentry 'a' --id b {\nlinux /k\n}\n}\n}\nmenuentry c {\n}", []string{`0 "a" | linux 2 /k []`, `1 "c"`}},
		{"not closed", "submenu s {\nmenuentry a {\nlinux /k\n", []string{`0>0 "a" | linux 3 /k []`}},
		{"old Xen", "menuentry 'Xen' {\n multiboot /boot/xen-4.0-amd64.gz placeholder tmem\n module /boot/vmlinuz placeholder ro\n module /boot/initrd\n}", []string{
			`0 "Xen" | xen 2 /boot/xen-4.0-amd64.gz ["placeholder" "tmem"] | linux 3 /boot/vmlinuz ["placeholder" "ro"] | [/boot/initrd]`,
		}},
		{"Arm", "menuentry X {\nxen_hypervisor /xen a\nxen_module /vmlinuz b\nxen_module --nounzip /i\n}", []string{`0 "X" | xen 2 /xen ["a"] | linux 3 /vmlinuz ["b"] | [/i]`}},
		{"continued", "menuentry X {\nlinux /k a \\\n  b \"c\\\n d\"\n}", []string{`0 "X" | linux 2 /k ["a" "b" "c d"]`}},
		{"another multiboot kernel", "menuentry hurd {\nmultiboot /boot/gnumach.gz root=x\nmodule /hurd/ext2fs a\n}", []string{`0 "hurd" | [/hurd/ext2fs]`}},
		{"conditions inside", "menuentry X {\nif [ a = b ]; then\nlinux /k tmem\nelse\nlinux /k\nfi\n}", []string{`0 "X" | linux 3 /k ["tmem"] | linux 5 /k []`}},
		{"functions are not run", "function f {\nlinux /no\nmenuentry no { linux /no; }\n}\nmenuentry a { f; }", []string{`0 "a"`}},
		{"a comment and a word with #", "menuentry a#b { # c\nlinux /k d#e #f\n}", []string{`0 "a#b" | linux 2 /k ["d#e"]`}},
		{"recovery without ids", "menuentry 'Linux (recovery mode)' {\nlinux /k ro single\n}", []string{`0 "Linux (recovery mode)" recovery | linux 2 /k ["ro" "single"]`}},
		{"recovery in another language", "menuentry 'Linux (Wiederherstellungsmodus)' $menuentry_id_option 'gnulinux-5-recovery-x' {\n}", []string{`0 "Linux (Wiederherstellungsmodus)" recovery`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseMenu([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for e := range m.All() {
				got = append(got, brief(e))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if m, err := ParseMenu([]byte("blscfg\n")); err != nil || !m.BLS {
		t.Errorf("%+v, %v", m, err)
	}
	for src, want := range map[string]string{
		"menuentry a {\n linux 'x\n}": "read grub.cfg: line 2: the quotation is not closed",
		"a\n\x00":                     "read grub.cfg: line 2: a NUL byte",
	} {
		if _, err := ParseMenu([]byte(src)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func TestParseEnv(t *testing.T) {
	const head = "# GRUB Environment Block\n"
	fill := func(s string) []byte { return []byte(s + strings.Repeat("#", 1024-len(s))) }
	for _, tt := range []struct {
		name string
		in   []byte
		want map[string]string
		err  string
	}{
		{"empty", fill(head), map[string]string{}, ""},
		{"two", fill(head + "saved_entry=1>2\nnext_entry=\n"), map[string]string{"saved_entry": "1>2", "next_entry": ""}, ""},
		{"escapes", fill(head + "a=b\\\\c\\\nd\n"), map[string]string{"a": "b\\c\nd"}, ""},
		{"full to the last byte", []byte(head + "a=b"), map[string]string{"a": "b"}, ""},
		{"no block", []byte("saved_entry=1\n"), nil, `read grubenv: line 1: not "# GRUB Environment Block"`},
		{"no value", fill(head + "a\n"), nil, `read grubenv: line 2: no = in "a"`},
		{"too large", make([]byte, maxEnv+1), nil, "read grubenv: larger than 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseEnv(tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if err != nil && err.Error() != tt.err || err == nil && tt.err != "" {
				t.Errorf("%v, want %s", err, tt.err)
			}
		})
	}
}

func FuzzMenu(f *testing.F) {
	for _, name := range []string{"debian12-guest.cfg", "debian12-host.cfg", "debian12-host-tmem-saved.cfg"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "1>2")
	}
	f.Add([]byte("menuentry 'a' { multiboot /xen \"b\\\" c\" ${d} }"), "a>>b>c")
	f.Fuzz(func(t *testing.T, src []byte, spec string) {
		m, err := ParseMenu(src)
		if err != nil {
			return
		}
		var all []string
		for e := range m.All() {
			all = append(all, e.Path)
			if e.Submenu || e.Path == "" {
				t.Fatalf("%+v", e)
			}
			if n := strings.Count(string(src), "\n") + 1; e.Line < 1 || e.Line > n {
				t.Fatalf("line %d of %d", e.Line, n)
			}
		}
		m.Default = spec
		if e, err := m.Boots(map[string]string{"saved_entry": spec}); err == nil && !slices.Contains(all, e.Path) {
			t.Fatalf("%q is not in %q", e.Path, all)
		}
	})
}

func FuzzEnv(f *testing.F) {
	for _, name := range []string{"grubenv-saved", "grubenv-next"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnv(b)
		if (e == nil) != (err != nil) {
			t.Fatalf("%v, %v", e, err)
		}
	})
}
