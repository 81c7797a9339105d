package guest

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/units"
)

// BalloonDir is where the balloon driver shows and takes its settings.
const BalloonDir = "/sys/devices/system/xen_memory/xen_memory0"

// Names of tunables, below BalloonDir.
const (
	TargetKiB          = "target_kb"
	Selfballoon        = "selfballoon/selfballooning"
	SelfballoonEvery   = "selfballoon/selfballoon_interval"
	SelfballoonDown    = "selfballoon/selfballoon_downhysteresis"
	SelfballoonUp      = "selfballoon/selfballoon_uphysteresis"
	SelfballoonMin     = "selfballoon/selfballoon_min_usable_mb"
	SelfballoonReserve = "selfballoon/selfballoon_reserved_mb"
	Selfshrinking      = "selfballoon/frontswap_selfshrinking"
	SelfshrinkDivisor  = "selfballoon/frontswap_hysteresis"
	SelfshrinkInertia  = "selfballoon/frontswap_inertia"
	MaxScheduleDelay   = "max_schedule_delay"
	MaxRetryCount      = "max_retry_count"
	ScrubPages         = "scrub_pages"
)

// Tunable is a setting of the balloon or selfballooning driver
// (drivers/xen/xen-balloon.c and xen-selfballoon.c).
type Tunable struct {
	Name string `json:"name"` // below BalloonDir
	Unit string `json:"unit"`
	// Default is what the kernel starts with, in words where it depends.
	Default string `json:"default"`
	// Min and Max are what may be written. The kernel checks the lower end only,
	// and cuts what is larger than 32 bits without a word.
	Min     uint64 `json:"min"`
	Max     uint64 `json:"max"`
	Meaning string `json:"meaning"`
	// Hex: shown in base 16 without a prefix, but taken in base 10
	// (device_show_ulong in drivers/base/core.c).
	Hex bool `json:"hex,omitempty"`
	// Since is the first version that has it, and Needs a symbol that it depends
	// on.
	Since Version `json:"since"`
	Needs string  `json:"needs,omitempty"`
}

const (
	// most is what an unsigned int holds and shows as it is: the kernel prints it
	// signed.
	most = 1<<31 - 1
	// mostMiB and mostSeconds are what does not overflow when the kernel makes
	// pages or ticks of it, in unsigned int, at the highest HZ.
	mostMiB     = 1<<24 - 1
	mostSeconds = (1<<32 - 1) / 1000
)

var selfballoonTunables = []Tunable{
	{
		Name: Selfballoon, Unit: "0 or 1", Default: "1 where tmem is on and nothing forbids it, else 0", Max: 1,
		Meaning: "gives memory back and takes it again as processes commit it; " +
			"writing 1 starts it in Dom0 and without tmem too", Since: Version{3, 1},
	},
	{
		Name: SelfballoonEvery, Unit: "s", Default: "5", Min: 1, Max: mostSeconds,
		Meaning: "time between two steps", Since: Version{3, 1},
	},
	{
		Name: SelfballoonDown, Unit: "divisor", Default: "8", Min: 1, Max: most,
		Meaning: "a step gives up this fraction of the surplus; more is slower", Since: Version{3, 1},
	},
	{
		Name: SelfballoonUp, Unit: "divisor", Default: "1", Min: 1, Max: most,
		Meaning: "a step takes back this fraction of what is short; 1 is at once", Since: Version{3, 1},
	},
	{
		Name: SelfballoonMin, Unit: "MiB", Default: "0: the kernel's own floor, which cannot be written back", Min: 1, Max: mostMiB,
		Meaning: "never shrink below this and the kernel's reserve", Since: Version{3, 2},
	},
	{
		Name: SelfballoonReserve, Unit: "MiB", Default: "10 % of the memory where it starts by itself, else 0", Min: 1, Max: mostMiB,
		Meaning: "kept beyond what is committed, for the kernel itself and its caches", Since: Version{3, 5},
	},
	{
		Name: Selfshrinking, Unit: "0 or 1", Default: "1 where frontswap is on and nothing forbids it, else 0", Max: 1,
		Meaning: "brings pages back from frontswap when it is quiet", Since: Version{3, 5}, Needs: "FRONTSWAP",
	},
	{
		Name: SelfshrinkDivisor, Unit: "divisor", Default: "20", Min: 1, Max: most,
		Meaning: "a step brings back this fraction of the pages in frontswap", Since: Version{3, 5}, Needs: "FRONTSWAP",
	},
	{
		Name: SelfshrinkInertia, Unit: "steps", Default: "3", Min: 1, Max: most,
		Meaning: "quiet steps before pages are brought back; up to 3.14 only before the first time", Since: Version{3, 5}, Needs: "FRONTSWAP",
	},
}

