package guest

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/units"
)

// swap judges the swap areas: frontswap has a bit for each slot of them, and a
// guest that shrank itself without any fails to start programs (seen on Xen 4.12:
// a 100 MiB mmap fails in a 192 MiB guest that shrank to 76).
func (c *chain) swap() {
	f := finding.Finding{Check: CheckSwap, Subject: "swap"}
	areas, ok := c.Swaps.Get()
	var size, used units.KiB
	for _, a := range areas {
		size += a.Size
		used += a.Used
		f.Evidence = append(f.Evidence, finding.Evidence{Name: a.Name, Value: kib(a.Size) + " " + a.Type, Source: "/proc/swaps"})
	}
	shrink, known := c.shrinkable()
	switch {
	case !ok:
		f.Verdict, f.Seen = finding.CouldNotTell, "the swap areas could not be read: "+c.why("swaps")
	case len(areas) == 0:
		f.Verdict = finding.Bad
		f.Seen = "no swap area is active: nothing can go to a persistent pool, and a guest that shrinks itself fails to start programs"
		f.Advice = "It wants a swap area of " + c.maximum() + ", which is written to only when a put is refused. This makes one and enables tmem:"
		f.Commands = []string{enableSwap}
	case known && size < shrink:
		f.Verdict = finding.Warning
		f.Seen = fmt.Sprintf("%s of swap, and selfballooning can take %s away", kib(size), kib(shrink))
		f.Advice = "What no longer fits goes nowhere: the guest runs out of memory. Add swap up to " + c.maximum() + "."
	default:
		f.Verdict = finding.Good
		f.Seen = fmt.Sprintf("%s of swap, %s in use", kib(size), kib(used))
		if known {
			f.Seen += fmt.Sprintf("; selfballooning can take %s away", kib(shrink))
		}
	}
	c.add(f)
}

// maximum is the memory that the guest can have at most, in words.
func (c *chain) maximum() string {
	if z, ok := c.Memory.Or(Memory{}).Zones.Get(); ok {
		return kib(z.Present.KiB()) + ", the guest's maximum memory"
	}
	return "the guest's maximum memory"
}

// shrinkable is the maximum less the driver's floor: what selfballooning can
// take away at most.
func (c *chain) shrinkable() (units.KiB, bool) {
	in, err := c.TargetInput()
	if err != nil {
		return 0, false
	}
	t, err := ComputeTarget(in)
	if err != nil {
		return 0, false
	}
	zones := c.Memory.Or(Memory{}).Zones.Or(Zones{})
	return max(0, zones.Present-t.Floor).KiB(), true
}

func (c *chain) fileSystems() {
	if c.support.Answers[Cleancache] == No {
		return // the kernel's finding has told it
	}
	f := finding.Finding{Check: CheckFileSystems, Subject: "file systems"}
	systems, ok := c.Filesys.Get()
	if !ok {
		f.Verdict, f.Seen = finding.CouldNotTell, "the mounted file systems could not be read: "+c.why("mounts")
		c.add(f)
		return
	}
	names := map[Answer][]string{}
	for _, s := range systems {
		names[s.Served] = append(names[s.Served], s.Point+" ("+s.Type+")")
		f.Evidence = append(f.Evidence, finding.Evidence{Name: s.Point, Value: string(s.Served), Source: s.Why})
	}
	say := func(a Answer) string { return strings.Join(names[a], ", ") }
	switch served := names[Yes]; {
	case len(served) > maxPools-1:
		f.Verdict = finding.Note
		f.Seen = fmt.Sprintf("%d file systems want a pool, and a guest has %d, one of them for swap: those mounted last get none", len(served), maxPools)
	case len(served) > 0:
		f.Verdict, f.Seen = finding.Good, "cleancache serves "+say(Yes)
		if len(names[No]) > 0 {
			f.Seen += "; it does not serve " + say(No)
		}
	case len(names[CouldNotTell]) > 0:
		f.Verdict, f.Seen = finding.CouldNotTell, "it is not known whether cleancache serves "+say(CouldNotTell)
		if i := slices.IndexFunc(systems, func(s FileSystem) bool { return s.Served == CouldNotTell }); i >= 0 {
			f.Seen += ": " + systems[i].Why
		}
	default:
		f.Verdict, f.Seen = finding.Warning, "cleancache serves none of the mounted file systems"
		if len(names[No]) > 0 {
			f.Seen += ": " + say(No)
		}
		f.Advice = "It serves ext3, ext4 and btrfs with blocks of 4 KiB, and ocfs2. Without one, selfballooning throws the file cache away for nothing."
	}
	c.add(f)
}

// maxPools is the number of pools that Xen gives a client (MAX_POOLS_PER_DOMAIN
// in xen/include/xen/tmem_xen.h, 4.0–4.12).
const maxPools = 16

