// Package importtest turns the older recordings of real hosts into captures,
// for tests. They are folders of outputs with an index; times are those of the
// recording as far as it tells them: the clock's minute at boot, Dom0's uptime
// in xl uptime, and the seconds that each command took.
package importtest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/capture"
	"xtm/internal/run"
)

// Of each phase the files that a host's capture needs are here, byte for byte.
//
//go:embed testdata
var recordings embed.FS

// phase is one moment of a recording.
type phase struct {
	// name is the folder of a recording and one in it, which may be followed by
	// the first letters of the files that belong to the moment.
	name  string
	boot  string
	label string
}

var phases = []phase{
	{"xen-4.12/t0-idle", "2026-11-22T13:33:00Z", "Xen 4.12.4, five guests just booted, recorded 2026-11-22 under emulation"},
	{"xen-4.12/t1-load", "2026-11-22T13:33:00Z", "Xen 4.12.4, five guests under load, recorded 2026-11-22 under emulation"},
	{"xen-4.12/timing", "2026-11-22T13:33:00Z", "Xen 4.12.4, five guests under load, three moments, recorded 2026-11-22 under emulation"},
	{"xen-4.12/t3-late", "2026-11-22T13:33:00Z", "Xen 4.12.4, four guests under load, one destroyed, recorded 2026-11-22 under emulation"},
	{"xen-4.12-notmem/t1-load", "2026-11-22T13:39:00Z", "Xen 4.12.4 without tmem on its command line, recorded 2026-11-22 under emulation"},
	{"xen-4.12-builtin/dom0/01", "2026-11-22T00:00:00Z", "Xen 4.12.4, a guest kernel with tmem built in and off, recorded 2026-11-22 under emulation"},
	{"xen-4.12-builtin/dom0/02", "2026-11-22T00:00:00Z", "Xen 4.12.4, a guest kernel with tmem built in and on, recorded 2026-11-22 under emulation"},
	{"xen-4.17/modern", "2026-11-22T13:46:00Z", "Xen 4.17.7, which has no tmem, recorded 2026-11-22 under emulation"},
}

// Phases are the names that Phase knows.
func Phases() []string {
	names := make([]string, len(phases))
	for i, p := range phases {
		names[i] = p.name
	}
	return names
}

// Phase imports one moment, such as "xen-4.12/t1-load".
func Phase(tb testing.TB, name string) *capture.Capture {
	tb.Helper()
	i := slices.IndexFunc(phases, func(p phase) bool { return p.name == name })
	if i < 0 {
		tb.Fatalf("no phase %q: there are %q", name, Phases())
	}
	c, err := phases[i].load(tb.Context())
	if err != nil {
		tb.Fatalf("import %s: %v", name, err)
	}
	return c
}

// load reads the phase and records it anew.
func (p phase) load(ctx context.Context) (*capture.Capture, error) {
	boot, err := time.Parse(time.RFC3339, p.boot)
	if err != nil {
		return nil, err
	}
	host, rest, _ := strings.Cut(p.name, "/")
	index, err := recordings.ReadFile(path.Join("testdata", host, "index.tsv"))
	if err != nil {
		return nil, err
	}
	folder, prefix, _ := strings.Cut(rest, "/")
	im := importer{
		dir: path.Join("testdata", host, folder), ids: map[string]string{}, files: files{},
	}
	rows, err := parseIndex(index, boot, uptimeOf(host))
	if err != nil {
		return nil, err
	}
	// The builtin recording has its files in dom0 and calls them builtin.
	section := map[string]string{"dom0": "builtin"}[folder]
	if section == "" {
		section = folder
	}
	rows = slices.DeleteFunc(rows, func(r row) bool {
		_, err := recordings.ReadFile(path.Join(im.dir, r.name+".txt"))
		return err != nil || r.phase != section || !strings.HasPrefix(r.name, prefix)
	})
	if len(rows) == 0 {
		return nil, errors.New("the index names no file of this phase")
	}
	last := rows[len(rows)-1]
	im.rec = capture.Record(capture.Seams{Files: im.files, Run: im.run}, capture.Meta{
		XTM: "import", Role: capture.Host, Begin: rows[0].start, Recorded: p.label,
	})
	for _, r := range rows {
		if err := im.take(ctx, r); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return im.rec.Capture(last.start.Add(last.took), capture.Options{}), nil
}

// row is a line of the index, with its time.
type row struct {
	phase, name string
	exit        int
	start       time.Time
	took        time.Duration
	command     string
}

// parseIndex reads lines such as
//
//	t1-load/xl-list-v	rc=0	secs=0.59	xl list -v
//
// and sets each row's start: the commands ran one after the other, and xl
// uptime tells how long after boot it ran. A file that was written twice holds
// what the later command wrote.
func parseIndex(b []byte, boot time.Time, uptime func(phase string) (time.Duration, bool)) ([]row, error) {
	var rows []row
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), "\t", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("index: %q: want 4 fields", line)
		}
		exit, err1 := strconv.Atoi(strings.TrimPrefix(f[1], "rc="))
		secs, err2 := strconv.ParseFloat(strings.TrimPrefix(f[2], "secs="), 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("index: %q: %w", line, err)
		}
		r := row{exit: exit, took: time.Duration(secs * float64(time.Second)).Round(time.Millisecond), command: f[3]}
		r.phase, r.name = path.Split(f[0])
		r.phase = strings.TrimSuffix(r.phase, "/")
		rows = append(rows, r)
	}
	// Forwards from boot and from each uptime; backwards to the phase's begin.
	at := boot
	for i := range rows {
		if rows[i].command == "xl uptime" {
			if up, ok := uptime(rows[i].phase); ok {
				at = boot.Add(up)
				back := at
				for j := i - 1; j >= 0 && rows[j].phase == rows[i].phase; j-- {
					back = back.Add(-rows[j].took)
					rows[j].start = back
				}
			}
		}
		rows[i].start = at
		at = at.Add(rows[i].took)
	}
	seen := map[string]bool{}
	for i, r := range slices.Backward(rows) {
		if key := r.phase + "/" + r.name; seen[key] {
			rows = slices.Delete(rows, i, i+1)
		} else {
			seen[key] = true
		}
	}
	return rows, nil
}

