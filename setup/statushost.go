package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/tmem"
)

// HostStatus looks at a host, link by link. The error is set where nothing
// could be read at all; what single links could not read is "could not tell".
func HostStatus(ctx context.Context, files hostfs.Files, start run.Func) (Status, error) {
	var h Host
	if err := h.probeRunning(ctx, files, start); err != nil {
		return Status{}, err
	}
	errFiles := h.probeFiles(files)
	s := Status{Schema: StatusSchema, Role: role.Host}
	s.now(h)
	if s.Impossible {
		s.Ways = h.Ways()
		return s, nil
	}
	s.atNextBoot(h, errFiles)
	s.clients(h)
	s.dom0(h)
	s.byXTM(files)
	return s, nil
}

// now is the hypervisor that runs, and what it was told at its start.
func (s *Status) now(h Host) {
	host, state := h.Snapshot.Host, h.Snapshot.TmemState
	version := host.Version
	f := tmem.For(version)
	switch running, _ := h.Running.Get(); {
	case !version.Known():
		s.add("xen", "", finding.CouldNotTell, "which Xen runs here is not to be found out", "run it as root: sudo xtm status")
	case f.Removed:
		s.add("xen", "", finding.Bad, state.Evidence, "Transcendent Memory was removed in Xen 4.13 and cannot be had there")
		s.Impossible = true
	case running.HasTmem.Has() && !running.HasTmem.Or(true):
		s.add("xen", "", finding.Bad, state.Evidence, state.Advice)
		s.Impossible = true
	case !f.XSA15Fixed && h.XSA15 == "" && state.Answer == xen.TmemOn:
		s.add("xen", "", finding.Dangerous, "Xen "+version.String()+" has the holes of XSA-15: any guest can take over the host",
			"switch tmem off, or upgrade to 4.1.4, 4.2.1, 4.3.0 or later", "xtm disable-tmem")
	case !running.HasTmem.Has() && !f.BuiltByDefault:
		s.add("xen", "", finding.CouldNotTell, "Xen "+version.String()+" may have been built without tmem", "look for CONFIG_TMEM=y in its configuration in /boot")
	default:
		s.add("xen", "", finding.Good, "Xen "+version.String()+" has tmem", "")
	}
	if s.Impossible {
		return
	}
	switch state.Answer {
	case xen.TmemOn:
		s.add("tmem-now", "", finding.Good, state.Evidence, "")
	case xen.TmemUnknown:
		s.add("tmem-now", "", finding.CouldNotTell, state.Evidence, state.Advice)
	default:
		s.add("tmem-now", "", finding.Bad,
			state.Evidence+": guests that balloon themselves shrink with nothing behind them", state.Advice, "xtm enable-tmem --dry-run")
	}
}

// atNextBoot is the menu that GRUB will read.
func (s *Status) atNextBoot(h Host, err error) {
	const check = "tmem-next-boot"
	if err != nil {
		s.add(check, "", finding.CouldNotTell, err.Error(), "")
		return
	}
	if h.Loader.Kind != grub.GRUB2 {
		s.add(check, "", finding.CouldNotTell, strings.Join(h.Loader.Reasons, "; "), "look there for the word tmem: "+h.Loader.Edit)
		return
	}
	entry, err := h.next()
	switch {
	case err != nil:
		s.add(check, h.Loader.Menu, finding.CouldNotTell, err.Error(), "")
		return
	case len(entry.Xen) == 0:
		advice := ""
		var commands []string
		if first, ok := firstXen(h.Menu); ok {
			advice, commands = "make Xen the default:", h.choose(first)
		}
		s.add(check, h.Loader.Menu, finding.Bad, fmt.Sprintf("%q boots next, which is not Xen", entry.Title), advice, commands...)
		return
	}
	image := entry.Xen[0]
	next := h.known(h.Images[slices.IndexFunc(h.Images, func(i Hypervisor) bool { return i.Image == image.Path })], HostOptions{})
	f := tmem.For(next.Version)
	on, word := tmem.Enabled(strings.Join(image.Args, " "), next.Version)
	switch {
	case f.Removed, next.HasTmem.Has() && !next.HasTmem.Or(true):
		s.add(check, image.Path, finding.Bad, fmt.Sprintf("%q boots next, and %s has no tmem", entry.Title, next), "choose an image that has it")
	case on:
		s.add(check, h.Loader.Menu, finding.Good, fmt.Sprintf("%q boots next, with %q", entry.Title, word), "")
	case h.Settings.Value(xenNormal).Switch("tmem") == grub.On:
		s.add(check, h.Loader.Menu, finding.Warning, fmt.Sprintf("%q boots next, without tmem: the menu is not made of the settings", entry.Title),
			"make it anew:", strings.Join(h.Loader.Command, " "))
	default:
		s.add(check, h.Loader.Menu, finding.Bad, fmt.Sprintf("%q boots next, without tmem", entry.Title), "", "xtm enable-tmem --dry-run")
	}
}

