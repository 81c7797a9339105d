package guest

import (
	"fmt"
	"strings"

	"xtm/internal/finding"
)

// The checks of Chain, in its order.
const (
	CheckXen            = "guest-xen"
	CheckKernel         = "guest-kernel"
	CheckDriver         = "guest-driver"
	CheckZswap          = "guest-zswap"
	CheckSwap           = "guest-swap"
	CheckFileSystems    = "guest-file-systems"
	CheckCleancache     = "guest-cleancache"
	CheckFrontswap      = "guest-frontswap"
	CheckCounters       = "guest-counters"
	CheckSelfballooning = "guest-selfballooning"
)

const (
	enable     = "xtm enable-tmem"
	guard      = "xtm guard"
	enableNow  = "xtm enable-tmem --now"
	enableSwap = "xtm enable-tmem --create-swap"
)

// KernelBuild are the commands that show what the kernel lacks and build it with
// that.
func (s State) KernelBuild() []string {
	check := "xtm kernel check"
	if r, ok := s.Release.Get(); ok {
		check += " --release " + r.Text
	}
	return []string{check, "xtm kernel build --profile tmem"}
}

// elsewhere is what helps where tmem cannot.
const elsewhere = "What works here without it: zswap in this guest, and in Dom0 a fixed dom0_mem and xl mem-set between memory and maxmem."

// Chain follows tmem through a guest, link by link: Xen, kernel, driver, swap,
// file systems, counters, selfballooning. Links that this kernel does not need or
// cannot have are left out, and all but selfballooning where its Xen or its kernel
// has no tmem at all. It reads nothing.
func Chain(s State) []finding.Finding {
	c := chain{State: s, support: s.Support()}
	c.xen()
	c.kernel()
	if possible, _ := s.Possible(); possible != No && c.support.Era.Kernels != "" {
		c.driver()
		c.zswap()
		c.swap()
		c.fileSystems()
		c.registered(Cleancache, CheckCleancache)
		c.registered(Frontswap, CheckFrontswap)
		c.counters()
	}
	c.selfballooning()
	return c.findings
}

// Possible tells whether this guest could ever have tmem, with the reason where
// it could not: its Xen or its kernel has none.
func (s State) Possible() (Answer, string) {
	h, hasXen := s.Hypervisor.Get()
	r, hasKernel := s.Release.Get()
	switch {
	case hasXen && !h.MayHaveTmem():
		return No, xenWithout(h)
	case hasKernel && EraOf(r.Version).Driver == NoDriver:
		return No, kernelWithout(r)
	case !hasXen:
		return CouldNotTell, "Xen's version is not known: " + s.why("hypervisor")
	case !hasKernel:
		return CouldNotTell, "the kernel's release is not known: " + s.why("release")
	default:
		return Yes, fmt.Sprintf("Xen %s and Linux %s have tmem in their source", h, r.Version)
	}
}

func xenWithout(h Hypervisor) string {
	if h.Major < 4 {
		return fmt.Sprintf("Xen %s has no tmem yet: it came with 4.0", h)
	}
	return fmt.Sprintf("Xen %s has no tmem any more: it was removed in 4.13", h)
}

func kernelWithout(r Release) string {
	if r.Before(3, 0) {
		return fmt.Sprintf("Linux %s has no tmem driver yet: it came with 3.0", r.Text)
	}
	return fmt.Sprintf("Linux %s has no tmem driver any more: it was removed in 5.3", r.Text)
}

// chain collects the findings.
type chain struct {
	State
	support  Support
	findings []finding.Finding
}

func (c *chain) add(f finding.Finding) { c.findings = append(c.findings, f) }

func (c *chain) xen() {
	f := finding.Finding{Check: CheckXen, Subject: "Xen"}
	h, ok := c.Hypervisor.Get()
	switch {
	case !ok:
		f.Verdict = finding.CouldNotTell
		f.Seen = "Xen's version could not be read: " + c.why("hypervisor")
		f.Advice = "Ask Dom0:"
		f.Commands = []string{"xl info xen_version"}
	case !h.MayHaveTmem():
		f.Verdict = finding.Bad
		f.Seen = xenWithout(h)
		f.Advice = "Nothing in this guest brings it back. " + elsewhere
	default:
		f.Verdict = finding.Good
		f.Seen = fmt.Sprintf("Xen %s has tmem in its source; whether it is switched on, a guest cannot see", h)
		f.Evidence = []finding.Evidence{{Name: "version", Value: h.String(), Source: "/sys/hypervisor/version"}}
	}
	c.add(f)
}

func (c *chain) kernel() {
	r, known := c.Release.Get()
	f := finding.Finding{Check: CheckKernel, Subject: "Linux " + r.Text}
	sup := c.support
	switch {
	case !known:
		f.Subject, f.Verdict = "Linux", finding.CouldNotTell
		f.Seen = "the kernel's release could not be read: " + c.why("release")
	case sup.Era.Driver == NoDriver:
		f.Verdict = finding.Bad
		f.Seen = kernelWithout(r)
		f.Advice = "No configuration of this source brings it back; kernels from 3.0 to 5.2 have it. " + elsewhere
	default:
		c.configured(&f)
	}
	c.add(f)
}

