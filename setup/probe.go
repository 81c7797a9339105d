package setup

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/grub"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/xl"
)

// Boot is how a machine boots.
type Boot struct{ grub.Boot }

// probeBoot reads GRUB's settings, its menu and its environment block.
func probeBoot(files hostfs.Files) (Boot, error) {
	b, err := grub.ReadBoot(files)
	return Boot{b}, err
}

// next is the entry that boots next. What is not in grub.cfg itself makes it
// unknown.
func (b Boot) next() (grub.Entry, error) {
	if b.Menu.BLS {
		return grub.Entry{}, fmt.Errorf("%s takes entries from /boot/loader/entries too", b.Loader.Menu)
	}
	return b.Menu.Boots(b.Env)
}

// Host is what is known of a machine whose Xen is to be set up.
type Host struct {
	Boot
	// Running is the hypervisor that runs now; absent offline, and where none
	// does.
	Running opt.Value[Hypervisor]
	// Snapshot is the running host; nil offline.
	Snapshot *xen.Snapshot
	// Images are the hypervisors of the menu, in its order.
	Images []Hypervisor
	// XSA15 is the changelog that names the repair; "" is none.
	XSA15 string
	// Total and Available are Dom0's memory, from /proc/meminfo; absent offline.
	Total, Available opt.Value[units.KiB]
	// Autoballoon is the setting in xl.conf; "" is its default.
	Autoballoon string
	// ARCUnbounded tells that ZFS is there with no bound on its cache.
	ARCUnbounded bool
}

// ProbeHost reads all that a plan for Dom0 needs, and changes nothing.
func ProbeHost(ctx context.Context, m Machine) (Host, error) {
	var h Host
	if err := h.probeFiles(m.Root); err != nil || m.Offline {
		return h, err
	}
	return h, h.probeRunning(ctx, m.Root, m.Run)
}

// probeFiles reads what lies on the disk.
func (h *Host) probeFiles(files hostfs.Files) (err error) {
	if h.Boot, err = probeBoot(files); err != nil {
		return err
	}
	for e := range h.Menu.All() {
		for _, image := range e.Xen {
			if slices.ContainsFunc(h.Images, func(i Hypervisor) bool { return i.Image == image.Path }) {
				continue
			}
			i, err := readImage(files, image.Path)
			if err != nil {
				return err
			}
			h.Images = append(h.Images, i)
		}
	}
	if h.XSA15, err = xsa15InChangelog(files); err != nil {
		return err
	}
	h.Autoballoon, err = readAutoballoon(files)
	return err
}

// probeRunning reads what runs.
func (h *Host) probeRunning(ctx context.Context, files hostfs.Files, start run.Func) error {
	snap, err := xl.New(start, files).Snapshot(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Without xl the hypervisor itself still says what it is.
		snap = xen.Snapshot{Gaps: []xen.Gap{xen.GapOf("host", err)}}
	}
	if !snap.Host.Version.Known() {
		if snap.Host.Version, err = runningVersion(files); err != nil {
			return err
		}
		snap.TmemState = tmem.State(snap.Host, tmem.ListAnswer{})
	}
	h.Snapshot = &snap
	if snap.Host.Version.Known() {
		h.Running = opt.Of(running(snap))
	}
	meminfo, err := files.ReadFile("/proc/meminfo")
	if err != nil && cause.Of(err) != cause.NoData {
		return err
	}
	h.Total, h.Available = memLine(meminfo, "MemTotal"), memLine(meminfo, "MemAvailable")
	arc, err := files.ReadFile("/sys/module/zfs/parameters/zfs_arc_max")
	if err != nil && cause.Of(err) != cause.NoData {
		return err
	}
	h.ARCUnbounded = strings.TrimSpace(string(arc)) == "0"
	return nil
}

// running is what a snapshot says of the hypervisor. A listing proves that tmem
// was built in; a word missing on the command line proves nothing of that.
func running(snap xen.Snapshot) Hypervisor {
	h := Hypervisor{Version: snap.Host.Version, Evidence: snap.TmemState.Evidence}
	switch answer := snap.TmemState.Answer; {
	case answer == xen.TmemOn, answer == xen.TmemOff && snap.Tmem.Has():
		h.HasTmem = opt.Of(true)
	case answer == xen.TmemRemoved, answer == xen.TmemCompiledOut:
		h.HasTmem = opt.Of(false)
	}
	return h
}

// runningVersion reads /sys/hypervisor/version, which guests can read too
// (drivers/xen/sys-hypervisor.c):
//
//	major  4
//	minor  12
//	extra  .4
func runningVersion(files hostfs.Files) (xen.Version, error) {
	var text [3]string
	for i, name := range []string{"major", "minor", "extra"} {
		b, err := files.ReadFile("/sys/hypervisor/version/" + name)
		switch {
		case cause.Of(err) == cause.NoData:
			return xen.Version{}, nil
		case err != nil:
			return xen.Version{}, err
		}
		text[i] = strings.TrimSpace(string(b))
	}
	return xen.ParseVersion(text[0] + "." + text[1] + text[2])
}

// memLine reads a line of /proc/meminfo: "MemTotal:         240860 kB".
func memLine(meminfo []byte, name string) opt.Value[units.KiB] {
	for line := range strings.Lines(string(meminfo)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != name+":" || words[2] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(words[1], 10, 64); err == nil && n >= 0 {
			return opt.Of(units.KiB(n))
		}
	}
	return opt.Value[units.KiB]{}
}

// readAutoballoon reads the setting of /etc/xen/xl.conf, a line such as
//
//	autoballoon="off"
func readAutoballoon(files hostfs.Files) (string, error) {
	b, err := files.ReadFile("/etc/xen/xl.conf")
	switch {
	case cause.Of(err) == cause.NoData:
		return "", nil
	case err != nil:
		return "", err
	}
	setting := ""
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "autoballoon" {
			setting = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return setting, nil
}
