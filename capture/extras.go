package capture

import (
	"context"
	"path"
	"slices"
	"strings"

	"xtm/internal/run"
)

// Wanted is what a capture holds beside the inputs of the sources, for the
// person who is asked for help.
type Wanted struct {
	Files []string
	// Trees are folders whose files are read; links in them are not followed.
	Trees    []string
	Commands []run.Cmd
}

// Extras lists what is worth having of a role.
func Extras(role Role) Wanted {
	if role == Guest {
		return Wanted{
			Files: []string{
				"/proc/cmdline", "/proc/meminfo", "/proc/swaps", "/proc/mounts", "/proc/modules",
				"/proc/vmstat", "/proc/zoneinfo", "/proc/version", "/proc/filesystems",
				"/proc/sys/kernel/hostname", "/proc/sys/kernel/osrelease",
				"/etc/os-release",
			},
			Trees: []string{
				"/sys/devices/system/xen_memory/xen_memory0",
				"/sys/module/tmem/parameters",
				"/sys/kernel/debug/cleancache", "/sys/kernel/debug/frontswap",
				"/sys/kernel/mm/cleancache",
				"/sys/hypervisor",
			},
			Commands: []run.Cmd{{Name: "dmesg"}},
		}
	}
	return Wanted{
		Files: []string{
			"/proc/xen/capabilities",
			"/proc/cmdline", "/proc/meminfo", "/proc/version", "/proc/swaps",
			"/proc/sys/kernel/hostname", "/proc/sys/kernel/osrelease",
			"/etc/os-release", "/etc/xen/xl.conf", "/etc/default/grub",
		},
		Trees: []string{"/sys/hypervisor", "/etc/default/grub.d"},
		Commands: []run.Cmd{
			{Name: "xl", Args: []string{"info"}},
			{Name: "xl", Args: []string{"info", "-n"}},
			{Name: "xl", Args: []string{"list"}},
			{Name: "xl", Args: []string{"vcpu-list"}},
			{Name: "xl", Args: []string{"uptime"}},
			{Name: "xl", Args: []string{"dmesg"}},
			{Name: "dmesg"},
		},
	}
}

// The bounds of a tree.
const (
	maxDepth     = 6
	maxTreeFiles = 500
)

// Extras records what is worth having of the role. What cannot be read is
// recorded as such; only a context that ends makes an error.
func (r *Recorder) Extras(ctx context.Context) error {
	want := Extras(r.meta.Role)
	files := recordedFiles{r}
	for _, f := range want.Files {
		_, _ = files.ReadFile(f) // recorded either way
	}
	for _, t := range want.Trees {
		room := maxTreeFiles
		if r.readTree(ctx, t, maxDepth, &room); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if r.meta.Role == Guest {
		r.kernelConfig()
	}
	for _, c := range want.Commands {
		if r.hasRun(c.Argv()) {
			continue // the source's own result belongs to its moment
		}
		_, _ = r.run(ctx, c) // recorded either way
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// readTree reads the files of a folder and of those in it.
func (r *Recorder) readTree(ctx context.Context, dir string, depth int, room *int) {
	files := recordedFiles{r}
	names, err := files.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		p := path.Join(dir, name)
		if ctx.Err() != nil || *room == 0 {
			return
		}
		*room--
		// What a name is, is asked beside the recording: the capture shall hold
		// looks that tell something.
		if _, err := r.under.Files.Readlink(p); err == nil {
			_, _ = files.Readlink(p)
		} else if _, err := r.under.Files.ReadDir(p); err != nil {
			_, _ = files.ReadFile(p)
		} else if depth > 1 {
			r.readTree(ctx, p, depth-1, room)
		}
	}
}

// kernelConfig reads the running kernel's configuration, whichever of its two
// places has it.
func (r *Recorder) kernelConfig() {
	files := recordedFiles{r}
	if b, err := files.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		release := strings.TrimSpace(string(b))
		if release != "" && !strings.Contains(release, "/") {
			if _, err := files.ReadFile("/boot/config-" + release); err == nil {
				return
			}
		}
	}
	_, _ = files.ReadFile("/proc/config.gz")
}

// hardware are folders in which no machine has all that is looked for.
var hardware = []string{
	"/sys/bus/pci", "/sys/class", "/sys/dev", "/sys/devices/system/edac", "/sys/firmware", "/sys/fs", "/lib/modules",
	"/etc/modprobe.d", "/etc/default/grub.d", "/etc/initramfs-tools", "/proc/net",
}

// uncaptured lists the files and keys that a capture does not hold and why. A
// key of xenstore that is not there is nothing missing.
func (c *Capture) uncaptured() []string {
	var out []string
	for k, a := range c.looks {
		absent := a.failure.word == "ENOENT" && slices.ContainsFunc(hardware, func(dir string) bool { return below(k.path, dir) })
		if k.way != wayExists && (a.failure != failure{}) && a.failure.word != "EISDIR" && !absent {
			out = append(out, a.failure.err(k.path).Error())
		}
	}
	for path, k := range c.keys {
		if (k.failure != failure{}) && k.failure.word != "ENOENT" {
			out = append(out, k.failure.err(path).Error())
		}
	}
	slices.Sort(out)
	return out
}
