package setup

import (
	"fmt"
	"strings"

	"xtm/internal/finding"
	"xtm/xen/tmem"
)

// advice is what an administrator should know before saying yes.
func (h Host) advice(o HostOptions, next Hypervisor) []finding.Finding {
	var out []finding.Finding
	say := func(check, subject string, v finding.Verdict, seen, advice string) {
		out = append(out, finding.Finding{Check: check, Subject: subject, Verdict: v, Seen: seen, Advice: advice})
	}
	f := tmem.For(next.Version)
	switch {
	case !f.XSA15Fixed && h.XSA15 != "":
		say("xsa-15", next.String(), finding.Note, "the release has the holes of XSA-15, and "+h.XSA15+" names their repair", "")
	case !f.XSA15Fixed:
		say("xsa-15", next.String(), finding.Dangerous, "the holes of XSA-15 (CVE-2012-3497) are open: any guest can take over the host",
			"Xen 4.1.4, 4.2.1 or 4.3.0 has the repair")
	}
	if f.SharedPoolsCrash {
		say("shared-pools", next.String(), finding.Warning, "shared pools (ocfs2 in guests) can crash the host in 4.5", "do not use them; 4.6 is repaired")
	}
	if f.SelfAuthorise {
		say("self-authorise", next.String(), finding.Note, "up to 4.8 a guest can authorise itself for another's shared pool", "")
	}
	if f.Experimental {
		say("experimental", next.String(), finding.Note, "SUPPORT.md calls tmem experimental, which is without security support", "")
	}
	if text, where, found := h.dom0Mem(); found {
		say("dom0-memory", where, finding.Good, "Dom0's memory is set: "+text, "")
	} else if !o.Dom0Mem.Has() {
		least, known := h.dom0Needs()
		how := "fix it, with a figure for its load: --dom0-mem SIZE"
		if known {
			how = fmt.Sprintf("fix it, at %d MiB or more: --dom0-mem %dM", least, least)
		}
		say("dom0-memory", "Domain-0", finding.Warning, "Dom0's memory is not fixed: tmem and it compete for what is free, and new guests find none", how)
		if h.Autoballoon != "off" && h.Autoballoon != "0" {
			say("autoballoon", "/etc/xen/xl.conf", finding.Note, "xl shrinks Dom0 for a new guest instead of taking tmem's pages", `set autoballoon="off" there`)
		}
	}
	if h.ARCUnbounded {
		say("zfs-arc", "/sys/module/zfs/parameters/zfs_arc_max", finding.Note, "ZFS in Dom0 has no bound on its cache, which takes half of Dom0's memory",
			"set zfs_arc_max in /etc/modprobe.d/zfs.conf")
	}
	return out
}

// maxWays bounds the lines about single guests.
const maxWays = 8

// Ways are what works on a host without tmem, with this machine's figures.
func (h Host) Ways() []string {
	least, known := h.dom0Needs()
	size := "SIZE"
	if known {
		size = fmt.Sprintf("%dM", least)
	}
	ways := []string{fmt.Sprintf("fix Dom0's memory: add dom0_mem=%s,max:%s to %s, and autoballoon=\"off\" to /etc/xen/xl.conf", size, size, xenNormal)}
	if h.Snapshot != nil {
		n := 0
		for _, d := range h.Snapshot.Domains {
			current, ok := d.Current.Get()
			if d.IsDom0() || !ok || d.Type == "hvm" {
				continue
			}
			if n++; n > maxWays {
				ways = append(ways, "and so on for the other guests: xl list")
				break
			}
			most := "its maxmem"
			if kib, ok := d.StaticMax.Get(); ok {
				most = fmt.Sprintf("%d", kib/1024)
			}
			ways = append(ways, fmt.Sprintf("balloon %s by hand, now at %d MiB: xl mem-set %s MIB, with MIB up to %s",
				strings.ToValidUTF8(d.Name, "?"), current/1024, d.Name, most))
		}
	}
	return append(ways,
		"give PV and PVH guests memory = what they need and maxmem = what they may have, and move between the two: xl mem-set DOMAIN MIB",
		"compress memory inside each guest: zswap.enabled=1 on its kernel's command line, or at once: echo Y > /sys/module/zswap/parameters/enabled",
	)
}
