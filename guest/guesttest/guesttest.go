// Package guesttest gives recorded guests to tests, as file systems that package
// guest reads, and a scripted proof.
package guesttest

import (
	"embed"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// Of each moment the files that package guest reads are here, byte for byte.
//
//go:embed testdata
var recordings embed.FS

// Files is a recorded guest at a moment, such as "xen-4.12/web1/2-under-load",
// with the files at their places. The recording kept of the kernel's
// configuration only lines that name XEN, CLEANCACHE, FRONTSWAP or BALLOON;
// CONFIG_SWAP and CONFIG_MODULES of that kernel are added.
func Files(tb testing.TB, moment string) fstest.MapFS {
	tb.Helper()
	m := fstest.MapFS{}
	dir := path.Join("testdata", moment)
	entries, err := recordings.ReadDir(dir)
	if err != nil {
		tb.Fatalf("no recorded moment %q: %v", moment, err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		b, err := fs.ReadFile(recordings, path.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		texts[e.Name()] = string(b)
	}
	release := "4.19.0-tmemlab" // of the moments that have no proc_version
	if v, ok := texts["proc_version"]; ok {
		release = strings.Fields(v)[2] // "Linux version 4.19.0-tmemlab (root@vm) …"
	}
	Put(m, "/proc/sys/kernel/osrelease", release+"\n")
	if c, ok := texts["kernel_config_xen"]; ok {
		Put(m, "/boot/config-"+release, c+"CONFIG_SWAP=y\nCONFIG_MODULES=y\n")
	}
	for name, text := range texts {
		place(m, name, text)
	}
	return m
}

// Put adds or replaces a file of the host.
func Put(m fstest.MapFS, name, text string) {
	m[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text)}
}

// Remove takes files of the host away, whole folders too.
func Remove(m fstest.MapFS, name string) {
	name = strings.TrimPrefix(name, "/")
	for p := range m {
		if p == name || strings.HasPrefix(p, name+"/") {
			delete(m, p)
		}
	}
}

const balloon = "/sys/devices/system/xen_memory/xen_memory0/"

// place puts one recorded file where it was.
func place(m fstest.MapFS, name, text string) {
	switch name {
	case "meminfo", "zoneinfo":
		Put(m, "/proc/"+name, text)
	case "sys": // "info/current_kb 160100"
		for line := range strings.Lines(text) {
			if file, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				Put(m, balloon+file, value+"\n")
			}
		}
		settle(m)
	case "module_tmem_ls":
		if strings.Contains(text, "initstate") {
			Put(m, "/sys/module/tmem/initstate", "live\n")
		}
	default:
		if file, ok := strings.CutPrefix(name, "proc_"); ok {
			Put(m, "/proc/"+file, text)
			return
		}
		// "/sys/hypervisor/version/extra: .4", and without a blank from grep -r.
		for line := range strings.Lines(text) {
			file, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			if ok && strings.HasPrefix(file, "/sys/") && !strings.Contains(file, "*") {
				Put(m, file, strings.TrimPrefix(value, " ")+"\n")
			}
		}
	}
}

// settle adds what the recording of the target's moments left out, as the same
// guests show it in xen-4.12: selfballooning on, tunables at their defaults.
func settle(m fstest.MapFS) {
	for name, value := range map[string]string{
		"selfballooning": "1", "selfballoon_interval": "5", "selfballoon_downhysteresis": "8", "selfballoon_uphysteresis": "1",
		"frontswap_selfshrinking": "1", "frontswap_hysteresis": "20", "frontswap_inertia": "3",
	} {
		Put(m, balloon+"selfballoon/"+name, value+"\n")
	}
}
