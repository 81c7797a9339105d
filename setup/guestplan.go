package setup

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/internal/units"
)

// GuestOptions are what the user wants in a guest.
type GuestOptions struct {
	// Minimal writes no word that this kernel does not read.
	Minimal bool
	// Unguarded lets the guest shrink from boot on, pool or not.
	Unguarded bool
	// NoSwap goes on without a swap area.
	NoSwap bool
	// CreateSwap makes a swap file of SwapSize; 0 is the guest's maximum memory.
	CreateSwap bool
	SwapSize   units.MiB
	// Program is where the guard's own program is.
	Program string
}

// GuestMachine is what is known of a guest that is to be set up.
type GuestMachine struct {
	Boot
	State guest.State
	// Own are the present contents of the files that xtm would write; nil where
	// there is none.
	Own     map[string][]byte
	Offline bool
	starter starter
	disk    disk
}

// ProbeGuest reads all that a plan for a guest needs, and changes nothing.
func ProbeGuest(m Machine) (GuestMachine, error) {
	g := GuestMachine{Own: map[string][]byte{}, Offline: m.Offline}
	var err error
	if g.Boot, err = probeBoot(m.Root); err != nil {
		return g, err
	}
	if m.Offline {
		g.State = offlineState(m.Root, g.Boot)
	} else {
		g.State = guest.Read(m.Root, guest.Disk{Root: m.Root}.BlockSize)
	}
	for _, p := range []string{modulesLoad, etcModules, modprobeD, initramfsModules, guardUnit, guardWants, initScript, fstab} {
		if g.Own[p], err = edit.Read(m.Root, p); err != nil {
			return g, err
		}
	}
	if g.disk, err = probeDisk(m.Root, g.State); err != nil {
		return g, err
	}
	g.starter, err = m.starter()
	return g, err
}

// offlineState is what is known of the kernel that boots next from a root.
func offlineState(files hostfs.Files, b Boot) guest.State {
	var s guest.State
	entry, err := b.next()
	if err != nil || len(entry.Linux) == 0 {
		return s
	}
	name, ok := strings.CutPrefix(path.Base(entry.Linux[0].Path), "vmlinuz-")
	if !ok {
		return s
	}
	r, err := guest.ParseRelease(name)
	if err != nil {
		return s
	}
	s.Release = opt.Of(r)
	if c, err := guest.ReadConfig(files, name, false); err == nil {
		s.Config = opt.Of(c)
	}
	if m, err := guest.FindModule(files, name); err == nil {
		s.Module = opt.Of(m)
	}
	return s
}

// PlanGuest decides what enabling tmem in a guest takes. A
// *cause.RefusalError says why it cannot be done.
func PlanGuest(g GuestMachine, o GuestOptions) (Plan, error) {
	p := Plan{Role: role.Guest, boot: g.Boot, settings: g.Settings}
	if err := g.mayEnable(o); err != nil {
		return p, err
	}
	told := []string{guest.CheckKernel, guest.CheckZswap, guest.CheckFileSystems}
	if !o.CreateSwap {
		told = append(told, guest.CheckSwap)
	}
	for _, f := range guest.Chain(g.State) {
		if slices.Contains(told, f.Check) && f.Verdict != finding.Good {
			f.Commands = nil // they lead here
			p.Notes = append(p.Notes, f)
		}
	}
	if lists(g.Own[initramfsModules], "tmem") && g.guarded(o) {
		p.Notes = append(p.Notes, finding.Finding{
			Check: "initramfs", Subject: initramfsModules, Verdict: finding.Warning,
			Seen:     "tmem is loaded from the initramfs, which has its options from when it was made",
			Advice:   "make it anew after this, or the guest shrinks before the guard runs",
			Commands: []string{"update-initramfs -u -k " + g.State.Release.Or(guest.Release{}).Text},
		})
	}
	if err := p.guestWords(g, o); err != nil {
		return p, err
	}
	for _, f := range g.wantedFiles(o) {
		old := g.Own[f.Path]
		if old != nil && !bytes.Contains(old, []byte(ownHead)) {
			return p, &cause.RefusalError{
				Kind: cause.Blocked, Seen: f.Path + " is there and is not xtm's", Why: "it would be overwritten",
				Ways: []string{"move it away, then run this again"},
			}
		}
		if !bytes.Equal(old, f.New) || old == nil {
			p.files = append(p.files, edit.Change{Path: f.Path, Old: old, New: f.New})
		}
	}
	if g.loadsByEtcModules() && !lists(g.Own[etcModules], "tmem") {
		p.addLine(g, fileLine{etcModules, "tmem"})
	}
	made := slices.ContainsFunc(g.State.Swaps.Or(nil), func(a guest.SwapArea) bool { return a.Name == swapPath }) ||
		bytes.Contains(g.Own[fstab], []byte(swapLine))
	if o.CreateSwap && !made {
		if err := p.planSwap(g, o); err != nil {
			return p, err
		}
		p.Notes = append(p.Notes, finding.Finding{
			Check: "swap-file", Subject: swapPath, Verdict: finding.Note, Seen: fmt.Sprintf("a swap file of %d MiB will be made there", p.swap),
		})
	}
	return p, nil
}

