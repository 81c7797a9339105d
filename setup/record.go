package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

const recordFile = statedir.Path + "/enabled.json"

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
	case cause.Of(err) == cause.NoData:
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
	if err := statedir.Parse(b, recordSchema, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", recordFile, err)
	}
	return r, nil
}

// write keeps the record, or removes its file where it says nothing.
func (r record) write(root hostfs.Root) error {
	if len(r.Words) == 0 && len(r.Files) == 0 && len(r.Lines) == 0 && !r.Swap && r.Pending == nil {
		return statedir.Forget(root, recordFile)
	}
	return statedir.Keep(root, recordFile, r)
}