func (c *chain) counters() {
	f := finding.Finding{Check: CheckCounters, Subject: "counters"}
	r := c.rises()
	failed := r.Frontswap.Or(FrontswapCounters{}).FailedStores
	switch {
	case !r.Cleancache.Has() && !r.Frontswap.Has():
		what := "counters.cleancache"
		if !c.support.Era.Has(Cleancache) || c.support.Answers[Cleancache] == No {
			what = "counters.frontswap"
		}
		f.Verdict, f.Seen = finding.CouldNotTell, c.why(what)
		f.Advice, f.Commands = c.howToCount(what)
	case r.came() > 0:
		f.Verdict, f.Seen = finding.Good, r.text()
	case failed > 0:
		f.Verdict, f.Seen = finding.Bad, r.text()
		f.Advice = "Each went to the swap disk. Either no pool stands behind this guest, or it stands at its maximum; Dom0 tells which:"
		f.Commands = []string{"xtm report"}
	default:
		f.Verdict, f.Seen = finding.Note, r.text()
		f.Advice = "Nothing has gone through a pool yet. A guest under memory pressure with a pool moves these."
	}
	c.add(f)
}

func (c *chain) howToCount(what string) (advice string, commands []string) {
	point, mounted := debugfsPoint(c.Mounts.Or(nil))
	for _, g := range c.Gaps {
		switch {
		case g.What == what && g.Cause == cause.NeedsRoot:
			return "The counters are root's. Ask as root.", nil
		case g.What == what && !mounted && c.Mounts.Has():
			return "The counters are in debugfs:", []string{"mount -t debugfs none " + point}
		}
	}
	return "", nil
}

// selfballooning is dangerous without a pool: the guest shrinks all the same, and
// what it pushes out goes to the disk, or nowhere.
func (c *chain) selfballooning() {
	b, ok := c.Balloon.Get()
	if !ok || !b.HasSelfballooning() {
		return // nothing shrinks by itself; the kernel's finding has told why
	}
	f := finding.Finding{Check: CheckSelfballooning, Subject: "selfballooning"}
	size := fmt.Sprintf("the guest has %s and its target is %s", kib(b.Current), kib(b.Target))
	if z, ok := c.Memory.Or(Memory{}).Zones.Get(); ok {
		size += fmt.Sprintf(", of %s at most", kib(z.Present.KiB()))
	}
	f.Evidence = append(f.Evidence,
		finding.Evidence{Name: "current", Value: kib(b.Current), Source: BalloonDir + "/info/current_kb"},
		finding.Evidence{Name: "target", Value: kib(b.Target), Source: BalloonDir + "/" + TargetKiB})
	c.explain(&f)
	pool, why := c.Pool()
	unread := !c.Counters.Cleancache.Has() && !c.Counters.Frontswap.Has()
	switch {
	case !b.Shrinks():
		f.Verdict, f.Seen = finding.Note, "selfballooning is off: "+size
		if a, _ := c.Possible(); a == Yes && c.support.Answers[Selfballooning] == Yes {
			f.Advice = "This proves that a pool stands behind this guest, and only then switches it on:"
			f.Commands = []string{enableNow}
		}
	case pool == Yes:
		f.Verdict, f.Seen = finding.Good, fmt.Sprintf("selfballooning is on: %s. A pool stands behind it: %s", size, why)
	case pool == CouldNotTell && unread && !c.Proof.Has():
		f.Verdict, f.Seen = finding.CouldNotTell, fmt.Sprintf("selfballooning is on: %s. Whether a pool stands behind it is not known: %s", size, why)
		f.Advice, f.Commands = c.howToCount("counters.cleancache")
	default:
		f.Verdict = finding.Dangerous
		f.Seen = fmt.Sprintf("selfballooning is on: %s. No pool is known to stand behind it: %s", size, why)
		f.Advice = "Without one it squeezes this guest for nothing: pages go to the disk, or programs fail to start. "
		f.Advice += "This switches it off, unless it can prove one, and gives the memory back:"
		f.Commands = []string{guard}
	}
	c.add(f)
}

// explain adds what the driver computes now.
func (c *chain) explain(f *finding.Finding) {
	in, err := c.TargetInput()
	if err != nil {
		return
	}
	t, err := ComputeTarget(in)
	if err != nil {
		return
	}
	const source = "computed as the kernel does"
	f.Evidence = append(f.Evidence,
		finding.Evidence{Name: "goal", Value: kib(t.Goal.KiB()), Source: source},
		finding.Evidence{Name: "floor", Value: kib(t.Floor.KiB()), Source: source},
		finding.Evidence{Name: "next target", Value: kib(t.Balloon.KiB()), Source: source})
}

func kib(k units.KiB) string { return units.Group(k) + " KiB" }
