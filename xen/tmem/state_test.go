package tmem_test

import (
	"strings"
	"testing"

	"xtm/internal/opt"
	"xtm/xen"
	"xtm/xen/tmem"
)

// What the captured hosts showed to whoever asked.
func TestStateOfCaptures(t *testing.T) {
	texts := samples(t, "captures")
	listed := func(name string) tmem.ListAnswer {
		return tmem.ListAnswer{Outcome: tmem.ListOK, Listing: parse(t, texts[name])}
	}
	const rest = "console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all guest_loglvl=all spec-ctrl=no xpti=no pv-l1tf=no"
	tests := []struct {
		name, version, cmdline string
		list                   tmem.ListAnswer
		want                   xen.TmemAnswer
		evidence               string
	}{
		{"loaded", "4.12.4", "tmem " + rest, listed("xen-4.12/t1-load/xl-tmem-list-l-a.txt"), xen.TmemOn, "Xen 4.12.4 counts 1672975 tmem calls of guests"},
		{"one domain", "4.12.4", rest, listed("xen-4.12/t1-load/xl-tmem-list-web1.txt"), xen.TmemOn, "gets and puts of domain 1"},
		{"without tmem", "4.12.4", rest, listed("xen-4.12-notmem/t1-load/xl-tmem-list-l-a.txt"), xen.TmemOff, "Xen 4.12.4 has no tmem on its command line"},
		{"4.17", "4.17.7", rest, tmem.ListAnswer{Outcome: tmem.ListNoCommand}, xen.TmemRemoved, "Xen 4.17.7 has no tmem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := xen.Host{Version: version(t, tt.version), CommandLine: opt.Of(tt.cmdline)}
			got := tmem.State(host, tt.list)
			if got.Answer != tt.want || !strings.Contains(got.Evidence, tt.evidence) || (got.Advice == "") != (tt.want == xen.TmemOn) {
				t.Errorf("%+v, want %s: %s", got, tt.want, tt.evidence)
			}
		})
	}
}

