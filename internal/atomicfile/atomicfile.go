// Package atomicfile changes files that belong to the user, so that a crash at
// any moment leaves the whole old file or the whole new one.
//
// A new file is written in a folder of its own beside its target, named
// ".xtm-tmp-" and a number: no scanner of configuration folders (grub.d,
// modprobe.d, cron.d, run-parts) looks into a folder with such a name, and
// nobody else makes one, so that what a killed run left behind is known and can
// be removed. The folder is locked while its writer lives.
//
// github.com/google/renameio writes, synchronises and renames. What it leaves
// out is done here: links are resolved inside the root, owner and extended
// attributes are kept, the folder is synchronised, leftovers are recognised.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"xtm/internal/hostfs"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// ErrNotRegular means that the target is a folder, a device or a pipe, which is
// never replaced.
var ErrNotRegular = errors.New("not a regular file")

// Replace makes a file hold data. An existing file keeps mode, owner, access
// list, SELinux label and the other extended attributes; a new one gets mode,
// whatever the umask. A symbolic link stays: what it leads to inside the root
// is replaced. Other hard links to the file keep the old contents.
//
// After an error the old file is untouched and nothing is left beside it; only
// where the error is of the folder's last synchronisation is the new file
// already in place.
func Replace(root hostfs.Root, path string, data []byte, mode fs.FileMode) error {
	target, err := resolve(root, path)
	if err != nil {
		return failed("replace", path, err)
	}
	old, err := openRegular(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("replace", path, err)
	}
	if old != nil {
		defer closeRead(old)
	}
	return failed("replace", path, write(filepath.Dir(target), target, data, old, mode))
}

// Remove deletes a file, so that after a crash it is there whole or gone for
// good. Where path is a symbolic link, what it leads to is deleted and the link
// stays. A file that does not exist is fs.ErrNotExist.
func Remove(root hostfs.Root, path string) error {
	target, err := resolve(root, path)
	if err != nil {
		return failed("remove", path, err)
	}
	f, err := openRegular(target)
	if err != nil {
		return failed("remove", path, err)
	}
	defer closeRead(f)
	if err := os.Remove(target); err != nil {
		return failed("remove", path, err)
	}
	return failed("remove", path, syncFolder(filepath.Dir(target)))
}

// write puts data at target, which is no link, with the attributes of like or,
// where that is nil, with mode. The stage is made in a folder of the same file
// system.
func write(stageIn, target string, data []byte, like *os.File, mode fs.FileMode) (err error) {
	if err := clean(stageIn); err != nil {
		return err
	}
	s, err := newStage(stageIn)
	if err != nil {
		return err
	}
	defer s.close()
	f, err := renameio.NewPendingFile(target, renameio.WithTempDir(s.path), renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Cleanup(); err == nil {
			err = cerr
		}
	}()
	if like == nil {
		err = f.Chmod(mode)
	} else {
		err = copyAttributes(f.File, like)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	s.close()
	return syncFolder(filepath.Dir(target))
}

// resolve finds the file behind a path: every link, the last one too, is
// followed inside the root, and what does not exist is taken as it stands.
func resolve(root hostfs.Root, path string) (string, error) {
	return securejoin.SecureJoin(string(root), path)
}

// openRegular does not block on a pipe nor touch a device.
func openRegular(path string) (*os.File, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	return os.Open(path)
}

// closeRead closes what was only read, so that nothing can be lost by it.
func closeRead(f *os.File) { _ = f.Close() }

// copyAttributes makes a new file look like an old one. The owner comes before
// the mode, because a change of owner takes the set-user bits away.
func copyAttributes(to, from *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	fi, err := from.Stat()
	if err != nil {
		return err
	}
	if err := to.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := to.Chmod(fi.Mode()); err != nil {
		return err
	}
	return copyXattrs(to, from)
}

// syncFolder makes names in a folder last. Some file systems cannot, and say
// EINVAL: there is nothing better to do then.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer closeRead(d)
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// failed names the path as the user knows it, once, instead of the temporary
// one in which the system call failed.
func failed(verb, path string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return fmt.Errorf("%s %s: %w", verb, filepath.Join("/", path), err)
}
