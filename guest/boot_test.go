package guest_test

import (
	"testing"
	"testing/fstest"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

// The kernel compares no further than a word's own length, and what is a
// module's parameter never comes to that.
func TestBootLineHas(t *testing.T) {
	module, before := guest.EraOf(guest.Version{Major: 4, Minor: 19}), guest.EraOf(guest.Version{Major: 3, Minor: 9})
	for line, want := range map[string]struct{ tmem, tmem39, nofrontswap bool }{
		"console=hvc0 rdinit=/init lab.role=nomod tmem lab.name=plain1": {true, true, false},
		"console=hvc0 rdinit=/init lab.role=nomod lab.name=plain1":      {},
		"tmem=0":                   {true, true, false},
		"tmemory":                  {true, true, false},
		"tmem.frontswap=0":         {false, true, false},
		"tmem.selfshrink=0":        {true, true, false}, // the name in the Kconfig help, which is none
		"xtmem no-tmem":            {},
		"quiet -- tmem":            {},
		`quiet "tmem" nofrontswap`: {true, true, true},
		`dyndbg="file a +p tmem"`:  {},
		"":                         {},
	} {
		l := guest.ParseBootLine(line)
		if l.Has("tmem", module) != want.tmem || l.Has("tmem", before) != want.tmem39 || l.Has("nofrontswap", before) != want.nofrontswap {
			t.Errorf("%q: tmem %v, on 3.9 %v, nofrontswap %v", line, l.Has("tmem", module), l.Has("tmem", before), l.Has("nofrontswap", before))
		}
	}
}

func TestBootLineParam(t *testing.T) {
	for line, want := range map[string][2]bool{
		"zswap.enabled=1":                 {true, true},
		"zswap.enabled=Y":                 {true, true},
		"zswap.enabled":                   {true, true},
		"zswap.enabled=on":                {true, true},
		"zswap.enabled=1 zswap.enabled=0": {false, true},
		"zswap.enabled=off":               {false, true},
		"zswap.enabled=maybe":             {false, false},
		"quiet":                           {false, false},
		"quiet -- zswap.enabled=1":        {false, false},
	} {
		if v, given := guest.ParseBootLine(line).Param("zswap", "enabled"); [2]bool{v, given} != want {
			t.Errorf("%q: %v, given %v", line, v, given)
		}
	}
}

func TestReadZswap(t *testing.T) {
	line := func(s string) opt.Value[guest.BootLine] { return opt.Of(guest.ParseBootLine(s)) }
	yes, no, unknown := opt.Of(true), opt.Of(false), opt.Value[bool]{}
	for _, tt := range []struct {
		kernel guest.Version
		sysfs  string
		line   opt.Value[guest.BootLine]
		want   opt.Value[bool]
	}{
		{guest.Version{Major: 4, Minor: 19}, "Y", line(""), yes},
		{guest.Version{Major: 4, Minor: 19}, "N", line("zswap.enabled=1"), no}, // switched off since
		{guest.Version{Major: 4, Minor: 19}, "", line("zswap.enabled=1"), no},  // not built
		{guest.Version{Major: 3, Minor: 13}, "", line("zswap.enabled=1"), yes},
		{guest.Version{Major: 3, Minor: 13}, "", line("quiet"), no},
		{guest.Version{Major: 3, Minor: 13}, "", opt.Value[guest.BootLine]{}, unknown},
		{guest.Version{Major: 3, Minor: 9}, "", line("zswap.enabled=1"), no}, // no zswap yet
		{guest.Version{}, "", line("zswap.enabled=1"), yes},
	} {
		m := fstest.MapFS{}
		if tt.sysfs != "" {
			guesttest.Put(m, "/sys/module/zswap/parameters/enabled", tt.sysfs+"\n")
			guesttest.Put(m, "/sys/module/zswap/parameters/compressor", "lzo\n")
		}
		got, err := guest.ReadZswap(hostfs.FromFS(m), tt.kernel, tt.line)
		if got != tt.want || err != nil {
			t.Errorf("%s, sysfs %q: %v, %v, want %v", tt.kernel, tt.sysfs, got, err, tt.want)
		}
	}
}
