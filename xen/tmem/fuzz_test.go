package tmem_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

// FuzzParse reads anything. What is accepted, and is whole and known, must come
// out again when it is printed and read once more.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"captures", "synthetic"} {
		for _, text := range samples(f, folder) {
			f.Add(text)
		}
	}
	f.Add([]byte("G=Tt:1\nS=SI:0,PT:ES,U0:0,U1:0,SC:3\nS=SI:0,PT:ES,U0:0,U1:0,SC:3\nS=SI:1,PT:ES,U0:8a3f,SC:7\nT"))
	f.Add([]byte("C=CI:1,ww:-5,zz:?\r\nP=CI:1,PI:0,PT:EP"))
	f.Add([]byte("-1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := tmem.ParseBytes(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if notes := tmem.Check(l); len(notes) > 40 {
			t.Errorf("%d notes", len(notes))
		}
		if l.Truncated != "" || len(l.Unknown) > 0 || len(l.Shared) > 1 || len(text) > 16<<10 {
			return
		}
		again, err := tmem.ParseBytes(tmemtest.Render(l))
		if err != nil {
			t.Fatalf("read %+v, but printed again: %v", l, err)
		}
		if !reflect.DeepEqual(again, l) {
			same(t, again, l)
		}
	})
}

// FuzzCommandLine holds what is true of any command line: only its own words
// decide, and the last one does.
func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{
		"tmem console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all guest_loglvl=all spec-ctrl=no xpti=no pv-l1tf=no",
		"no-tmem=no tmem_compress", "tmem=off", "tmem=disable", "tmem=maybe", "dom0_mem=1G -- tmem", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cmdline string) {
		for minor := range 13 {
			v := xen.Version{Major: 4, Minor: minor}
			on, word := tmem.Enabled(cmdline, v)
			if on && word == "" || !strings.Contains(cmdline, word) || word != "" && !strings.Contains(word, "tmem") {
				t.Errorf("%q in %v: %v by %q", cmdline, v, on, word)
			}
			if strings.Contains(cmdline, " -- ") || strings.HasSuffix(cmdline, " --") {
				continue
			}
			for tail, want := range map[string]bool{"tmem": true, "no-tmem": false, "tmem=0": false, "no-tmem=off": true} {
				if on, word := tmem.Enabled(cmdline+" "+tail, v); on != want || word != tail {
					t.Errorf("%q and %q in %v: %v by %q", cmdline, tail, v, on, word)
				}
			}
		}
	})
}

// FuzzBootMessages: only what bears Xen's mark is kept, and it is bounded.
func FuzzBootMessages(f *testing.F) {
	f.Add([]byte("(XEN) Command line: tmem console=com1 \n(XEN) tmem: initialized comp=0\n"))
	f.Add([]byte("(d1) (XEN) tmem: initialized comp=0\n(XEN) parameter \"tmem\" unknown!"))
	f.Add([]byte("(XEN) [2019-04-01 10:11:12] TMEM physical RAM limit exceeded, disabling TMEM"))
	f.Fuzz(func(t *testing.T, ring []byte) {
		lines := tmem.BootMessages(ring)
		if len(lines) > 64 {
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "(XEN) ") || strings.Contains(line, "\n") || !utf8.ValidString(line) {
				t.Errorf("kept %q", line)
			}
		}
	})
}
