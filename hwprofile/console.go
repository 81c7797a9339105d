package hwprofile

import (
	"fmt"
	"strconv"
	"strings"

	"xtm/hwprofile/pci"
)

// serialClass is a serial port, without its interface.
const serialClass pci.Class = 0x0700

// consoles finds what an administrator needs to see and to type.
func (u *uses) consoles() {
	for i := range u.p.Devices {
		if u.p.Devices[i].BootVGA.Or(false) {
			u.add(u.p.Devices[i].Address, GuardBootVGA, "the firmware's display")
		}
	}
	for name := range strings.FieldsSeq(u.text("/sys/class/tty/console/active")) {
		if to, err := u.files.Readlink("/sys/class/tty/" + name); err == nil {
			if a, ok := pciOf(to); ok {
				u.add(a, GuardConsole, "Linux' console", name)
			}
		}
	}
	if u.p.Xen != nil {
		u.xenConsole(u.p.Xen.CommandLine.Or(""))
	}
	u.keyboards()
}

// xenConsole looks for a serial port that Xen writes to: com1=115200,8n1,pci
// and com1=115200,8n1,amt search for one, com1=115200,8n1,0xf0e0,19 names its
// ports (docs/misc/xen-command-line.pandoc).
func (u *uses) xenConsole(line string) {
	for w := range strings.FieldsSeq(line) {
		settings, ok := strings.CutPrefix(w, "com1=")
		if !ok {
			settings, ok = strings.CutPrefix(w, "com2=")
		}
		if !ok {
			continue
		}
		for s := range strings.SplitSeq(settings, ",") {
			at, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 32)
			named := err == nil && strings.HasPrefix(s, "0x")
			for i := range u.p.Devices {
				d := &u.p.Devices[i]
				if d.Class.Or(0).Sub() == serialClass && (s == "pci" || s == "amt" || named && startsAt(d.Resources, at)) {
					u.add(d.Address, GuardConsole, "Xen's console", w)
				}
			}
		}
	}
}

func startsAt(list []pci.Resource, port uint64) bool {
	for _, r := range list {
		if r.IO() && r.Start == port {
			return true
		}
	}
	return false
}

// keyboards guards the controller that all keyboards hang on.
func (u *uses) keyboards() {
	names, err := u.files.ReadDir("/sys/class/input")
	if err != nil {
		return // no input at all: nothing to lose
	}
	by := map[pci.Address]string{}
	for _, n := range names {
		if !strings.HasPrefix(n, "input") || !isKeyboard(u.text("/sys/class/input/"+n+"/capabilities/key")) {
			continue
		}
		to, err := u.files.Readlink("/sys/class/input/" + n)
		if err != nil {
			continue
		}
		a, ok := pciOf(to)
		if !ok {
			if strings.Contains(to, "i8042") {
				return // one on the board's own port
			}
			continue
		}
		by[a] = u.text("/sys/class/input/" + n + "/name")
	}
	if len(by) == 1 {
		for a, name := range by {
			u.add(a, GuardKeyboard, fmt.Sprintf("the only keyboard, %.60q", name))
		}
	}
}

// isKeyboard looks for the keys of the top row of letters, 16 to 25, in the last
// of a device's words of keys:
//
//	1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe
//
// (a USB keyboard, Linux 6.1.)
func isKeyboard(keys string) bool {
	const letters = 0x3ff << 16
	f := strings.Fields(keys)
	if len(f) == 0 {
		return false
	}
	word, err := strconv.ParseUint(f[len(f)-1], 16, 64)
	return err == nil && word&letters == letters
}