// clients are the guests that use tmem now.
func (s *Status) clients(h Host) {
	if h.Snapshot.TmemState.Answer != xen.TmemOn {
		return
	}
	listing, ok := h.Snapshot.Tmem.Get()
	if !ok {
		seen, advice := "the list of tmem's clients is not to be had", ""
		for _, g := range h.Snapshot.Gaps {
			if g.What == "tmem listing" {
				seen, advice = g.Why, g.Advice
			}
			if g.Cause == cause.NeedsRoot {
				advice = "sudo xtm status"
			}
		}
		s.add("clients", "", finding.CouldNotTell, seen, advice)
		return
	}
	with, pools := 0, len(listing.Shared)
	for _, c := range listing.Clients {
		if len(c.Pools) > 0 {
			with++
		}
		pools += len(c.Pools)
	}
	if with == 0 {
		s.add("clients", "", finding.Warning, "no guest has a pool", "see in each guest what it lacks:", "xtm status")
		return
	}
	s.add("clients", "", finding.Good, fmt.Sprintf("%d guests have %d pools", with, pools), "", "xtm report")
}

// dom0 is whether Dom0's memory is fixed, now and at the next boot.
func (s *Status) dom0(h Host) {
	const check = "dom0-memory"
	line, known := h.Snapshot.Host.CommandLine.Get()
	now := ""
	for _, w := range grub.XenWords(line) {
		if strings.HasPrefix(w, "dom0_mem=") {
			now = w
		}
	}
	if now != "" {
		s.add(check, "Domain-0", finding.Good, "its memory is fixed: "+now, "")
		return
	}
	if h.Settings != nil {
		if text, where, found := h.dom0Mem(); found {
			s.add(check, where, finding.Note, text+" is set from the next boot on", "")
			return
		}
	}
	if !known {
		s.add(check, "Domain-0", finding.CouldNotTell, "Xen's command line is not known", "")
		return
	}
	least, known := h.dom0Needs()
	command := "xtm enable-tmem --dom0-mem SIZE"
	if known {
		command = fmt.Sprintf("xtm enable-tmem --dom0-mem %dM", least)
	}
	s.add(check, "Domain-0", finding.Warning, "its memory is not fixed: it and tmem compete for what is free", "fix it:", command)
}

// byXTM is what xtm's own record says.
func (s *Status) byXTM(files hostfs.Files) {
	const check = "xtm"
	rec, err := readRecord(files)
	switch {
	case err != nil:
		s.add(check, recordFile, finding.CouldNotTell, err.Error(), "")
	case rec.Pending != nil:
		s.add(check, recordFile, finding.Warning, "a run of "+rec.Pending.Began.Format("2006-01-02 15:04:05 MST")+" was killed on its way",
			"the next run undoes it first:", "xtm enable-tmem")
	case len(rec.Words) > 0:
		s.add(check, recordFile, finding.Note, "set by xtm: "+strings.Join(wordTexts(rec.Words), " "), "", "xtm disable-tmem --dry-run")
	}
}
