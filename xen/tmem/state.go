package tmem

import (
	"fmt"
	"strings"

	"xtm/xen"
)

// ListOutcome is how a call of TMEM_LIST for all clients ended.
type ListOutcome string

// The outcomes.
const (
	ListNotAsked ListOutcome = ""
	// ListOK: it answered; ListAnswer.Listing is what it said.
	ListOK ListOutcome = "listed"
	// ListNoDevice is ENODEV, "No such device": up to 4.5 tmem is not
	// switched on.
	ListNoDevice ListOutcome = "no_device"
	// ListNoCall is ENOSYS, "Function not implemented": the hypervisor has no
	// tmem at all.
	ListNoCall ListOutcome = "no_call"
	// ListNoCommand is xl's "command not implemented": this xl has no
	// tmem-list, as in 4.0.0 and from 4.13 on.
	ListNoCommand ListOutcome = "no_command"
	// ListFailed is any other failure, which says nothing of tmem.
	ListFailed ListOutcome = "failed"
)

// concluder makes the answer of an advice and of evidence, a format and its
// values, that goes on behind the hypervisor's name.
type concluder func(answer xen.TmemAnswer, advice, evidence string, args ...any) xen.TmemState

// ListAnswer is what came of asking Xen for its tmem listing.
type ListAnswer struct {
	Outcome ListOutcome
	Listing xen.Listing // of ListOK
}

// What to do about each answer.
const (
	stillWorks = "ballooning (xl mem-set, a guest that balloons itself) and zswap or zram inside the guests still work, and xtm report goes on showing memory and overcommit"

	adviceRemoved     = "Transcendent Memory was removed in Xen 4.13 and cannot be had there; " + stillWorks
	adviceOff         = "if every guest on this host is trusted, run xtm enable-tmem and reboot"
	adviceExploitable = "leave it off: in this release any guest can attack the host through tmem (XSA-15); the repair is in Xen 4.1.4, 4.2.1 and 4.3.0"
	adviceCompiledOut = "it needs a hypervisor that was built with CONFIG_TMEM=y; without it " + stillWorks
	adviceRAM         = "Xen switches tmem off on hosts with more than about 5 TB of memory; " + stillWorks
	adviceFailed      = "look at xl dmesg from the boot on; a reboot tries again"
	adviceLook        = "look for tmem in xl info's xen_commandline and in xl dmesg"
)

// State answers whether tmem stands behind the guests of a host, by the
// strongest evidence there is: that it worked, the release, Xen's own words at
// boot, its refusals, its command line.
//
// That it can be listed proves nothing from 4.6 on: a host without tmem then
// answers with zeros. Nor does a client without a pool: tmem-shared-auth makes
// one on any host.
func State(host xen.Host, list ListAnswer) xen.TmemState {
	v, f := host.Version, For(host.Version)
	name := "this Xen"
	if v.Known() {
		name = "Xen " + v.String()
	}
	conclude := func(answer xen.TmemAnswer, advice, format string, args ...any) xen.TmemState {
		return xen.TmemState{Answer: answer, Evidence: name + " " + fmt.Sprintf(format, args...), Advice: advice}
	}
	if seen := works(f, list); seen != "" {
		return conclude(xen.TmemOn, "", "%s", seen)
	}
	if f.Removed {
		return conclude(xen.TmemRemoved, adviceRemoved, "has no tmem: 4.12 was the last release with it")
	}
	if v.Known() && !f.Exists {
		return conclude(xen.TmemCompiledOut, "tmem came with Xen 4.0 and went with 4.13", "is older than tmem")
	}
	if s, ok := bootState(host, conclude); ok {
		return s
	}
	switch {
	case list.Outcome == ListNoCall && v.Known():
		return conclude(xen.TmemCompiledOut, adviceCompiledOut, "answers the tmem call with ENOSYS: it was built without CONFIG_TMEM")
	case list.Outcome == ListNoCall:
		return conclude(xen.TmemUnknown, "find its version: from 4.13 on tmem is removed, before it was not compiled in", "has no tmem call (ENOSYS)")
	case list.Outcome == ListNoCommand && !v.Known():
		return conclude(xen.TmemRemoved, adviceRemoved, "comes with an xl without tmem commands, as from 4.13 on")
	case list.Outcome == ListNoDevice:
		return conclude(xen.TmemOff, adviceEnable(f), "answers the tmem call with ENODEV: tmem was not switched on at boot")
	}
	return commandLineState(host, f, list, conclude)
}

