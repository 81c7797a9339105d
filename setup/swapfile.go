package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/units"

	"golang.org/x/sys/unix"
)

const (
	// swapPath is the swap file that xtm makes.
	swapPath = "/xtm.swap"
	fstab    = "/etc/fstab"
	// swapLine has it in use from each boot on.
	swapLine = swapPath + " none swap sw 0 0"
)

// swapFileSystems are those on which a file that is written whole is a right
// swap file: on btrfs it needs Linux 5.0, which tmem's kernels are not, on ZFS and
// over the network it is none.
var swapFileSystems = []string{"ext2", "ext3", "ext4", "xfs"}

// disk is where a swap file would lie.
type disk struct {
	// fsType is "" where it is not known.
	fsType string
	free   units.Bytes
}

// probeDisk looks at the file system of the root folder.
func probeDisk(root hostfs.Root, s guest.State) (disk, error) {
	var d disk
	for _, m := range s.Mounts.Or(nil) {
		if m.Point == "/" && m.Type != "rootfs" {
			d.fsType = m.Type
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(string(root), &st); err != nil {
		return d, fmt.Errorf("statfs /: %w", err)
	}
	d.free = units.Bytes(int64(st.Bavail) * int64(st.Bsize)) //nolint:unconvert // it has 32 bits on other platforms
	return d, nil
}

// planSwap adds a swap file and its line in fstab to the plan.
func (p *Plan) planSwap(g GuestMachine, o GuestOptions) error {
	size := o.SwapSize
	if size == 0 {
		memory := g.State.Memory.Or(guest.Memory{})
		size = units.MiB((max(memory.Zones.Or(guest.Zones{}).Present, memory.Managed) + 255) / 256)
	}
	switch {
	case size == 0:
		return &cause.RefusalError{
			Kind: cause.Unsaid, Seen: "the guest's maximum memory is not to be told", Why: "the swap file should be as large",
			Ways: []string{"say it: --create-swap --swap-size 2G"},
		}
	case !slices.Contains(swapFileSystems, g.disk.fsType):
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("the root folder is on %q", g.disk.fsType), Why: "a swap file is right on " + strings.Join(swapFileSystems, ", ") + " alone",
			Ways: []string{"make a swap partition, or give the guest another disk: mkswap, swapon, a line in /etc/fstab"},
		}
	case size.Bytes()+size.Bytes()/10 > g.disk.free:
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%d MiB are free on the root folder's file system", g.disk.free>>20), Why: fmt.Sprintf("the swap file wants %d MiB, and a tenth should stay", size),
			Ways: []string{"another size: --swap-size", "give the guest another disk as swap: mkswap, swapon, a line in /etc/fstab"},
		}
	}
	p.swap = size
	p.addLine(g, fileLine{fstab, swapLine})
	return nil
}

// makeSwap writes the swap file whole, so that it has no holes, and uses it.
func (m Machine) makeSwap(ctx context.Context, size units.MiB) error {
	p, err := m.Root.Path(swapPath)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for range size {
		if err = ctx.Err(); err == nil {
			_, err = f.Write(zeros)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", swapPath, err)
	}
	if err := m.run(ctx, []string{"mkswap", m.inside(p)}); err != nil {
		return err
	}
	if m.Offline {
		return nil
	}
	return m.run(ctx, []string{"swapon", p})
}

// inside is a path as the machine's own programs see it.
func (m Machine) inside(p string) string {
	if m.Offline {
		return swapPath
	}
	return p
}

// removeSwap takes the swap file away. A file that is not there is none.
func (m Machine) removeSwap(ctx context.Context) error {
	p, err := m.Root.Path(swapPath)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !m.Offline {
		areas, err := guest.ReadSwaps(m.Root)
		if err != nil && cause.Of(err) != cause.NoData {
			return err
		}
		if slices.ContainsFunc(areas, func(a guest.SwapArea) bool { return a.Name == swapPath || a.Name == p }) {
			if err := m.run(ctx, []string{"swapoff", p}); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(p); err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return fmt.Errorf("remove %s: %w", swapPath, err)
	}
	return nil
}

// holds tells whether memory can take what is in the swap file; a swapoff that
// it cannot would have processes killed.
func holds(s guest.State) error {
	memory := s.Memory.Or(guest.Memory{})
	for _, a := range s.Swaps.Or(nil) {
		if a.Name != swapPath {
			continue
		}
		if available := memory.Available.Or(0).KiB(); a.Used > available {
			return &cause.RefusalError{
				Kind: cause.Blocked, Seen: fmt.Sprintf("%s holds %d MiB", swapPath, a.Used/1024),
				Why:  fmt.Sprintf("memory has room for %d MiB only", available/1024),
				Ways: []string{"end programs, or give the guest memory first: xl mem-set in Dom0"},
			}
		}
	}
	return nil
}
