package guest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
)

// row is what an era says of a kernel, in names.
type row struct {
	Driver                guest.Driver
	Parts                 []guest.Part
	Words, Params         []string
	Cleancache, Frontswap string
	Zswap                 bool
}

func rowOf(v guest.Version) row {
	e := guest.EraOf(v)
	r := row{Driver: e.Driver, Parts: e.Parts, Zswap: e.Zswap}
	for _, w := range e.Words {
		r.Words = append(r.Words, w.Name)
	}
	for _, p := range e.Params {
		r.Params = append(r.Params, p.Name)
	}
	if c := e.CleancacheCounters; c != nil {
		r.Cleancache = c.Dir + "/" + c.Names[3]
	}
	if c := e.FrontswapCounters; c != nil {
		r.Frontswap = c.Dir + "/" + c.Names[1]
	}
	return r
}

func TestEras(t *testing.T) {
	all := []guest.Part{guest.Cleancache, guest.Frontswap, guest.Selfballooning}
	noSwap := []guest.Part{guest.Cleancache, guest.Selfballooning}
	early := []string{"tmem", "nocleancache", "selfballooning"}
	words := []string{"tmem", "nocleancache", "nofrontswap", "selfballooning", "noselfballooning", "noselfshrink"}
	params := []string{"cleancache", "frontswap", "selfballooning", "selfshrinking"}
	const sysfs, debug, fs = "/sys/kernel/mm/cleancache/flushes", "cleancache/invalidates", "frontswap/succ_stores"
	module := row{guest.AsModule, all, []string{"tmem"}, params, debug, fs, true}
	young := module
	young.Zswap = false
	for v, want := range map[guest.Version]row{
		{}:                    {Driver: guest.NoDriver},
		{Major: 2, Minor: 6}:  {Driver: guest.NoDriver},
		{Major: 3, Minor: 0}:  {guest.BuiltIn, []guest.Part{guest.Cleancache}, []string{"tmem", "nocleancache"}, nil, sysfs, "", false},
		{Major: 3, Minor: 1}:  {guest.BuiltIn, noSwap, early, nil, sysfs, "", false},
		{Major: 3, Minor: 2}:  {guest.BuiltIn, noSwap, early, nil, sysfs, "", false},
		{Major: 3, Minor: 4}:  {guest.BuiltIn, noSwap, early, nil, debug, "", false},
		{Major: 3, Minor: 5}:  {guest.BuiltIn, all, words, nil, debug, fs, false},
		{Major: 3, Minor: 9}:  {guest.BuiltIn, all, words, nil, debug, fs, false},
		{Major: 3, Minor: 10}: young,
		{Major: 3, Minor: 13}: module,
		{Major: 4, Minor: 15}: module,
		{Major: 4, Minor: 19}: module,
		{Major: 5, Minor: 2}:  module,
		{Major: 5, Minor: 3}:  {guest.NoDriver, nil, nil, nil, debug, fs, true},
		{Major: 5, Minor: 4}:  {guest.NoDriver, nil, nil, nil, debug, fs, true},
		{Major: 5, Minor: 17}: {guest.NoDriver, nil, nil, nil, "", fs, true},
		{Major: 6, Minor: 1}:  {guest.NoDriver, nil, nil, nil, "", fs, true},
		{Major: 6, Minor: 6}:  {guest.NoDriver, nil, nil, nil, "", "", true},
	} {
		if diff := cmp.Diff(want, rowOf(v)); diff != "" {
			t.Errorf("Linux %s:\n%s", v, diff)
		}
	}
}