// works is what proves that tmem works; "" is no proof.
func works(f Features, list ListAnswer) string {
	if list.Outcome != ListOK {
		return ""
	}
	if f.RefusesWhenOff {
		return "answers the tmem call, which up to 4.5 it does only when tmem is on"
	}
	// do_tmem_op counts behind its test that tmem was initialised; from 4.6 on
	// only guests come there.
	if h, _ := list.Listing.Host.Get(); h.Calls.Or(0) > 0 {
		return fmt.Sprintf("counts %d tmem calls of guests", h.Calls.Or(0))
	}
	for _, c := range list.Listing.Clients {
		if n := c.EphemeralGets.Or(0) + c.PersistentPuts.Or(0) + c.PersistentGets.Or(0); n > 0 {
			return fmt.Sprintf("counts %d gets and puts of domain %d", n, c.ID)
		}
	}
	return ""
}

// bootState is what Xen said at boot, where the console ring still has it.
func bootState(host xen.Host, conclude concluder) (xen.TmemState, bool) {
	for _, line := range host.BootMessages {
		said := strings.TrimSpace(strings.TrimPrefix(line, "(XEN) "))
		switch BootLine(line) {
		case BootInitialised:
			return conclude(xen.TmemOn, "", "said at boot %q", said), true
		case BootFailed:
			return conclude(xen.TmemOff, adviceFailed, "said at boot %q", said), true
		case BootRAMLimit:
			return conclude(xen.TmemOff, adviceRAM, "said at boot %q", said), true
		case BootUnknownWord:
			return conclude(xen.TmemCompiledOut, adviceCompiledOut, "said at boot %q", said), true
		}
	}
	return xen.TmemState{}, false
}

// commandLineState is the answer where only Xen's command line is left to tell.
func commandLineState(host xen.Host, f Features, list ListAnswer, conclude concluder) xen.TmemState {
	cmdline, known := host.CommandLine.Get()
	on, word := Enabled(cmdline, host.Version)
	switch {
	case known && !on && word == "":
		return conclude(xen.TmemOff, adviceEnable(f), "has no tmem on its command line")
	case known && !on:
		return conclude(xen.TmemOff, adviceEnable(f), "has %q on its command line", word)
	case known && list.Outcome != ListOK && host.Version.Known() && !f.BuiltByDefault:
		return conclude(xen.TmemUnknown, adviceLook, "has %q on its command line, but may have been built without tmem, and it did not list its clients", word)
	case known:
		return conclude(xen.TmemOn, "", "has %q on its command line", word)
	case list.Outcome != ListOK:
		return conclude(xen.TmemUnknown, adviceLook, "shows neither its command line nor a tmem listing")
	case hasPools(list.Listing):
		return conclude(xen.TmemOn, "", "has tmem pools of guests")
	}
	return conclude(xen.TmemUnknown, adviceLook, "lists no tmem pool, which is the same whether tmem is off or unused, and its command line is not known")
}

func hasPools(l xen.Listing) bool {
	for _, c := range l.Clients {
		if len(c.Pools) > 0 {
			return true
		}
	}
	return len(l.Shared) > 0
}

// adviceEnable is what to do on a release that has tmem and has it off.
func adviceEnable(f Features) string {
	if f.Exists && !f.XSA15Fixed {
		return adviceExploitable
	}
	return adviceOff
}