func TestState(t *testing.T) {
	some := func(s string) opt.Value[string] { return opt.Of(s) }
	none := opt.Value[string]{}
	zeros := tmem.ListAnswer{Outcome: tmem.ListOK, Listing: xen.Listing{Host: opt.Of(xen.TmemHost{Calls: opt.Of[int64](0)})}}
	// tmem-shared-auth makes a client, without a pool, on a host without tmem.
	client := tmem.ListAnswer{Outcome: tmem.ListOK, Listing: xen.Listing{Clients: []xen.TmemClient{{ID: 1}}}}
	pools := tmem.ListAnswer{Outcome: tmem.ListOK, Listing: xen.Listing{Clients: []xen.TmemClient{{ID: 1, Pools: []xen.TmemPool{{}}}}}}
	answer := func(o tmem.ListOutcome) tmem.ListAnswer { return tmem.ListAnswer{Outcome: o} }
	boot := func(lines ...string) []string { return lines }
	tests := []struct {
		name, version string
		cmdline       opt.Value[string]
		boot          []string
		list          tmem.ListAnswer
		want          xen.TmemAnswer
		says          string // part of evidence or advice
	}{
		{"removed, whatever is said", "4.13.0", some("tmem"), nil, tmem.ListAnswer{}, xen.TmemRemoved, "removed in Xen 4.13"},
		{"removed, no call", "4.16.0", none, nil, answer(tmem.ListNoCall), xen.TmemRemoved, "ballooning"},
		{"before tmem", "3.4.4", some("tmem"), nil, tmem.ListAnswer{}, xen.TmemCompiledOut, "older than tmem"},
		{"compiled out, by the call", "4.12.0", some("tmem"), nil, answer(tmem.ListNoCall), xen.TmemCompiledOut, "CONFIG_TMEM=y"},
		{"compiled out, by the boot", "4.12.0", some("tmem"), boot(`(XEN) parameter "tmem" unknown!`), tmem.ListAnswer{}, xen.TmemCompiledOut, "unknown!"},
		{"no call, no version", "", some("tmem"), nil, answer(tmem.ListNoCall), xen.TmemUnknown, "find its version"},
		{"no command, no version", "", none, nil, answer(tmem.ListNoCommand), xen.TmemRemoved, "4.13"},
		{"no command in 4.0.0", "4.0.0", some("tmem"), nil, answer(tmem.ListNoCommand), xen.TmemOn, `"tmem"`},

		{"4.5 lists", "4.5.0", none, nil, zeros, xen.TmemOn, "only when tmem is on"},
		{"4.5 refuses", "4.5.0", some("tmem"), nil, answer(tmem.ListNoDevice), xen.TmemOff, "ENODEV"},
		{"refused, no version", "", none, nil, answer(tmem.ListNoDevice), xen.TmemOff, "ENODEV"},
		{"4.1.3 is better off", "4.1.3", some(""), nil, answer(tmem.ListNoDevice), xen.TmemOff, "XSA-15"},

		{"4.6 lists zeros, on", "4.6.0", some("tmem"), nil, zeros, xen.TmemOn, `"tmem" on its command line`},
		{"4.6 lists zeros, off", "4.6.0", some(""), nil, zeros, xen.TmemOff, "xtm enable-tmem"},
		{"4.6 lists zeros, switched off", "4.6.0", some("tmem tmem=0"), nil, zeros, xen.TmemOff, `"tmem=0"`},
		{"4.6 lists zeros, no command line", "4.6.0", none, nil, zeros, xen.TmemUnknown, "off or unused"},
		{"a client alone proves nothing", "4.12.4", some(""), nil, client, xen.TmemOff, "no tmem on its command line"},
		{"a client alone, no command line", "4.12.4", none, nil, client, xen.TmemUnknown, "off or unused"},
		{"pools, no command line", "4.12.4", none, nil, pools, xen.TmemOn, "pools of guests"},
		{"4.12 lists zeros, on", "4.12.4", some("tmem"), nil, zeros, xen.TmemOn, `"tmem"`},
		{"4.12 not asked", "4.12.4", some("tmem"), nil, tmem.ListAnswer{}, xen.TmemUnknown, "may have been built without tmem"},
		{"4.12 failed", "4.12.4", some("tmem"), nil, answer(tmem.ListFailed), xen.TmemUnknown, "may have been built without tmem"},
		{"4.11 not asked", "4.11.4", some("tmem"), nil, tmem.ListAnswer{}, xen.TmemOn, `"tmem"`},
		{"4.12 not asked, off", "4.12.4", some(""), nil, tmem.ListAnswer{}, xen.TmemOff, "trusted"},

		{"boot says on", "4.12.4", none, boot("(XEN) Xen version 4.12.4", "(XEN) tmem: initialized comp=0"), tmem.ListAnswer{}, xen.TmemOn, "tmem: initialized comp=0"},
		{"boot outweighs the command line", "4.12.4", some(""), boot("(XEN) tmem: initialized comp=0"), zeros, xen.TmemOn, "initialized"},
		{"boot says failed", "4.4.0", some("tmem"), boot("(XEN) tmem: initialization FAILED"), answer(tmem.ListNoDevice), xen.TmemOff, "FAILED"},
		{"too much memory", "4.4.0", some("tmem"), boot("(XEN) TMEM physical RAM limit exceeded, disabling TMEM"), tmem.ListAnswer{}, xen.TmemOff, "5 TB"},
		{"a guest's word", "4.12.4", some(""), boot("(d3) tmem: initialized comp=0"), zeros, xen.TmemOff, "command line"},

		{"nothing known", "", none, nil, tmem.ListAnswer{}, xen.TmemUnknown, "neither"},
		{"only the command line", "", some("tmem"), nil, tmem.ListAnswer{}, xen.TmemOn, "this Xen has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tmem.State(xen.Host{Version: version(t, tt.version), CommandLine: tt.cmdline, BootMessages: tt.boot}, tt.list)
			if got.Answer != tt.want || !strings.Contains(got.Evidence+"; "+got.Advice, tt.says) || got.Evidence == "" {
				t.Errorf("%+v, want %s with %q", got, tt.want, tt.says)
			}
			if (got.Advice == "") != (got.Answer == xen.TmemOn) {
				t.Errorf("advice %q for %s", got.Advice, got.Answer)
			}
		})
	}
}
