package setup

import (
	"xtm/guest"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/xen"
	"xtm/xen/tmem"
)

// OfflineStatus looks at a system that does not run: what will boot from it, and
// what xtm has done to it.
func OfflineStatus(m Machine, r role.Role) (Status, error) {
	s := Status{Schema: StatusSchema, Role: r}
	if r == role.Host {
		s.offlineHost(m)
	} else if err := s.offlineGuest(m); err != nil {
		return s, err
	}
	s.byXTM(m.Root)
	return s, nil
}

func (s *Status) offlineHost(m Machine) {
	// No words of a running Xen: those of the next boot are what there is.
	h := Host{Snapshot: &xen.Snapshot{Host: xen.Host{CommandLine: opt.Of("")}}}
	err := h.probeFiles(m.Root)
	s.add("tmem-now", "", finding.CouldNotTell, "not looked at: this system does not run", "")
	s.atNextBoot(h, err)
	if next, _, err := h.nextImage(); err == nil && (tmem.For(next.Version).Removed || !next.HasTmem.Or(true)) {
		s.Impossible, s.Ways = true, h.Ways()
		return
	}
	s.dom0(h)
}

func (s *Status) offlineGuest(m Machine) error {
	g, err := ProbeGuest(m)
	if err != nil {
		return err
	}
	for _, f := range guest.Chain(g.State) {
		if f.Check == guest.CheckKernel {
			s.Findings = append(s.Findings, f)
		}
	}
	if answer, _ := g.State.Possible(); answer == guest.No {
		s.Impossible, s.Ways = true, GuestWays(g.State)
		return nil
	}
	s.add(guest.CheckDriver, "", finding.CouldNotTell, "not looked at: this system does not run", "")
	s.guard(m.Root)
	return nil
}
