package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"xtm/internal/hostfs"
	"xtm/internal/units"
)

// Disk does the input and output of a proof on the running system.
type Disk struct {
	Root hostfs.Root
	// Mounts say where debugfs is.
	Mounts []Mount
}

var _ ProofIO = Disk{}

// Counters implements ProofIO.
func (d Disk) Counters() (CleancacheCounters, error) {
	return ReadCleancacheCounters(d.Root, d.Mounts)
}

// ReadFile implements ProofIO.
func (d Disk) ReadFile(name string, n units.Bytes) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if _, err := io.CopyN(io.Discard, f, int64(n)); err != nil {
		return fmt.Errorf("read %d bytes of %s: %w", n, name, err)
	}
	return nil
}

// Forget implements ProofIO.
func (d Disk) Forget(name string, n units.Bytes) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if err := unix.Fadvise(int(f.Fd()), 0, int64(n), unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("posix_fadvise %s: %w", name, err)
	}
	return nil
}

// open opens without a new access time, which would be written, where the owner
// allows that.
func (d Disk) open(name string) (*os.File, error) {
	p, err := d.Root.Path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, os.ErrPermission) {
		return os.Open(p)
	}
	return f, err
}

// BlockSize is the block size of the file system at a mount point, as statfs
// says it.
func (d Disk) BlockSize(point string) (units.Bytes, error) {
	p, err := d.Root.Path(point)
	if err != nil {
		return 0, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(p, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", point, err)
	}
	return units.Bytes(st.Bsize), nil
}

// proofFolders are where large files lie that are seldom written and seldom
// mapped: kernels and their modules first.
var proofFolders = []string{"/boot", "/usr/lib/modules", "/lib/modules", "/usr/lib", "/usr/share", "/usr/bin", "/var/lib"}

const (
	// maxProofFiles are the files that a proof tries at most.
	maxProofFiles = 3
	// maxEntries bounds the search of one folder.
	maxEntries = 5_000
)

// ProofFiles chooses files for Prove: from each of some folders, then from the
// mount points themselves, the largest readable file on a file system that
// cleancache serves, of names of the same size the first. The same system gives
// the same files.
func (d Disk) ProofFiles(ctx context.Context, systems []FileSystem) []string {
	devices := map[uint64]bool{}
	folders := proofFolders
	for _, f := range systems {
		if f.Served != Yes {
			continue
		}
		if dev, ok := d.device(f.Point); ok {
			devices[dev] = true
			folders = append(slices.Clip(folders), f.Point)
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, folder := range folders {
		name, ok := d.largest(ctx, folder, devices)
		if ok && !seen[name] && len(out) < maxProofFiles {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

func (d Disk) device(point string) (uint64, bool) {
	p, err := d.Root.Path(point)
	if err != nil {
		return 0, false
	}
	info, err := os.Stat(p)
	if err != nil {
		return 0, false
	}
	return deviceOf(info)
}

func deviceOf(info os.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true //nolint:unconvert // it has 32 bits on other platforms
}

// largest walks a folder, in the order of names, without following links and
// without leaving the devices.
func (d Disk) largest(ctx context.Context, folder string, devices map[uint64]bool) (string, bool) {
	top, err := d.Root.Path(folder)
	if err != nil {
		return "", false
	}
	if top, err = filepath.EvalSymlinks(top); err != nil {
		return "", false
	}
	var best string
	var size int64
	entries := 0
	// A folder that cannot be read is passed over.
	_ = filepath.WalkDir(top, func(p string, e os.DirEntry, err error) error {
		entries++
		if ctx.Err() != nil || entries > maxEntries {
			return filepath.SkipAll
		}
		if err != nil {
			return nil //nolint:nilerr // pass over
		}
		if !e.IsDir() && !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // it went away
		}
		dev, ok := deviceOf(info)
		switch {
		case e.IsDir() && p != top && (!ok || !devices[dev]):
			return filepath.SkipDir
		case e.IsDir() || !ok || !devices[dev] || info.Size() < int64(ProofSize) || info.Size() <= size:
			return nil
		}
		if unix.Access(p, unix.R_OK) == nil {
			best, size = p, info.Size()
		}
		return nil
	})
	if best == "" {
		return "", false
	}
	rel, err := filepath.Rel(top, best)
	if err != nil {
		return "", false
	}
	return path.Join(folder, rel), true
}
