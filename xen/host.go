package xen

import (
	"xtm/internal/opt"
	"xtm/internal/units"
)

// Host is what is known of the machine and its hypervisor. Fields that no
// source could read are absent.
type Host struct {
	Name    string  `json:"name,omitempty"`
	Version Version `json:"version"`
	// Release is Dom0's kernel release, as uname -r.
	Release string `json:"release,omitempty"`
	// CommandLine is Xen's own, not Dom0's.
	CommandLine opt.Value[string] `json:"command_line,omitzero"`
	// BootMessages are the lines of the console ring (xl dmesg) that speak of
	// tmem or memory limits. They scroll away: their absence proves nothing.
	BootMessages []string `json:"boot_messages,omitempty"`
	// HWCaps are the words of hw_caps, VirtCaps those of virt_caps.
	HWCaps   string   `json:"hw_caps,omitempty"`
	VirtCaps []string `json:"virt_caps,omitempty"`

	CPUs           opt.Value[int]     `json:"cpus,omitzero"`
	Nodes          opt.Value[int]     `json:"nodes,omitzero"`
	CoresPerSocket opt.Value[int]     `json:"cores_per_socket,omitzero"`
	ThreadsPerCore opt.Value[int]     `json:"threads_per_core,omitzero"`
	MHz            opt.Value[float64] `json:"mhz,omitzero"`

	// Total is all memory that Xen manages, Free what it could hand out without
	// taking anything back. xl info rounds both down to whole MiB.
	Total opt.Value[units.KiB] `json:"total_kib,omitzero"`
	Free  opt.Value[units.KiB] `json:"free_kib,omitzero"`
	// Outstanding is claimed for domains that are being built (4.3 and later).
	Outstanding opt.Value[units.KiB] `json:"outstanding_kib,omitzero"`
	// Granularity is the step in which Total and Free are known: 1,024 KiB from
	// xl info, 4 KiB from the hypercall, 1 KiB from a xentop screen.
	Granularity opt.Value[units.KiB] `json:"granularity_kib,omitzero"`
	// Freeable is what the hypervisor itself says tmem could give back. xl
	// prints 0 on 4.8–4.12 whatever the truth (X:9554c36ff3); a source leaves
	// it absent then.
	Freeable opt.Value[units.KiB] `json:"freeable_kib,omitzero"`
}
