package guest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Presence is where a kernel's tmem driver is.
type Presence string

// The places. A driver of the eras before modules is in none of them.
const (
	Loaded   Presence = "loaded"
	InKernel Presence = "built in"
	OnDisk   Presence = "not loaded"
	Absent   Presence = "absent"
)

// Module is the tmem driver as a module. It cannot be unloaded: it has no exit
// function.
type Module struct {
	Presence Presence `json:"presence"`
	// File is its file below /lib/modules/RELEASE, "" where none was looked up.
	File string `json:"file,omitempty"`
	// Params are the parameters that it has, and their values; nil where it is
	// neither loaded nor built in. Built in they say Y even when the driver is
	// off (captures/xen-4.12-builtin).
	Params map[string]bool `json:"params,omitempty"`
}

// ReadModule looks for the driver in the running kernel, then on disk.
func ReadModule(files hostfs.Files, release string) (Module, error) {
	there, err := files.Exists("/sys/module/tmem")
	if err != nil {
		return Module{}, err
	}
	if !there {
		return FindModule(files, release)
	}
	// Only a real module has a state (kernel/module.c).
	loaded, err := files.Exists("/sys/module/tmem/initstate")
	if err != nil {
		return Module{}, err
	}
	m := Module{Presence: InKernel}
	if loaded {
		m.Presence = Loaded
	}
	m.Params, err = moduleParameters(files, "tmem")
	return m, err
}

// moduleParameters reads the boolean parameters of a module; nil where there
// are none to read.
func moduleParameters(files hostfs.Files, module string) (map[string]bool, error) {
	dir := "/sys/module/" + module + "/parameters"
	names, err := files.ReadDir(dir)
	if cause.Of(err) == cause.NoData {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	params := map[string]bool{}
	for _, name := range names {
		b, err := files.ReadFile(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if v, ok := kernelBool(strings.TrimSpace(string(b))); ok {
			params[name] = v // others, as zswap's compressor, are no switches
		}
	}
	return params, nil
}

// kernelBool reads a boolean as the kernel does (strtobool in lib/string.c,
// Linux 3.0; on and off since 4.6).
func kernelBool(s string) (value, ok bool) {
	switch {
	case s == "":
		return false, false
	case strings.IndexByte("yY1", s[0]) >= 0, strings.HasPrefix(strings.ToLower(s), "on"):
		return true, true
	case strings.IndexByte("nN0", s[0]) >= 0, strings.HasPrefix(strings.ToLower(s), "of"):
		return false, true
	default:
		return false, false
	}
}

// FindModule looks for the driver's file of a kernel that need not be the
// running one. modules.builtin names what a kernel has
// built in of what could be a module; modules.dep names the files.
// cause.ErrNoData where the kernel has no folder in /lib/modules.
func FindModule(files hostfs.Files, release string) (Module, error) {
	dir := "/lib/modules/" + release
	for _, list := range []struct {
		name string
		then Presence
	}{{"modules.builtin", InKernel}, {"modules.dep", OnDisk}} {
		b, err := files.ReadFile(path.Join(dir, list.name))
		switch {
		case cause.Of(err) == cause.NoData && list.then == OnDisk:
			return unlisted(files, dir)
		case cause.Of(err) == cause.NoData:
			continue
		case err != nil:
			return Module{}, err
		}
		file, err := findModule(bytes.NewReader(b), "tmem")
		if err != nil {
			return Module{}, fmt.Errorf("read %s/%s: %w", dir, list.name, err)
		}
		if file != "" {
			return Module{Presence: list.then, File: file}, nil
		}
	}
	return Module{Presence: Absent}, nil
}

// suffixes of a module's file: plain, and as kmod compresses it.
var suffixes = []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"}

// unlisted looks for the file itself where depmod has not run.
func unlisted(files hostfs.Files, dir string) (Module, error) {
	switch there, err := files.Exists(path.Join(dir, "kernel")); {
	case err != nil:
		return Module{}, err
	case !there:
		return Module{}, fmt.Errorf("find module tmem: neither /sys/module/tmem nor %s is there: %w", dir, cause.ErrNoData)
	}
	for _, suffix := range suffixes {
		file := "kernel/drivers/xen/tmem" + suffix
		switch there, err := files.Exists(path.Join(dir, file)); {
		case err != nil:
			return Module{}, err
		case there:
			return Module{Presence: OnDisk, File: file}, nil
		}
	}
	return Module{Presence: Absent}, nil
}

// findModule returns the path of a module in modules.dep or modules.builtin, or
// "" where it is not listed. Lines as depmod of kmod 30 writes them (Debian 12):
//
//	kernel/drivers/xen/xen-evtchn.ko:
//	kernel/drivers/xen/xen-gntdev.ko.xz: kernel/drivers/xen/xen-gntalloc.ko.xz
//	kernel/drivers/xen/tmem.ko
func findModule(r io.Reader, name string) (string, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		file, _, _ := strings.Cut(lines.Text(), ":")
		base := path.Base(strings.TrimSpace(file))
		for _, suffix := range suffixes {
			if base == name+suffix {
				return strings.TrimSpace(file), nil
			}
		}
	}
	return "", lines.Err()
}
