package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
)

// Mount is a mounted file system.
type Mount struct {
	Source string `json:"source"`
	Point  string `json:"point"`
	Type   string `json:"type"`
}

// ReadMounts lists what is mounted, in the order of mounting.
func ReadMounts(files hostfs.Files) ([]Mount, error) {
	b, err := files.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	mounts, err := parseMounts(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read /proc/mounts: %w", err)
	}
	return mounts, nil
}

// parseMounts reads lines of /proc/mounts, as from captures/xen-4.12:
//
//	debugfs /sys/kernel/debug debugfs rw,relatime 0 0
//	/dev/xvda /mnt ext4 rw,relatime,block_validity,delalloc,barrier,user_xattr 0 0
func parseMounts(r io.Reader) ([]Mount, error) {
	var mounts []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // overlayfs names all its layers in one line
	n := 0
	for lines.Scan() {
		n++
		f := strings.Fields(lines.Text())
		if len(f) == 5 { // an empty source is no word at all
			f = append([]string{""}, f...)
		}
		if len(f) != 6 {
			return nil, fmt.Errorf("line %d: %.120q is not of six words", n, lines.Text())
		}
		mounts = append(mounts, Mount{unescape(f[0]), unescape(f[1]), f[2]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return mounts, nil
}

// Answer is the answer of a probe.
type Answer string

// The three answers.
const (
	Yes          Answer = "yes"
	No           Answer = "no"
	CouldNotTell Answer = "could_not_tell"
)

// FileSystem is a mounted file system on a disk, and whether cleancache serves
// it.
type FileSystem struct {
	Mount
	Served Answer `json:"served"`
	// Why is the reason in words.
	Why string `json:"why"`
	// BlockSize is absent where the system is not the running one.
	BlockSize opt.Value[units.Bytes] `json:"block_size_bytes,omitzero"`
}

// hooked are the file systems that tell cleancache of each mount. Pages come
// back for full blocks only (mpage and ext4_mpage_readpages ask when a page is
// one block), which btrfs, whose blocks are pages, does not ask for.
var hooked = map[string]string{
	"ext3":  "ext3 has cleancache's hooks, and from 4.3 it is ext4's driver that mounts it",
	"ext4":  "ext4 has cleancache's hooks",
	"btrfs": "btrfs has cleancache's hooks",
	"ocfs2": "ocfs2 has cleancache's hooks, and a shared pool",
}

// FileSystems are the mounted file systems on disks, each disk once, and
// whether cleancache serves them: ext3, ext4, btrfs and ocfs2 do, all others do
// not (fs/*/super.c, Linux 3.0–5.16). f2fs asks for pages and never announces a
// mount. A page comes back only where a block is as large as a page. blockSize is
// what statfs says of a mount point; nil where the system is not the running one.
func FileSystems(mounts []Mount, blockSize func(point string) (units.Bytes, error)) []FileSystem {
	var out []FileSystem
	seen := map[Mount]bool{}
	for _, m := range mounts {
		why, has := hooked[m.Type]
		key := Mount{Source: m.Source, Type: m.Type}
		if !has && !strings.HasPrefix(m.Source, "/dev/") && m.Type != "zfs" || seen[key] {
			continue
		}
		seen[key] = true
		f := FileSystem{Mount: m, Served: Yes, Why: why}
		switch {
		case m.Type == "ext2":
			f.Served, f.Why = CouldNotTell, "ext2 is served only where ext4's driver mounts it"
		case !has:
			f.Served, f.Why = No, m.Type+" has no cleancache hooks"
		default:
			f.judgeBlocks(blockSize)
		}
		out = append(out, f)
	}
	return out
}

func (f *FileSystem) judgeBlocks(blockSize func(string) (units.Bytes, error)) {
	err := errors.New("it is not the running system")
	var size units.Bytes
	if blockSize != nil {
		size, err = blockSize(f.Point)
	}
	switch {
	case err != nil && f.Type == "btrfs":
		f.Why += "; its blocks are pages"
	case err != nil:
		f.Served = CouldNotTell
		f.Why += fmt.Sprintf(", but only for blocks of %d bytes, and their size is not known: %v", units.PageSize, err)
	default:
		f.BlockSize = opt.Of(size)
		if size != units.PageSize {
			f.Served = No
			f.Why += fmt.Sprintf(", but its blocks have %d bytes: pages go out and never come back", size)
		}
	}
}
