package periodic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"xtm/internal/hostfs"
	"xtm/internal/statedir"
	"xtm/xen"
)

// statePath holds the snapshot of the last run, to compare with.
const statePath = statedir.Path + "/periodic.json"

// stateSchema is the version of its form.
const stateSchema = 1

type state struct {
	Schema   int          `json:"schema"`
	Snapshot xen.Snapshot `json:"snapshot"`
}

// Last is the snapshot of the run before; nil where there is none. A file that
// cannot be read is an error, and no reason not to report: the next run
// replaces it.
func Last(files hostfs.Files) (*xen.Snapshot, error) {
	b, err := files.ReadFile(statePath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseState(b)
}

// parseState reads what Remember wrote:
//
//	{"schema":1,"snapshot":{"source":"xl","begin":"2026-11-22T13:35:22Z", …}}
func parseState(b []byte) (*xen.Snapshot, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w", statePath, err)
	}
	if s.Schema != stateSchema {
		return nil, fmt.Errorf("read %s: schema %d, and this xtm knows %d", statePath, s.Schema, stateSchema)
	}
	return &s.Snapshot, nil
}

// Remember keeps a snapshot for the next run.
func Remember(root hostfs.Root, s xen.Snapshot) error {
	return statedir.Keep(root, statePath, state{stateSchema, s})
}
