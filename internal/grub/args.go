package grub

import (
	"slices"
	"strings"
)

// Arg is one parameter of Linux's command line.
type Arg struct {
	// Key is what stands before the first "=", or everything.
	Key string
	// Value is what stands after it, without the quotes around it.
	Value string
	// HasValue tells "key=" from "key".
	HasValue bool
}

// LinuxArgs splits a Linux command line, such as /proc/cmdline, as the kernel
// does: double quotes keep blanks together, anywhere in a word, and cannot be
// escaped. Everything up to the end is returned, what follows "--" too, which
// the kernel gives to init. Keys are not unified: "zswap.enabled" and
// "some-key" stay as they were typed. (next_arg in lib/cmdline.c, Linux 6.6;
// before 4.14 in kernel/params.c.)
//
//	root=UUID=1-2 ro dyndbg="file drivers/xen/* +p" quiet
func LinuxArgs(line string) []Arg {
	var args []Arg
	for line = strings.TrimLeft(line, kernelSpace); line != ""; line = strings.TrimLeft(line, kernelSpace) {
		quoted := line[0] == '"'
		if quoted {
			line = line[1:]
		}
		in, equals, end := quoted, 0, len(line)
		for i := range len(line) {
			if strings.IndexByte(kernelSpace, line[i]) >= 0 && !in {
				end = i
				break
			}
			if line[i] == '=' && equals == 0 {
				equals = i
			}
			if line[i] == '"' {
				in = !in
			}
		}
		args = append(args, linuxArg(line[:end], equals, quoted))
		line = line[end:]
	}
	return args
}

// kernelSpace is what isspace says yes to in lib/ctype.c (0xa0 is left out: it
// is half a letter in UTF-8).
const kernelSpace = " \t\n\v\f\r"

// linuxArg takes the quotes off. A "=" in the first place is part of the key.
func linuxArg(word string, equals int, quoted bool) Arg {
	key, value := word, ""
	if equals > 0 {
		key, value = word[:equals], word[equals+1:]
		if strings.HasPrefix(value, `"`) {
			value = value[1:]
			quoted = true
		}
		if quoted {
			value = strings.TrimSuffix(value, `"`)
		}
	} else if quoted {
		key = strings.TrimSuffix(key, `"`)
	}
	return Arg{key, value, equals > 0}
}

// XenWords splits Xen's command line, as xl info shows it in xen_commandline:
// only blanks separate, quotes mean nothing, and what follows " -- " belongs to
// Dom0's kernel. (cmdline_parse in xen/common/kernel.c and __start_xen in
// xen/arch/x86/setup.c, Xen 4.0 to 4.20.)
//
//	placeholder dom0_mem=1024M,max:1024M tmem no-real-mode edd=off
func XenWords(line string) []string {
	line, _, _ = strings.Cut(line, " -- ")
	return slices.DeleteFunc(strings.Split(line, " "), func(w string) bool { return w == "" })
}

// Switch is what a command line says of a boolean parameter of Xen's.
type Switch string

// The states of a switch. Unclear is a value that releases before 4.10 take for
// true and later ones reject.
const (
	Absent  Switch = "absent"
	On      Switch = "on"
	Off     Switch = "off"
	Unclear Switch = "unclear"
)

// XenSwitch evaluates a boolean parameter of Xen's: the bare word switches on,
// "no-" before it inverts, and the last one on the line wins. (xen/common/kernel.c,
// 4.0 to 4.12.)
func XenSwitch(words []string, name string) Switch {
	state := Absent
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		key, no := strings.CutPrefix(key, "no-")
		if key != name {
			continue
		}
		on := !no
		switch value {
		case "", "1", "on", "yes", "true", "enable":
		case "0", "off", "no", "false", "disable":
			on = !on
		default:
			state = Unclear
			continue
		}
		state = Off
		if on {
			state = On
		}
	}
	return state
}