// importer feeds a recorder.
type importer struct {
	dir   string
	rec   *capture.Recorder
	ids   map[string]string // of domains by name
	files files
	next  run.Result // what the program that is run next has done
}

// uptimeOf reads Dom0's uptime of a phase of a host: "Domain-0   0  0:02:22".
func uptimeOf(host string) func(string) (time.Duration, bool) {
	return func(phase string) (time.Duration, bool) {
		b, err := recordings.ReadFile(path.Join("testdata", host, phase, "xl-uptime.txt"))
		if err != nil {
			return 0, false
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) != 3 || f[1] != "0" {
				continue
			}
			d, err := time.ParseDuration(strings.Replace(strings.Replace(f[2], ":", "h", 1), ":", "m", 1) + "s")
			return d, err == nil
		}
		return 0, false
	}
}

// run is the run.Func that the recorder wraps.
func (im *importer) run(context.Context, run.Cmd) (run.Result, error) { return im.next, nil }

// take records what a row of the index did.
func (im *importer) take(ctx context.Context, r row) error {
	out, err := recordings.ReadFile(path.Join(im.dir, r.name+".txt"))
	if err != nil {
		return err
	}
	im.next = run.Result{Stdout: out, ExitCode: r.exit, Start: r.start, Duration: r.took}
	if e, err := recordings.ReadFile(path.Join(im.dir, r.name+".err.txt")); err == nil {
		im.next.Stderr = e
	}
	argv := strings.Fields(r.command)
	switch {
	case argv[0] == "cat" && len(argv) == 2:
		im.files[argv[1]] = file{data: out}
		_, err = im.rec.Seams().Files.ReadFile(argv[1])
		return err
	case r.name == "sys-hypervisor":
		return im.sysHypervisor(string(out))
	case r.command == "xenstore-ls -f":
		return im.store(ctx, string(out))
	case argv[0] == "xentop":
		// The columns are the same; lines of VCPUs and disks may follow each.
		// Names of up to ten bytes are whole without -f, and these are.
		argv = []string{"xentop", "-b", "-f", "-i", "1"}
	case argv[0] != "xl" || strings.ContainsAny(r.command, "|;"):
		return fmt.Errorf("no rule to import %q", r.command)
	case r.command == "xl list":
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 2 && f[1] != "ID" {
				im.ids[f[0]] = f[1]
			}
		}
	case len(argv) == 4 && argv[1] == "tmem-list" && argv[3] != "-a":
		// A source asks by number.
		if argv[3] = im.ids[argv[3]]; argv[3] == "" {
			return nil // a domain that was destroyed before
		}
	}
	_, err = im.rec.Seams().Run(ctx, run.Cmd{Name: argv[0], Args: argv[1:]})
	return err
}

// store makes of the whole store what was asked of each domain:
//
//	/local/domain/1/memory/target = "262144"
//
// Each part has the share of the dump's time that it has of its lines.
func (im *importer) store(ctx context.Context, dump string) error {
	whole := im.next
	perLine := whole.Duration / time.Duration(max(1, strings.Count(dump, "\n")))
	at := whole.Start
	for _, id := range slices.Sorted(maps.Values(im.ids)) {
		for _, branch := range []string{"memory", "data"} {
			p := "/local/domain/" + id + "/" + branch
			part := run.Result{Start: at}
			for line := range strings.Lines(dump) {
				if strings.HasPrefix(line, p+"/") {
					part.Stdout = append(part.Stdout, line...)
					part.Duration += perLine
				}
			}
			if !strings.Contains(dump, "\n"+p+" = ") {
				// What xenstore-ls of 4.12 says of a path that is not there.
				part.ExitCode = 1
				part.Stderr = []byte("xenstore-ls: xs_directory (" + p + "): No such file or directory\n")
			}
			at = at.Add(part.Duration)
			im.next = part
			if _, err := im.rec.Seams().Run(ctx, run.Cmd{Name: "xenstore-ls", Args: []string{"-f", p}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// sysHypervisor takes "PATH: CONTENT" and an empty line for each file, as
// printed by a loop with cat; the content of buildid is binary.
func (im *importer) sysHypervisor(dump string) error {
	const top = "/sys/hypervisor"
	// The loop ended each file with a line break of its own.
	dump = "\n" + strings.TrimSuffix(dump, "\n")
	for part := range strings.SplitSeq(dump, "\n"+top+"/") {
		name, content, ok := strings.Cut(part, ": ")
		if !ok {
			continue
		}
		p := top + "/" + name
		if strings.HasPrefix(content, "cat: read error: Operation not supported") {
			im.files[p] = file{err: &fs.PathError{Op: "read", Path: p, Err: syscall.EOPNOTSUPP}}
		} else {
			im.files[p] = file{data: []byte(content)}
		}
	}
	return im.tree(top)
}

// tree records a folder as a reader would walk it.
func (im *importer) tree(dir string) error {
	seen := im.rec.Seams().Files
	names, err := seen.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		p := path.Join(dir, n)
		if _, isFile := im.files[p]; !isFile {
			err = im.tree(p)
		} else if _, e := seen.ReadFile(p); e != nil && !errors.Is(e, syscall.EOPNOTSUPP) {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}