var balloonTunables = []Tunable{
	{
		Name: TargetKiB, Unit: "KiB", Default: "what the toolstack gave", Max: maxPages * 4,
		Meaning: "how much memory to have; overwritten at the next step while selfballooning is on", Since: Version{3, 0},
	},
	{
		Name: MaxScheduleDelay, Unit: "s", Default: "32", Min: 1, Max: most, Hex: true,
		Meaning: "longest wait between attempts to reach the target", Since: Version{3, 0},
	},
	{
		Name: MaxRetryCount, Unit: "attempts", Default: "0: no end", Max: most, Hex: true,
		Meaning: "attempts to reach the target", Since: Version{3, 0},
	},
	{
		Name: ScrubPages, Unit: "0 or 1", Default: "what the kernel was configured with", Max: 1,
		Meaning: "clears pages before Xen gets them", Since: Version{4, 19},
	},
}

// Tunables are the settings that kernels of a version have, where they are
// configured for them. An unknown version has none.
func Tunables(v Version) []Tunable {
	var out []Tunable
	if EraOf(v).Has(Selfballooning) {
		out = append(out, selfballoonTunables...)
	}
	out = slices.DeleteFunc(append(out, balloonTunables...), func(t Tunable) bool {
		return !v.AtLeast(t.Since.Major, t.Since.Minor)
	})
	if i := slices.IndexFunc(out, func(t Tunable) bool { return t.Name == SelfballoonReserve }); i >= 0 && v.Before(3, 14) {
		out[i].Default = "0"
	}
	return out
}

// Check tells whether the kernel takes a value and means it.
func (t Tunable) Check(value string) error {
	n, err := strconv.ParseUint(value, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("set %s: %.40q is no whole number of %s", t.Name, value, t.Unit)
	case n < t.Min:
		return fmt.Errorf("set %s to %d: the kernel refuses less than %d", t.Name, n, t.Min)
	case n > t.Max:
		return fmt.Errorf("set %s to %d: the kernel has no room for more than %d", t.Name, n, t.Max)
	}
	return nil
}

// DefaultReserve is what the kernel sets selfballoon_reserved_mb to when
// selfballooning starts by itself, from 3.14 (xen_selfballoon_init in Linux 4.19):
// 10 % of the pages that it manages then. Started later by sysfs it sets nothing.
func DefaultReserve(managed units.Pages) units.MiB { return units.MiB(managed / 10 >> 8) }

// Balloon is the balloon driver's state.
type Balloon struct {
	// Current is what the driver counts as the guest's memory now, and Target what
	// it is on its way to.
	Current units.KiB `json:"current_kib"`
	Target  units.KiB `json:"target_kib"`
	// Settings are the values of the tunables that are there, by name.
	Settings map[string]uint64 `json:"settings"`
}

// Shrinks tells whether selfballooning is on.
func (b Balloon) Shrinks() bool { return b.Settings[Selfballoon] == 1 }

// HasSelfballooning tells whether the driver is in this kernel, on or off.
func (b Balloon) HasSelfballooning() bool { _, ok := b.Settings[Selfballoon]; return ok }

// ReadBalloon reads the driver's files. Those of captures/xen-4.12 (web1):
//
//	target_kb                                373288
//	info/current_kb                          373288
//	max_schedule_delay                       20        which is 32
//	selfballoon/selfballooning               1
//	selfballoon/selfballoon_reserved_mb      23
//
// cause.ErrNoData where the kernel has no balloon driver.
func ReadBalloon(files hostfs.Files) (Balloon, error) {
	b := Balloon{Settings: map[string]uint64{}}
	current, err := readNumber(files, path.Join(BalloonDir, "info/current_kb"), 10)
	if err != nil {
		return Balloon{}, fmt.Errorf("read the balloon driver's state: %w", err)
	}
	for _, t := range slices.Concat(selfballoonTunables, balloonTunables) {
		base := 10
		if t.Hex {
			base = 16
		}
		n, err := readNumber(files, path.Join(BalloonDir, t.Name), base)
		switch {
		case cause.Of(err) == cause.NoData:
			continue
		case err != nil:
			return Balloon{}, err
		}
		b.Settings[t.Name] = n
	}
	target, ok := b.Settings[TargetKiB]
	if !ok {
		return Balloon{}, fmt.Errorf("read the balloon driver's state: no %s: %w", TargetKiB, cause.ErrNoData)
	}
	if current > maxPages*4 || target > maxPages*4 {
		return Balloon{}, fmt.Errorf("read the balloon driver's state: %d and %d KiB are no sizes of a guest", current, target)
	}
	b.Current, b.Target = units.KiB(current), units.KiB(target)
	return b, nil
}

// SetTunable writes a setting of the balloon driver, which is named as in
// Balloon.Settings. It is not read back. Sysfs takes it in one write, and there is
// nothing to be made anew.
func SetTunable(root hostfs.Root, name string, value uint64) error {
	p, err := root.Path(path.Join(BalloonDir, name))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_TRUNC, 0)
	if err == nil {
		_, err = f.WriteString(strconv.FormatUint(value, 10) + "\n")
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return fmt.Errorf("set %s to %d: %w", path.Base(name), value, err)
	}
	return nil
}
