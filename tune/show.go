package tune

import (
	"fmt"
	"strings"

	"xtm/internal/finding"
	"xtm/xen/tmem"
)

// Findings are what is to be said of the settings as they are.
func (s Seen) Findings() []finding.Finding {
	p := Plan{Notes: []finding.Finding{}}
	for _, d := range s.Domains {
		why, busy := d.Busy()
		switch {
		case busy:
			p.note("left-alone", finding.Note, d.String(), why, "")
		case d.Frozen && d.Hold == nil:
			p.note("frozen", finding.Warning, d.String(), "it is frozen, not by xtm, and neither saved nor migrated: its puts are refused and swap goes to its disk", "")
			p.Notes[len(p.Notes)-1].Commands = []string{fmt.Sprintf("xtm tune thaw %d", d.ID)}
		}
	}
	s.shared(&p)
	var weighted []string
	for _, d := range s.Domains {
		if d.Weight > 0 {
			weighted = append(weighted, fmt.Sprintf("%s %d", d.Ref, d.Weight))
		}
	}
	if len(weighted) > 1 {
		p.note("weights-work-backwards", finding.Warning, "host",
			"more than one client has a weight ("+strings.Join(weighted, ", ")+"), and Xen's test of it is the wrong way round: "+
				"short of memory, of these the small ones give up their own pages first",
			"Leave a weight on those domains alone that shall pay for their own cache, and 0 on the others.")
	}
	return p.Notes
}

// shared only reports shared pools.
func (s Seen) shared(p *Plan) {
	list, _ := s.Snapshot.Tmem.Get()
	if len(list.Shared) == 0 {
		return
	}
	f := tmem.For(s.Snapshot.Host.Version)
	seen := fmt.Sprintf("%d shared pools, which xtm leaves alone", len(list.Shared))
	switch {
	case f.SharedPoolsCrash:
		p.note("shared-pools", finding.Dangerous, "host", seen+": in Xen 4.5 they can bring down the host", "Let no guest mount ocfs2 with tmem here; Xen 4.6 repaired it.")
	case f.SelfAuthorise:
		p.note("shared-pools", finding.Warning, "host", seen+": before Xen 4.9 any guest can authorise itself for them",
			"With guests that are not trusted, do not use ocfs2 with tmem.")
	default:
		p.note("shared-pools", finding.Note, "host", seen, "")
	}
}
