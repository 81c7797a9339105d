package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"xtm/internal/atomicfile"
	"xtm/internal/filelock"
	"xtm/internal/hostfs"
)

// journal is what earlier runs did in a work folder. It is replaced whole after
// each step, so that a run that was killed finds what held before.
type journal struct {
	Schema int              `json:"schema"`
	Phases map[Phase]*entry `json:"phases"`
	path   string
}

// entry is what is known of one phase.
type entry struct {
	// Inputs is a hash of all that the outcome depends on: the phase's own
	// inputs, and the runs before it.
	Inputs  string    `json:"inputs"`
	Done    bool      `json:"done"` // false while it runs, and where it failed
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"`
	// Result is what the phase wants to find again.
	Result map[string]string `json:"result,omitempty"`
}

const journalSchema = 1

// maxJournal bounds what is read back.
const maxJournal = 1 << 20

// openJournal reads a journal; where there is none, or one of another xtm, it is
// empty and all is done anew.
func openJournal(path string) (*journal, error) {
	j := &journal{Schema: journalSchema, Phases: map[Phase]*entry{}, path: path}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	} else if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if len(b) > maxJournal {
		return nil, fmt.Errorf("read journal %s: over %d bytes", path, maxJournal)
	}
	old := journal{path: path}
	if err := json.Unmarshal(b, &old); err != nil {
		return nil, fmt.Errorf("read journal %s: %w", path, err)
	}
	if old.Schema != journalSchema || old.Phases == nil {
		return j, nil
	}
	return &old, nil
}

func (j *journal) save() error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return atomicfile.Replace(hostfs.Host, j.path, append(b, '\n'), 0o644)
}

// hashOf joins the inputs of a phase.
func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ErrBusy means that another run works in the same folder.
var ErrBusy = errors.New("another build works in this folder")

// lock takes a work folder until it is closed, or its process ends.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := filelock.Try(f); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, filelock.ErrHeld) {
			err = busy(path)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		_ = f.Close() // the first error says more
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// busy names the process that holds a lock.
func busy(path string) error {
	b, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" || len(pid) > 10 {
		return ErrBusy
	}
	return fmt.Errorf("%w: process %s", ErrBusy, pid)
}
