package tmem_test

import (
	"strings"
	"testing"

	"xtm/xen/tmem"
)

func TestBootLine(t *testing.T) {
	for line, want := range map[string]tmem.BootEvent{
		"(XEN) tmem: initialized comp=0":                                  tmem.BootInitialised,
		"(XEN) tmem: initialized comp=0 dedup=0 tze=0":                    tmem.BootInitialised,
		"(XEN) tmem: initialized comp=1 global-lock=0":                    tmem.BootInitialised,
		"(XEN) [2019-04-01 10:11:12] tmem: initialized comp=0":            tmem.BootInitialised,
		"(XEN) [    1.234567] tmem: initialized comp=0":                   tmem.BootInitialised,
		"(XEN) tmem: initialization FAILED":                               tmem.BootFailed,
		"(XEN) TMEM physical RAM limit exceeded, disabling TMEM":          tmem.BootRAMLimit,
		`(XEN) parameter "tmem" unknown!`:                                 tmem.BootUnknownWord,
		`(XEN) parameter "tmem_lock" unknown!`:                            tmem.BootSilent,
		"(XEN) tmem: initializing tmem capability for domid=1...<G><2>ok": tmem.BootSilent,
		"(XEN) tmem: all pools frozen for all domains":                    tmem.BootSilent,
		"(XEN) Command line: tmem console=com1":                           tmem.BootSilent,
		"(d1) tmem: initialized comp=0":                                   tmem.BootSilent,
		"(d1) (XEN) tmem: initialized comp=0":                             tmem.BootSilent,
		"[    4.199302] xen:tmem: frontswap enabled, RAM provided by Xen": tmem.BootSilent,
		"(XEN) (file=x) [note] tmem: initialized comp=0":                  tmem.BootSilent,
		"tmem: initialized comp=0":                                        tmem.BootSilent,
		"":                                                                tmem.BootSilent,
	} {
		if got := tmem.BootLine(line); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// The console ring of the loaded host begins like this; of a guest's words
// nothing is kept.
func TestBootMessages(t *testing.T) {
	const ring = "n at 0x0\n" +
		"(XEN) Command line: tmem console=com1 dom0_mem=1024M,max:1024M \r\n" +
		"(XEN) Xen image load base address: 0\n" +
		"(XEN) [    0.000001] Truncating RAM from 4294967296kB to 1kB\n" +
		"(XEN) tmem: initialized comp=0\n" +
		"(XEN) tmem: initializing tmem capability for domid=1...<G><2>ok\n" +
		"(d1) tmem: initialization FAILED\n" +
		"(XEN) tmem: initialized comp=0 \xff"
	want := []string{
		"(XEN) Command line: tmem console=com1 dom0_mem=1024M,max:1024M",
		"(XEN) [    0.000001] Truncating RAM from 4294967296kB to 1kB",
		"(XEN) tmem: initialized comp=0",
		"(XEN) tmem: initialized comp=0 \ufffd",
	}
	same(t, tmem.BootMessages([]byte(ring)), want)
	many := tmem.BootMessages([]byte(strings.Repeat("(XEN) Command line: "+strings.Repeat("x", 100)+"\n", 1000)))
	long := tmem.BootMessages([]byte("(XEN) Command line: " + strings.Repeat("x", 9000)))
	if len(many) != 64 || len(long) != 0 {
		t.Errorf("%d of 1,000 messages kept, %d of 9,000 bytes", len(many), len(long))
	}
}
