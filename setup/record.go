package setup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"

	"golang.org/x/sys/unix"
)

// The files that xtm keeps of its own.
const (
	stateFolder = "/var/lib/xtm"
	recordFile  = stateFolder + "/enabled.json"
	lockFile    = stateFolder + "/lock"
)

// recordSchema is the version of the record's form.
const recordSchema = 1

// record says what xtm has changed, so that disable undoes that and no more,
// and what a run was about to change when it was killed.
type record struct {
	Schema int `json:"schema"`
	// Words are in GRUB's settings by xtm.
	Words []Word `json:"words,omitempty"`
	// Files are xtm's own.
	Files []string `json:"files,omitempty"`
	// Lines are xtm's in files of somebody else's.
	Lines []fileLine `json:"lines,omitempty"`
	// Swap tells that the swap file is xtm's.
	Swap bool `json:"swap,omitempty"`
	// Pending is a run that has not ended.
	Pending *pending `json:"pending,omitempty"`
}

// pending is what a run changes. It is written before the first change.
type pending struct {
	Began time.Time `json:"began"`
	// Adds are the words that the run puts in; those it takes out stand in
	// Words until it has ended.
	Adds  []Word       `json:"adds,omitempty"`
	Files []fileChange `json:"files"`
	// Lines and Swap are what the run adds.
	Lines []fileLine `json:"lines,omitempty"`
	Swap  bool       `json:"swap,omitempty"`
}

// fileChange is a file that a run changes.
type fileChange struct {
	Path string `json:"path"`
	// Backup is the copy of the old file; "" where there was none.
	Backup string `json:"backup,omitempty"`
	// Before and After are hexadecimal SHA-256 sums; "" is no file.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// sum is the checksum of a file, "" where there is none, which is nil.
func sum(b []byte) string {
	if b == nil {
		return ""
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// readRecord returns an empty record where there is none.
func readRecord(files hostfs.Files) (record, error) {
	r := record{Schema: recordSchema}
	b, err := files.ReadFile(recordFile)
	switch {
	case isMissing(err):
		return r, nil
	case err != nil:
		return r, err
	}
	return parseRecord(b)
}

// parseRecord reads a record. One that it does not understand is an error: what
// was changed would be unknown.
func parseRecord(b []byte) (record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read %s: %w", recordFile, err)
	}
	if r.Schema != recordSchema {
		return r, fmt.Errorf("read %s: schema %d, and this xtm knows %d", recordFile, r.Schema, recordSchema)
	}
	return r, nil
}

// write keeps the record, or removes its file where it says nothing.
func (r record) write(root hostfs.Root) error {
	if len(r.Words) == 0 && len(r.Files) == 0 && len(r.Lines) == 0 && !r.Swap && r.Pending == nil {
		err := atomicfile.Remove(root, recordFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", recordFile, err)
	}
	return atomicfile.Replace(root, recordFile, append(b, '\n'), 0o600)
}

// ErrLocked means that another xtm changes this machine.
var ErrLocked = errors.New("another xtm is at work on this machine")

// lock keeps other runs away until the returned function is called, or the
// process ends.
func lock(root hostfs.Root) (unlock func(), err error) {
	if _, err := atomicfile.MkdirAll(root, path.Dir(stateFolder), 0o755); err != nil {
		return nil, err
	}
	if _, err := atomicfile.MkdirAll(root, stateFolder, 0o700); err != nil {
		return nil, err
	}
	p, err := root.Path(lockFile)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck,gosec // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", lockFile, err)
	}
	return func() { f.Close() }, nil //nolint:errcheck // nothing was written
}
