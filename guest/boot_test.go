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
	const dir = "/sys/module/zswap/parameters/"
	for name, tt := range map[string]struct {
		params map[string]string
		line   opt.Value[guest.BootLine]
		want   opt.Value[bool]
	}{
		"on":                     {map[string]string{"enabled": "Y", "compressor": "lzo"}, line(""), yes},
		"switched off since":     {map[string]string{"enabled": "N"}, line("zswap.enabled=1"), no},
		"not built":              {nil, line("zswap.enabled=1"), no},
		"3.13, on":               {map[string]string{"max_pool_percent": "20"}, line("zswap.enabled=1"), yes},
		"3.13, off":              {map[string]string{"max_pool_percent": "20"}, line("quiet"), no},
		"3.13, no command line":  {map[string]string{"max_pool_percent": "20"}, opt.Value[guest.BootLine]{}, unknown},
		"nothing but one number": {map[string]string{"max_pool_percent": "1"}, line("zswap.enabled=0"), no},
	} {
		m := fstest.MapFS{}
		for param, value := range tt.params {
			guesttest.Put(m, dir+param, value+"\n")
		}
		got, err := guest.ReadZswap(hostfs.FromFS(m), tt.line)
		if got != tt.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
	if got, err := guest.ReadZswap(denied{}, line("")); err == nil {
		t.Errorf("not allowed to look: %v", got)
	}
}
