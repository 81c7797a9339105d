package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"xtm/internal/hostfs"
)

// BackupFolder holds one folder for each run that changed something, named by
// its time, with the old files at their paths in it. Backups do not lie beside
// the files: grub-mkconfig runs every executable in /etc/grub.d, and insserv
// reads nearly every file in /etc/init.d, whatever its name.
const BackupFolder = "/var/lib/xtm/backup"

// Backup copies a file with its attributes to BackupFolder and returns where
// the copy is: /var/lib/xtm/backup/20261122T150405Z/etc/default/grub. A copy
// that is there already is fs.ErrExist: an older state is never overwritten.
func Backup(root hostfs.Root, at time.Time, path string) (string, error) {
	to := filepath.Join(BackupFolder, at.UTC().Format("20060102T150405Z"), path)
	if err := backup(root, path, to); err != nil {
		return "", failed("back up", path, err)
	}
	return to, nil
}

func backup(root hostfs.Root, path, to string) error {
	source, err := resolve(root, path)
	if err != nil {
		return err
	}
	f, err := openRegular(source)
	if err != nil {
		return err
	}
	defer closeRead(f)
	data, err := io.ReadAll(io.LimitReader(f, hostfs.MaxFile+1))
	if err != nil {
		return err
	}
	if len(data) > hostfs.MaxFile {
		return hostfs.ErrTooLarge
	}
	if err := MkdirAll(root, "/var/lib", 0o755); err != nil {
		return err
	}
	if err := MkdirAll(root, filepath.Dir(to), 0o700); err != nil {
		return err
	}
	target, err := resolve(root, to)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(target); err == nil {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	// The folder of this run is never written to again, so that leftovers in it
	// would stay.
	stageIn, err := resolve(root, BackupFolder)
	if err != nil {
		return err
	}
	return write(stageIn, target, data, f, 0)
}

// MkdirAll makes a folder and those above it that are missing, each with mode
// whatever the umask. They last after a crash.
func MkdirAll(root hostfs.Root, path string, mode fs.FileMode) error {
	var missing []string // the lowest first
	for p := filepath.Join("/", path); ; p = filepath.Dir(p) {
		at, err := resolve(root, p)
		if err != nil {
			return failed("make folder", p, err)
		}
		fi, err := os.Stat(at)
		if err == nil && !fi.IsDir() {
			return failed("make folder", path, fmt.Errorf("%s is not a folder: %w", p, fs.ErrExist))
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == "/" {
			return failed("make folder", p, err)
		}
		missing = append(missing, p)
	}
	for _, p := range slices.Backward(missing) {
		// Another run may have just made it.
		if err := mkdir(root, p, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed("make folder", p, err)
		}
	}
	return nil
}

func mkdir(root hostfs.Root, path string, mode fs.FileMode) error {
	at, err := resolve(root, path)
	if err != nil {
		return err
	}
	if err := os.Mkdir(at, mode); err != nil {
		return err
	}
	if err := os.Chmod(at, mode); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(at))
}
