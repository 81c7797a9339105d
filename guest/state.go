// Package guest is the Linux side of tmem: what a kernel can do, what it was
// told, what it does, and whether a pool stands behind it. It reads and judges;
// it changes nothing.
package guest

import (
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
)

// State is what was read of one Linux. What is absent has a Gap. That of a kernel
// which does not run has Release, Config and Module, which is enough for Support.
type State struct {
	Release    opt.Value[Release]      `json:"release,omitzero"`
	Config     opt.Value[Config]       `json:"config,omitzero"`
	Module     opt.Value[Module]       `json:"module,omitzero"`
	BootLine   opt.Value[BootLine]     `json:"boot_line,omitzero"`
	Zswap      opt.Value[bool]         `json:"zswap,omitzero"`
	Swaps      opt.Value[[]SwapArea]   `json:"swaps,omitzero"`
	Mounts     opt.Value[[]Mount]      `json:"-"`
	Filesys    opt.Value[[]FileSystem] `json:"file_systems,omitzero"`
	Memory     opt.Value[Memory]       `json:"memory,omitzero"`
	Balloon    opt.Value[Balloon]      `json:"balloon,omitzero"`
	Hypervisor opt.Value[Hypervisor]   `json:"hypervisor,omitzero"`
	Counters   Counters                `json:"counters"`

	// Earlier are the counters of an earlier reading, and Proof what Prove found;
	// both are the caller's to set.
	Earlier opt.Value[Counters] `json:"earlier,omitzero"`
	Proof   opt.Value[Proof]    `json:"proof,omitzero"`

	Gaps []Gap `json:"gaps,omitempty"`
}

// Counters are those of both users of tmem.
type Counters struct {
	Cleancache opt.Value[CleancacheCounters] `json:"cleancache,omitzero"`
	Frontswap  opt.Value[FrontswapCounters]  `json:"frontswap,omitzero"`
}

// Gap is something that could not be read.
type Gap struct {
	What  string     `json:"what"` // "memory", "balloon", as the fields of State
	Why   string     `json:"why"`
	Cause cause.Word `json:"cause"`
}

// Read reads what there is to know of the running Linux that files are of.
// blockSize is what statfs says of a mount point, nil where files are a recording
// or another root.
func Read(files hostfs.Files, blockSize func(point string) (units.Bytes, error)) State {
	var s State
	s.Release = take(&s, "release", func() (Release, error) { return ReadRelease(files) })
	kernel, _ := s.Release.Get()
	if kernel.Known() {
		s.Config = take(&s, "config", func() (Config, error) { return ReadConfig(files, kernel.Text, true) })
		s.Module = take(&s, "module", func() (Module, error) { return ReadModule(files, kernel.Text) })
	}
	s.BootLine = take(&s, "boot_line", func() (BootLine, error) { return ReadBootLine(files) })
	zswap := take(&s, "zswap", func() (opt.Value[bool], error) { return ReadZswap(files, s.BootLine) })
	s.Zswap = zswap.Or(opt.Value[bool]{})
	s.Swaps = take(&s, "swaps", func() ([]SwapArea, error) { return ReadSwaps(files) })
	s.Mounts = take(&s, "mounts", func() ([]Mount, error) { return ReadMounts(files) })
	s.Filesys = opt.Map(s.Mounts, func(m []Mount) []FileSystem { return FileSystems(m, blockSize) })
	s.Memory = take(&s, "memory", func() (Memory, error) { return ReadMemory(files) })
	s.Balloon = take(&s, "balloon", func() (Balloon, error) { return ReadBalloon(files) })
	s.Hypervisor = take(&s, "hypervisor", func() (Hypervisor, error) { return ReadHypervisor(files) })
	mounts := s.Mounts.Or(nil)
	s.Counters.Cleancache = take(&s, "counters.cleancache", func() (CleancacheCounters, error) { return ReadCleancacheCounters(files, mounts) })
	s.Counters.Frontswap = take(&s, "counters.frontswap", func() (FrontswapCounters, error) { return ReadFrontswapCounters(files, mounts) })
	return s
}

// take turns a failure into a gap.
func take[T any](s *State, what string, read func() (T, error)) opt.Value[T] {
	v, err := read()
	if err != nil {
		s.Gaps = append(s.Gaps, Gap{what, err.Error(), cause.Of(err)})
		return opt.Value[T]{}
	}
	return opt.Of(v)
}

// why tells why a field of State, or what it depends on, is absent.
func (s State) why(what ...string) string {
	for _, g := range s.Gaps {
		if slices.Contains(what, g.What) {
			return g.Why
		}
	}
	return "it was not read"
}

func (s State) lack(what string) error {
	return fmt.Errorf("no %s: %s: %w", what, s.why(what), cause.ErrNoData)
}
