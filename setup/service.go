package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"xtm/guest"
	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// The files that enabling makes in a guest, and one to which it adds a line.
const (
	modulesLoad = "/etc/modules-load.d/xtm.conf"
	etcModules  = "/etc/modules"
	modprobeD   = "/etc/modprobe.d/xtm.conf"
	guardUnit   = "/etc/systemd/system/xtm-guard.service"
	// guardWants has the guard started at boot without a symbolic link.
	guardWants = "/etc/systemd/system/multi-user.target.d/xtm-guard.conf"
	initScript = "/etc/init.d/" + guardName
	guardName  = "xtm-guard"
	// initramfsModules are those that initramfs-tools loads early.
	initramfsModules = "/etc/initramfs-tools/modules"
)

const ownHead = "# Written by xtm, which removes this file with: xtm disable-tmem\n"

// starter is what starts services at boot.
type starter string

const (
	nothingStarts starter = ""
	systemd       starter = "systemd"
	// initScripts are those of sysvinit, which Upstart runs, too.
	initScripts starter = "init scripts"
)

// starter finds out what starts services: on the running system systemd says so
// (sd_booted(3)), elsewhere it is what /sbin/init leads to.
func (m Machine) starter() (starter, error) {
	if m.Offline {
		target, err := m.Root.Readlink("/sbin/init")
		if err == nil && path.Base(target) == "systemd" {
			return systemd, nil
		}
	} else if found, err := m.Root.Exists("/run/systemd/system"); err != nil || found {
		return systemd, err
	}
	_, err := linker(m.Root)
	if errors.Is(err, errNoLinker) {
		return nothingStarts, nil
	}
	return initScripts, err
}

// linkers enter init scripts into the runlevels and take them out. All read the
// script's header, and take out what still has its script.
var linkers = []struct {
	at       string
	add, del []string
}{
	{"/usr/sbin/update-rc.d", []string{"update-rc.d", guardName, "defaults"}, []string{"update-rc.d", "-f", guardName, "remove"}},
	{"/sbin/chkconfig", []string{"chkconfig", "--add", guardName}, []string{"chkconfig", "--del", guardName}},
	{"/sbin/insserv", []string{"insserv", guardName}, []string{"insserv", "-r", guardName}},
}

var errNoLinker = errors.New("there is no update-rc.d, chkconfig or insserv")

// linker is the place of this system's in linkers.
func linker(files hostfs.Files) (int, error) {
	for i, l := range linkers {
		if found, err := files.Exists(l.at); err != nil || found {
			return i, err
		}
	}
	return 0, errNoLinker
}

// link enters the guard's init script into the runlevels, or takes it out.
func (m Machine) link(ctx context.Context, enter bool) error {
	i, err := linker(m.Root)
	if err != nil {
		return fmt.Errorf("enter %s into the runlevels: %w", initScript, err)
	}
	if enter {
		return m.run(ctx, linkers[i].add)
	}
	return m.run(ctx, linkers[i].del)
}

// linked tells whether a runlevel starts the guard.
func linked(files hostfs.Files) (bool, error) {
	for _, dir := range []string{"/etc/rc2.d", "/etc/rc3.d", "/etc/init.d/rc3.d"} {
		names, err := files.ReadDir(dir)
		if err != nil && cause.Of(err) != cause.NoData {
			return false, err
		}
		for _, n := range names {
			if strings.HasPrefix(n, "S") && strings.HasSuffix(n, guardName) {
				return true, nil
			}
		}
	}
	return false, nil
}

// put writes a file, or removes it where the contents are nil. The links of an
// init script come after it and go before it.
func (m Machine) put(ctx context.Context, p string, b []byte) error {
	script := p == initScript
	if b == nil {
		if found, err := m.Root.Exists(p); err != nil || !found {
			return err
		}
		if script {
			// Where it fails and no link is left, nothing is lost.
			if err := m.link(ctx, false); err != nil {
				if still, errLinked := linked(m.Root); still || errLinked != nil {
					return err
				}
			}
		}
		return atomicfile.Remove(m.Root, p)
	}
	if err := atomicfile.MkdirAll(m.Root, path.Dir(p), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if script {
		mode = 0o755
	}
	if err := atomicfile.Replace(m.Root, p, b, mode); err != nil || !script {
		return err
	}
	return m.link(ctx, true)
}

// loadsByEtcModules tells whether /etc/modules loads the module: where systemd
// does not read modules-load.d.
func (g GuestMachine) loadsByEtcModules() bool {
	return g.loadsModule() && g.starter != systemd && g.Own[etcModules] != nil
}

func (g GuestMachine) loadsModule() bool {
	return g.State.Support().Era.Driver == guest.AsModule && g.State.Module.Or(guest.Module{}).Presence != guest.InKernel
}

// quietParams load the module so that it does not shrink the guest. A parameter
// that a module does not have keeps it from loading up to Linux 3.10.
func quietParams(s guest.State) []string {
	var out []string
	for _, p := range s.ModuleParams() {
		if p.Name == "selfballooning" || p.Name == "selfshrinking" {
			out = append(out, p.Name+"=0")
		}
	}
	return out
}

// wantedFiles are xtm's own files as they should be.
func (g GuestMachine) wantedFiles(o GuestOptions) []edit.Change {
	var out []edit.Change
	add := func(p, text string) { out = append(out, edit.Change{Path: p, New: []byte(text)}) }
	if g.loadsModule() {
		if !g.loadsByEtcModules() {
			add(modulesLoad, ownHead+"tmem\n")
		}
		if g.guarded(o) {
			add(modprobeD, ownHead+"options tmem "+strings.Join(quietParams(g.State), " ")+"\n")
		}
	}
	if !g.guarded(o) {
		return out
	}
	command := run.Quote(o.Program) + " guard"
	if o.NoSwap {
		command += " --no-swap"
	}
	if g.starter == initScripts {
		add(initScript, strings.Replace(guardScript, "COMMAND", command, 1))
		return out
	}
	add(guardUnit, ownHead+`[Unit]
Description=`+guardDoes+`
ConditionVirtualization=xen
Wants=sys-kernel-debug.mount
After=local-fs.target swap.target systemd-modules-load.service sys-kernel-debug.mount

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=`+command+"\n")
	add(guardWants, ownHead+"[Unit]\nWants=xtm-guard.service\n")
	return out
}

const guardDoes = "Prove that a tmem pool stands behind this guest, then let it balloon itself"

// guardScript mounts debugfs, which holds the counters that the proof reads and
// which sysvinit leaves alone.
const guardScript = "#!/bin/sh\n" + ownHead + `### BEGIN INIT INFO
# Provides:          ` + guardName + `
# Required-Start:    $local_fs
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: ` + guardDoes + `
### END INIT INFO
# chkconfig: 2345 20 80
# description: ` + guardDoes + `

case "$1" in
start | restart | force-reload)
	[ -e /proc/xen/capabilities ] || grep -q '^xen$' /sys/hypervisor/type 2>/dev/null || exit 0
	grep -q ' /sys/kernel/debug ' /proc/mounts || mount -t debugfs debugfs /sys/kernel/debug
	exec COMMAND
	;;
stop) ;;
*)
	echo "Usage: $0 start|stop|restart" >&2
	exit 2
	;;
esac
`