// mayEnable refuses a guest that cannot have tmem, or that it would harm.
func (g GuestMachine) mayEnable(o GuestOptions) error {
	s := g.State
	if answer, why := s.Possible(); answer == guest.No {
		return &cause.RefusalError{Kind: cause.Impossible, Seen: why, Why: "this guest cannot have tmem", Ways: GuestWays(s)}
	}
	if !s.Release.Has() {
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: "the release of the kernel that will boot is not to be told", Why: "what it needs depends on that",
			Ways: []string{"run it in the running guest"},
		}
	}
	sup := s.Support()
	if len(sup.Missing) > 0 && sup.Answers[guest.Cleancache] == guest.No && sup.Answers[guest.Frontswap] == guest.No {
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: sup.Source + " lacks CONFIG_" + strings.Join(sup.Missing, ", CONFIG_"), Why: "without them this kernel has no use for a pool",
			Ways: append([]string{buildKernel(s)}, GuestWays(s)...),
		}
	}
	if s.Module.Or(guest.Module{}).Presence == guest.Absent {
		return &cause.RefusalError{
			Kind: cause.Impossible, Seen: "this kernel has no module tmem", Why: "nothing here can ask Xen for a pool",
			Ways: []string{"its whole package may have it (Ubuntu: linux-modules-extra)", buildKernel(s)},
		}
	}
	if seen := g.noSwap(); seen != "" && !o.NoSwap && !o.CreateSwap {
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: seen,
			Why: "without one nothing goes to a persistent pool, and a guest that shrinks itself fails to start programs",
			Ways: []string{
				"make a swap file of the guest's maximum memory, which is written to only when a put is refused: --create-swap",
				"to use file pages alone: --no-swap",
			},
		}
	}
	if g.guarded(o) && g.starter == nothingStarts {
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: "neither systemd starts services here, nor does update-rc.d, chkconfig or insserv enter init scripts",
			Why: "the guard has to run at each boot, before the guest may shrink itself",
			Ways: []string{
				"let the guest shrink from boot on, whether or not its host has tmem: --unguarded",
				"or run at each boot, from what starts services here: xtm guard",
			},
		}
	}
	return nil
}

// noSwap tells what was seen where the guest has no swap area, or none that is
// known; of one that does not run fstab tells.
func (g GuestMachine) noSwap() string {
	areas, known := g.State.Swaps.Get()
	switch {
	case g.Offline:
		for line := range strings.Lines(string(g.Own[fstab])) {
			if f := strings.Fields(line); len(f) > 2 && f[2] == "swap" && !strings.HasPrefix(f[0], "#") {
				return ""
			}
		}
		return fstab + " has no swap area"
	case !known:
		return "the swap areas cannot be read"
	case len(areas) == 0:
		return "no swap area is active"
	}
	return ""
}

// guarded tells whether the guest gets a guard: where its kernel can shrink it.
func (g GuestMachine) guarded(o GuestOptions) bool {
	return !o.Unguarded && g.State.Support().Answers[guest.Selfballooning] != guest.No
}
