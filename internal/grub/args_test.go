package grub

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinuxArgs(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []Arg
	}{
		{"", nil},
		{" \n", nil},
		{"root=UUID=1-2 ro  quiet\n", []Arg{{"root", "UUID=1-2", true}, {"ro", "", false}, {"quiet", "", false}}},
		{`dyndbg="file drivers/xen/* +p" quiet`, []Arg{{"dyndbg", "file drivers/xen/* +p", true}, {"quiet", "", false}}},
		// GRUB puts the quotes around the whole word.
		{`"dyndbg=file drivers/xen/* +p" quiet`, []Arg{{"dyndbg", "file drivers/xen/* +p", true}, {"quiet", "", false}}},
		{`a="b c" tmem`, []Arg{{"a", "b c", true}, {"tmem", "", false}}},
		{`a="b tmem`, []Arg{{"a", "b tmem", true}}},
		{`"two words" tmem`, []Arg{{"two words", "", false}, {"tmem", "", false}}},
		{"console=tty0 console=hvc0", []Arg{{"console", "tty0", true}, {"console", "hvc0", true}}},
		{"empty= =x -- single", []Arg{{"empty", "", true}, {"=x", "", false}, {"--", "", false}, {"single", "", false}}},
		{"tabs\tand\nlines", []Arg{{"tabs", "", false}, {"and", "", false}, {"lines", "", false}}},
		{`mid"d le"word`, []Arg{{`mid"d le"word`, "", false}}},
		{`"`, []Arg{{"", "", false}}},
	} {
		if diff := cmp.Diff(tt.want, LinuxArgs(tt.line)); diff != "" {
			t.Errorf("%q: %s", tt.line, diff)
		}
	}
}

func TestXenWords(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"", []string{}},
		{"placeholder  tmem dom0_mem=1024M,max:1024M ", []string{"placeholder", "tmem", "dom0_mem=1024M,max:1024M"}},
		{`com1="115200 8n1"`, []string{`com1="115200`, `8n1"`}},
		{"loglvl=all -- tmem", []string{"loglvl=all"}},
		{"a\ttmem", []string{"a\ttmem"}},
	} {
		if diff := cmp.Diff(tt.want, XenWords(tt.line)); diff != "" {
			t.Errorf("%q: %s", tt.line, diff)
		}
	}
}

func TestXenSwitch(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Switch
	}{
		{"", Absent},
		{"tmem_compress xtmem tmemx=1", Absent},
		{"tmem", On},
		{"tmem=1", On},
		{"tmem=enable", On},
		{"tmem=", On},
		{"tmem=0", Off},
		{"tmem=off", Off},
		{"no-tmem", Off},
		{"no-tmem=0", On},
		{"tmem no-tmem", Off},
		{"tmem=0 tmem", On},
		{"tmem=maybe", Unclear},
		{"tmem -- no-tmem", On},
	} {
		if got := XenSwitch(XenWords(tt.line), "tmem"); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.line, got, tt.want)
		}
	}
}

func FuzzArgs(f *testing.F) {
	f.Add(`root=UUID=1-2 ro dyndbg="file drivers/xen/* +p" quiet`)
	f.Add("placeholder dom0_mem=1024M,max:1024M tmem no-real-mode edd=off -- x")
	f.Add(`"a=b c" ="d`)
	f.Fuzz(func(t *testing.T, line string) {
		rest := line
		for _, a := range LinuxArgs(line) {
			// Every key stands in the line, in this order.
			i := strings.Index(rest, a.Key)
			if i < 0 {
				t.Fatalf("%q is not in %q", a.Key, rest)
			}
			rest = rest[i+len(a.Key):]
			if !a.HasValue && a.Value != "" {
				t.Fatalf("%+v", a)
			}
		}
		for _, w := range XenWords(line) {
			if w == "" || strings.Contains(w, " ") {
				t.Fatalf("a blank in %q", w)
			}
		}
	})
}
