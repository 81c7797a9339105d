package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

// holdFolder has a file for each domain that is frozen.
const holdFolder = statedir.Path + "/frozen"

// Process is a running program, told from a later one of the same number by when
// it began.
type Process struct {
	PID int `json:"pid"`
	// Began is in clock ticks after the kernel's start (field 22 of
	// /proc/PID/stat); 0 is not known.
	Began uint64 `json:"began"`
}

// Hold is a freeze of xtm's: the dead man's file, written and synchronised before
// a domain is frozen.
type Hold struct {
	Schema   int       `json:"schema"`
	Domain   Ref       `json:"domain"`
	Process  Process   `json:"process"`
	Boot     string    `json:"boot"` // Dom0's boot_id: a hold ends with the boot
	Began    time.Time `json:"began"`
	Deadline time.Time `json:"deadline"`
	// Keep tells that it lasts to its deadline though its process has ended.
	Keep bool `json:"keep,omitempty"`
}

const holdSchema = 1

// Due tells why a hold is to end now, or that it is not.
func (h Hold) Due(now time.Time, boot string, alive func(Process) bool) (why string, due bool) {
	switch {
	case h.Boot != boot:
		return "the host was restarted since", true
	case !now.Before(h.Deadline):
		return "its deadline, " + h.Deadline.UTC().Format("15:04:05 MST") + ", has passed", true
	case !h.Keep && !alive(h.Process):
		return fmt.Sprintf("process %d, which froze it, has ended", h.Process.PID), true
	}
	return "", false
}

// file is where a hold is written. A domain has one at most.
func (h Hold) file() string { return path.Join(holdFolder, strconv.Itoa(int(h.Domain.ID))+".json") }

// write makes the hold last before anything is frozen.
func (h Hold) write(root hostfs.Root) error { return statedir.Keep(root, h.file(), h) }

// remove forgets the hold; that it is gone already is no error.
func (h Hold) remove(root hostfs.Root) error { return statedir.Forget(root, h.file()) }

// Holds reads the freezes on record.
func Holds(files hostfs.Files) ([]Hold, error) {
	names, err := files.ReadDir(holdFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Hold
	for _, name := range names {
		id, ok := strings.CutSuffix(name, ".json")
		if !ok {
			continue // a stage that a killed run left
		}
		p := path.Join(holdFolder, name)
		b, err := files.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended in between
		}
		if err != nil {
			return nil, err
		}
		h, err := parseHold(b)
		if err == nil && strconv.Itoa(int(h.Domain.ID)) != id {
			err = fmt.Errorf("it speaks of domain %d", h.Domain.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w: if domain %s is frozen, thaw it with xl tmem-thaw %s, then remove the file", p, err, id, id)
		}
		out = append(out, h)
	}
	return out, nil
}

// parseHold reads a dead man's file. One that it does not understand is an error:
// a domain may be frozen.
//
//	{"schema": 1, "domain": {"domid": 3, "uuid": "1d9f7584-e679-11f1-971d-5fe415631a83", "name": "web1"},
//	 "process": {"pid": 4242, "began": 912345}, "boot": "5c0f4f3e-…", "began": "…", "deadline": "2026-11-22T13:40:22Z"}
func parseHold(b []byte) (Hold, error) {
	var h Hold
	err := statedir.Parse(b, holdSchema, &h)
	if err == nil && h.Deadline.IsZero() {
		err = errors.New("no deadline")
	}
	return h, err
}

// BootID is what tells one boot of Dom0, and so of Xen, from another.
func BootID(files hostfs.Files) (string, error) {
	b, err := files.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// ProcessOf is a running process; its beginning is 0 where there is none such.
func ProcessOf(files hostfs.Files, pid int) Process {
	b, err := files.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{PID: pid}
	}
	return Process{PID: pid, Began: parseStart(string(b))}
}

// Alive tells whether a process still runs. Where that cannot be told it does,
// and the deadline decides.
func Alive(files hostfs.Files) func(Process) bool {
	return func(p Process) bool {
		ok, err := files.Exists("/proc/self/stat")
		if !ok || err != nil || p.Began == 0 {
			return true
		}
		return ProcessOf(files, p.PID).Began == p.Began
	}
}

// parseStart reads field 22 of /proc/PID/stat, behind a name in parentheses that
// may hold anything (fs/proc/array.c):
//
//	4242 (xtm) S 4100 4242 4100 34816 4242 4194304 1410 0 0 0 5 2 0 0 20 0 8 0 912345 1275863040 …
//
// It is 0 where the text is another.
func parseStart(stat string) uint64 {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 {
		return 0
	}
	n, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
