package xen

import (
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
)

// State holds a domain's scheduling flags as xl and xentop show them.
type State struct {
	Running  bool `json:"running,omitempty"`
	Blocked  bool `json:"blocked,omitempty"`
	Paused   bool `json:"paused,omitempty"`
	Shutdown bool `json:"shutdown,omitempty"`
	Crashed  bool `json:"crashed,omitempty"`
	Dying    bool `json:"dying,omitempty"`
}

// Domain is one domain at the moment of a snapshot.
type Domain struct {
	// ID is absent where the source shows none (a xentop screen).
	ID opt.Value[units.DomID] `json:"domid,omitzero"`
	// UUID is in lower case with dashes; "" is unknown.
	UUID string `json:"uuid,omitempty"`
	// Name was chosen by whoever made the domain: bounded, but not safe to
	// print unescaped.
	Name  string `json:"name"`
	State State  `json:"state"`

	// Current is Xen's tot_pages, persistent tmem pages included.
	Current opt.Value[units.KiB] `json:"current_kib,omitzero"`
	// Limit is Xen's max_pages: past it neither the balloon nor a persistent
	// put can grow. Absent and Unlimited where Xen sets none.
	Limit     opt.Value[units.KiB] `json:"limit_kib,omitzero"`
	Unlimited bool                 `json:"unlimited,omitempty"`
	// StaticMax is what the toolstack promised at most: xenstore
	// memory/static-max, or the configuration's maxmem.
	StaticMax opt.Value[units.KiB] `json:"static_max_kib,omitzero"`
	// Target is xenstore's memory/target. A guest that balloons itself does not
	// write it, so it is often stale.
	Target opt.Value[units.KiB] `json:"target_kib,omitzero"`

	VCPUs   opt.Value[int]           `json:"vcpus,omitzero"`
	CPUTime opt.Value[time.Duration] `json:"cpu_time_ns,omitzero"`
	// Uptime since the domain was created, as xl uptime has it (whole seconds).
	Uptime opt.Value[time.Duration] `json:"uptime_ns,omitzero"`
	// Type is "pv", "hvm" or "pvh"; "" is unknown.
	Type string `json:"type,omitempty"`
	// PCI is the number of devices passed through; absent where the
	// configuration could not be read.
	PCI opt.Value[int] `json:"pci_devices,omitzero"`

	Guest opt.Value[GuestMemory] `json:"guest,omitzero"`
}

// IsDom0 tells whether this is Dom0: by number, by name where there is none.
func (d Domain) IsDom0() bool {
	if id, ok := d.ID.Get(); ok {
		return id == 0
	}
	return d.Name == "Domain-0"
}

// GuestMemory is what a guest's own agent says of itself in xenstore. It is a
// claim of the guest's, bounded and parsed, never trusted.
type GuestMemory struct {
	Total opt.Value[units.KiB] `json:"total_kib,omitzero"`
	// Available could be used without swapping (xe-guest-utilities writes
	// MemAvailable as data/meminfo_free).
	Available opt.Value[units.KiB] `json:"available_kib,omitzero"`
	// Used is Qubes' meminfo-writer's figure (memory/meminfo).
	Used opt.Value[units.KiB] `json:"used_kib,omitzero"`
	// SwapFree is its free swap (memory/meminfo in its long form).
	SwapFree opt.Value[units.KiB] `json:"swap_free_kib,omitzero"`
	// Age since the guest last wrote, where it says when (data/updated).
	Age opt.Value[time.Duration] `json:"age_ns,omitzero"`
	// Path is the key that it was read from, below /local/domain/N.
	Path string `json:"path"`
}
