package hwprofile

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/role"
)

// judge makes the findings. Each looks at one thing and is silent where that
// does not concern this machine.
func (p *Profile) judge(files hostfs.Files) {
	p.Findings = append(p.Findings, p.judgeIOMMU())
	for _, f := range []func() (finding.Finding, bool){
		func() (finding.Finding, bool) { return p.judgeSMT(files) },
		p.judgeMicrocode, p.judgeTSX, p.judgeDom0Mem, p.judgeDom0Option,
	} {
		if one, ok := f(); ok {
			p.Findings = append(p.Findings, one)
		}
	}
}

func (p *Profile) judgeIOMMU() finding.Finding {
	f := finding.Finding{Check: "iommu", Subject: "host", Seen: p.IOMMU.Reason, Advice: p.IOMMU.Remedy, Evidence: p.IOMMU.Evidence}
	remapped, told := p.IOMMU.InterruptRemapping.Get()
	switch {
	case p.IOMMU.State == IOMMUUnknown:
		f.Verdict = finding.CouldNotTell
	case p.IOMMU.On() && told && !remapped:
		f.Verdict = finding.Warning
	case p.IOMMU.On():
		f.Verdict = finding.Good
	default:
		f.Verdict = finding.Note
	}
	return f
}

// judgeSMT: with two threads on a core, what one domain does in it can be read
// by another that runs beside it.
func (p *Profile) judgeSMT(files hostfs.Files) (finding.Finding, bool) {
	f := finding.Finding{Check: "smt", Subject: "processor"}
	var leaks []string
	for _, bug := range []string{"l1tf", "mds"} {
		if slices.Contains(p.CPU.Bugs, bug) || p.haswell() {
			leaks = append(leaks, strings.ToUpper(bug))
		}
	}
	if len(leaks) == 0 || p.CPU.Virtual {
		return f, false
	}
	f.Evidence = []finding.Evidence{{Name: "leaks", Value: strings.Join(leaks, ", "), Source: "bugs of /proc/cpuinfo, or the model"}}
	smt, known := p.CPU.SMT().Get()
	if !known {
		f.Verdict, f.Seen = finding.CouldNotTell, "whether a core runs two threads: "+p.unknownCores()
		return f, true
	}
	f.Evidence = append(f.Evidence, finding.Evidence{
		Name: "threads, cores", Value: fmt.Sprintf("%d, %d", p.CPU.Threads.Or(0), p.CPU.Cores.Or(0)), Source: p.CPU.CountedBy,
	})
	if !smt {
		f.Verdict, f.Seen = finding.Good, "each core runs one thread, so that "+strings.Join(leaks, " and ")+" do not reach the neighbour"
		return f, true
	}
	if p.Role != role.Host {
		// Linux says for itself what it does about it.
		if said, reaches := mitigated(files); said != "" && !reaches {
			f.Verdict, f.Seen = finding.Note, "two threads share a core; Linux says: "+said
			return f, true
		}
	}
	f.Verdict = finding.Warning
	f.Seen = fmt.Sprintf("two threads share a core, and the processor has %s: a guest may read what runs beside it", strings.Join(leaks, " and "))
	f.Advice = "where guests do not trust each other, put smt=0 on Xen's command line (4.12, and older with the corrections of XSA-273); it halves the threads"
	return f, true
}

// mitigated reads what Linux says of both leaks, and whether one of them reaches
// the thread beside:
//
//	Mitigation: Clear CPU buffers; SMT vulnerable
//
// (/sys/devices/system/cpu/vulnerabilities/mds, Linux 5.1 and later.)
func mitigated(files hostfs.Files) (said string, reaches bool) {
	var parts []string
	for _, bug := range []string{"l1tf", "mds"} {
		if b, err := files.ReadFile("/sys/devices/system/cpu/vulnerabilities/" + bug); err == nil {
			text := strings.TrimSpace(string(b))
			parts = append(parts, bug+": "+text)
			reaches = reaches || strings.Contains(text, "SMT vulnerable") || strings.HasPrefix(text, "Vulnerable")
		}
	}
	return strings.Join(parts, "; "), reaches
}

func (p *Profile) unknownCores() string {
	if p.Role == role.Host {
		return "/proc/cpuinfo of Dom0 shows virtual processors, and xl info could not be read"
	}
	return "/proc/cpuinfo does not tell"
}

// haswell is family 6 model 60 stepping 3 (306c3): the fourth generation of
// Core and Xeon E3 v3.
func (p *Profile) haswell() bool {
	return p.CPU.Vendor == "GenuineIntel" && p.CPU.Family.Or(0) == 6 && p.CPU.Number.Or(0) == 60
}

