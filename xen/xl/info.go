package xl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// info reads the host. What xl info leaves out is filled from sysfs.
func (r *reader) info() error {
	host, err := read(r, infoCmd, parseInfo)
	if !host.Version.Known() {
		host.Version = r.src.sysfsVersion()
	}
	r.snap.Host = host
	if err == nil && !host.Total.Has() {
		// libxl_get_physinfo failed; xl says so on stderr and goes on.
		return fmt.Errorf("xl info printed no total_memory: %w", cause.ErrNoData)
	}
	return err
}

// sysfsVersion reads /sys/hypervisor/version/{major,minor,extra}: "4", "12",
// ".4", each with a newline.
func (s *Source) sysfsVersion() xen.Version {
	var parts [3]string
	for i, f := range [3]string{"major", "minor", "extra"} {
		b, err := s.files.ReadFile("/sys/hypervisor/version/" + f)
		if err != nil {
			return xen.Version{}
		}
		parts[i] = strings.TrimSpace(string(b))
	}
	v, err := xen.ParseVersion(parts[0] + "." + parts[1] + parts[2])
	if err != nil {
		return xen.Version{}
	}
	return v
}

// parseInfo reads xl info; keys that are not needed are passed over, and a key
// without a value is absent.
//
//	host                   : xenhost
//	release                : 4.19.0-tmemlab
//	nr_cpus                : 2
//	cpu_mhz                : 2600.273
//	virt_caps              : pv
//	total_memory           : 2687
//	free_memory            : 20
//	outstanding_claims     : 0
//	xen_version            : 4.12.4
//	xen_commandline        : tmem console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all
//
// (Xen 4.12.4, shortened). Memory is in whole MiB, rounded down; from 4.3 on
// free_memory is less what is claimed. cpu_mhz has no decimals up to 4.10.
func parseInfo(b []byte) (xen.Host, error) {
	values := map[string]string{}
	n := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		n++
		key, value, ok := strings.Cut(line, ":")
		key = strings.TrimRight(key, " ")
		if _, again := values[key]; len(line) > maxLine || line != "" && !ok || again {
			return xen.Host{}, fmt.Errorf("line %d: want one %q: %.100q", n, "key : value", line)
		}
		if wanted[key] {
			values[key] = strings.TrimSpace(value)
		}
	}
	if len(values) == 0 {
		return xen.Host{}, errors.New("none of the keys of xl info is there")
	}
	h := xen.Host{Name: values["host"], Release: values["release"], HWCaps: values["hw_caps"], VirtCaps: strings.Fields(values["virt_caps"])}
	v := values["xen_version"] // from 4.4 on
	if v == "" {
		v = values["xen_major"] + "." + values["xen_minor"] + values["xen_extra"]
	}
	var err error
	if h.Version, err = xen.ParseVersion(v); err != nil && v != "." {
		return h, err
	}
	if c, ok := values["xen_commandline"]; ok {
		h.CommandLine = opt.Of(c)
	}
	if mhz, err := strconv.ParseFloat(values["cpu_mhz"], 64); err == nil && mhz > 0 && mhz < 1e6 {
		h.MHz = opt.Of(mhz)
	}
	h.CPUs, h.Nodes = count(values["nr_cpus"]), count(values["nr_nodes"])
	h.CoresPerSocket, h.ThreadsPerCore = count(values["cores_per_socket"]), count(values["threads_per_core"])
	h.Total, h.Free = mib(values["total_memory"]), mib(values["free_memory"])
	h.Outstanding = mib(values["outstanding_claims"])
	if h.Total.Has() {
		h.Granularity = opt.Of(units.MiB(1).KiB())
	}
	return h, nil
}

var wanted = map[string]bool{
	"host": true, "release": true, "hw_caps": true, "virt_caps": true,
	"xen_version": true, "xen_major": true, "xen_minor": true, "xen_extra": true, "xen_commandline": true,
	"nr_cpus": true, "nr_nodes": true, "cores_per_socket": true, "threads_per_core": true, "cpu_mhz": true,
	"total_memory": true, "free_memory": true, "outstanding_claims": true,
}

func count(s string) opt.Value[int] {
	n, rest, ok := lastNumber(s)
	if !ok || rest != "" || n == 0 || n > 1<<20 {
		return opt.Value[int]{}
	}
	return opt.Of(int(n))
}

func mib(s string) opt.Value[units.KiB] {
	n, rest, ok := lastNumber(s)
	if !ok || rest != "" || n > 1<<40 {
		return opt.Value[units.KiB]{}
	}
	return opt.Of(units.MiB(n).KiB())
}