// configured judges the symbols of a kernel whose source has the driver.
func (c *chain) configured(f *finding.Finding) {
	sup := c.support
	var can, cannot []string
	for _, p := range sup.Era.Parts {
		if sup.Answers[p] == No {
			cannot = append(cannot, string(p))
		} else {
			can = append(can, string(p))
		}
	}
	switch sup.Whole() {
	case Yes:
		f.Verdict = finding.Good
		f.Seen = fmt.Sprintf("%s has all that tmem needs: %s", sup.Source, strings.Join(can, ", "))
	case CouldNotTell:
		f.Verdict = finding.CouldNotTell
		f.Seen = fmt.Sprintf("nothing tells of %s: %s", configNames(sup.NotKnown), c.why("config"))
		f.Advice = "Install this kernel's configuration in /boot, or load module configs for /proc/config.gz."
	default:
		f.Verdict = finding.Warning
		if len(can) == 0 {
			f.Verdict = finding.Bad
		}
		f.Seen = fmt.Sprintf("%s lacks %s, and without that there is no %s", sup.Source, configNames(sup.Missing), strings.Join(cannot, ", no "))
		if len(can) > 0 {
			f.Advice = strings.Join(can, " and ") + " can be had as it is. "
		}
		f.Advice += "The first shows what it lacks, the second builds it with that:"
		f.Commands = c.KernelBuild()
	}
	for _, s := range sup.Era.Symbols {
		f.Evidence = append(f.Evidence, finding.Evidence{Name: "CONFIG_" + s.Name, Value: string(c.symbol(s.Name)), Source: sup.Source})
	}
}

// driver tells whether the driver runs: loaded, or built in and switched on.
func (c *chain) driver() {
	f := finding.Finding{Check: CheckDriver, Subject: "driver"}
	m, _ := c.Module.Get()
	line, hasLine := c.BootLine.Get()
	builtIn := c.support.Era.Driver == BuiltIn || m.Presence == InKernel
	switch {
	case c.symbol("XEN_TMEM") == No && c.support.Era.From.AtLeast(3, 1):
		return // the kernel's finding has told it
	case builtIn && !hasLine:
		f.Verdict, f.Seen = finding.CouldNotTell, "tmem is built in, and the kernel's command line could not be read: "+c.why("boot_line")
	case builtIn && line.Has("tmem", c.support.Era):
		f.Verdict, f.Seen = finding.Good, `tmem is built in, and "tmem" is on the kernel's command line`
	case builtIn:
		f.Verdict, f.Seen = finding.Bad, `tmem is built in, which starts only with "tmem" on the kernel's command line, and it is not there`
		f.Advice = "It takes effect at the next boot:"
		f.Commands = []string{enable}
	case m.Presence == Loaded:
		f.Verdict, f.Seen = finding.Good, "module tmem is loaded"
	case m.Presence == OnDisk:
		f.Verdict, f.Seen = finding.Bad, fmt.Sprintf("module tmem is there (%s) and not loaded", m.File)
		f.Advice = "Loaded plainly it starts selfballooning at once, with or without a pool. This proves first that there is one:"
		f.Commands = []string{enableNow}
	case m.Presence == Absent:
		f.Verdict, f.Seen = finding.Bad, "this kernel was configured for module tmem, and it is not installed"
		f.Advice = "Install the kernel's whole package (Ubuntu: linux-modules-extra), or build it anew:"
		f.Commands = c.KernelBuild()
	default:
		f.Verdict, f.Seen = finding.CouldNotTell, "it is not known whether module tmem is loaded: "+c.why("module")
	}
	c.add(f)
}

func (c *chain) registered(p Part, check string) {
	if c.support.Answers[p] == No {
		return // the kernel's finding has told it
	}
	f := finding.Finding{Check: check, Subject: string(p)}
	a, why := c.Registered(p)
	switch a {
	case Yes:
		f.Verdict, f.Seen = finding.Good, fmt.Sprintf("%s is registered: %s. That says nothing of the host", p, why)
	case No:
		f.Verdict, f.Seen = finding.Bad, fmt.Sprintf("%s is not registered: %s", p, why)
		f.Commands = []string{enable}
	default:
		f.Verdict, f.Seen = finding.CouldNotTell, why
	}
	c.add(f)
}

// zswap is the other user of frontswap.
func (c *chain) zswap() {
	on, known := c.Zswap.Get()
	if !c.support.Era.Zswap || known && !on || c.support.Answers[Frontswap] == No {
		return
	}
	f := finding.Finding{Check: CheckZswap, Subject: "zswap", Verdict: finding.CouldNotTell}
	if !known {
		f.Seen = "it is not known whether zswap is enabled: " + c.why("zswap", "boot_line")
		c.add(f)
		return
	}
	f.Verdict = finding.Warning
	r, _ := c.Release.Get()
	if r.AtLeast(4, 2) {
		f.Seen = "zswap is enabled: whichever of zswap and tmem registered last is offered a swapped page first"
		f.Commands = []string{"echo N > /sys/module/zswap/parameters/enabled"}
	} else {
		f.Seen = "zswap is enabled: this kernel has one user of frontswap, and whichever of zswap and tmem registered last replaced the other"
	}
	f.Advice = "Take zswap.enabled=1 off the kernel's command line, so that swapped pages go to tmem."
	c.add(f)
}