// Revisions of the microcode of 306c3: releasenote.md of Intel's microcode
// files, 20140430 to 20250211.
const (
	haswellDeadline  = 0x22 // 2017-01: the TSC deadline timer is right
	haswellWithdrawn = 0x23 // 2018-01: taken back
	haswellMDS       = 0x27 // 2019-05
	haswellLast      = 0x28 // 2020-06: SRBDS, and the last
)

func (p *Profile) judgeMicrocode() (finding.Finding, bool) {
	f := finding.Finding{Check: "microcode", Subject: "processor"}
	rev, known := p.CPU.Microcode.Get()
	if !known || !p.haswell() || p.CPU.Stepping.Or(0) != 3 || p.CPU.Virtual {
		return f, false
	}
	f.Evidence = []finding.Evidence{
		{Name: "loaded", Value: fmt.Sprintf("%#x", rev), Source: "/proc/cpuinfo"},
		{Name: "last", Value: fmt.Sprintf("%#x", haswellLast), Source: "Intel's release notes up to 2025-02"},
	}
	if rev >= haswellLast {
		f.Verdict, f.Seen = finding.Good, fmt.Sprintf("revision %#x is the last of this processor", rev)
		return f, true
	}
	lacks := []string{"SRBDS (0x28)"}
	if rev < haswellMDS {
		lacks = append(lacks, "MDS (0x27)")
	}
	if rev < haswellDeadline {
		lacks = append(lacks, "a TSC deadline timer that is right (0x22)")
	}
	f.Verdict = finding.Warning
	f.Seen = fmt.Sprintf("revision %#x is older than the last, %#x; it lacks %s", rev, haswellLast, strings.Join(lacks, ", "))
	if rev == haswellWithdrawn {
		f.Seen += "; Intel took this very revision back"
	}
	f.Advice = "install intel-microcode (Debian) or microcode_ctl (Fedora), put ucode=scan on Xen's command line, and start anew: under Xen only Xen can load it"
	return f, true
}

// judgeTSX: microcode since 2014 switches TSX off on this processor, which
// computes wrongly with it (erratum HSD136).
func (p *Profile) judgeTSX() (finding.Finding, bool) {
	tsx := p.CPU.Feature("rtm")
	if !p.haswell() || p.CPU.Virtual || !tsx.Present.Or(false) {
		return finding.Finding{}, false
	}
	return finding.Finding{
		Check: "tsx", Subject: "processor", Verdict: finding.Warning,
		Seen:     "TSX is on, which this processor gets wrong (erratum HSD136): later microcode switches it off",
		Advice:   "load newer microcode; programs that use TSX may lose data until then",
		Evidence: []finding.Evidence{{Name: "rtm", Value: "present", Source: tsx.Source}},
	}, true
}

// judgeDom0Mem: without dom0_mem Dom0 gets all memory and is ballooned down for
// each guest.
func (p *Profile) judgeDom0Mem() (finding.Finding, bool) {
	f := finding.Finding{Check: "dom0-mem", Subject: "Domain-0"}
	if p.Role != role.Host {
		return f, false
	}
	if p.Xen != nil {
		if line, known := p.Xen.CommandLine.Get(); known {
			for w := range strings.FieldsSeq(line) {
				if strings.HasPrefix(w, "dom0_mem=") {
					f.Verdict, f.Seen = finding.Good, w+" is on Xen's command line"
					return f, true
				}
			}
			f.Verdict, f.Seen = finding.Warning, "dom0_mem= is not on Xen's command line: Dom0 starts with all memory, and its kernel keeps tables for all of it"
			f.Advice = "put dom0_mem=2G,max:2G (or what Dom0 needs) on Xen's command line: GRUB_CMDLINE_XEN_DEFAULT in /etc/default/grub, then update-grub"
			f.Evidence = []finding.Evidence{{Name: "Xen's command line", Value: line, Source: "xl info"}}
			return f, true
		}
	}
	f.Verdict, f.Seen = finding.CouldNotTell, "Xen's command line could not be read"
	return f, true
}

// judgeDom0Option: common advice that does nothing.
func (p *Profile) judgeDom0Option() (finding.Finding, bool) {
	if p.Role != role.Host || !slices.ContainsFunc(p.commands, func(w string) bool { return strings.HasPrefix(w, "intel_iommu=on") }) {
		return finding.Finding{}, false
	}
	return finding.Finding{
		Check: "dom0-iommu-option", Subject: "Domain-0", Verdict: finding.Note,
		Seen:     "intel_iommu=on is on Dom0's command line, where it does nothing: Xen drives the IOMMU, and hides it from Dom0",
		Advice:   "it can go; Xen's own option is iommu=",
		Evidence: []finding.Evidence{{Name: "intel_iommu", Value: "on", Source: "/proc/cmdline"}},
	}, true
}
