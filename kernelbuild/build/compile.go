package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"xtm/kernelbuild/kconfig"
)

func (s *session) built(result map[string]string) bool {
	files, err := s.listed()
	if err != nil {
		return false
	}
	for _, f := range files {
		if _, err := os.Stat(s.path("src", f.File)); err != nil {
			return false
		}
	}
	return true
}

// build makes the packages. What an earlier run compiled is kept: make knows.
func (s *session) build(ctx context.Context) (map[string]string, error) {
	if err := s.removePackages(); err != nil {
		return nil, err
	}
	s.record.Reproducer, s.record.Inputs.Timestamp = s.reproducer(), s.timestamp()
	s.record.Inputs.LogFile = s.plan.Make[0] + ".log"
	if err := s.saveRecord(); err != nil {
		return nil, err
	}
	p := &progress{report: s.Report, now: s.Now, begin: s.Now(), expected: s.expectedObjects()}
	err := s.make(ctx, Build, s.plan.Make[0], s.plan.Make[1:], nil, p)
	if err != nil {
		// Half a package is worse than none, and space may be what lacked.
		return nil, errors.Join(err, s.removePackages())
	}
	if _, err := s.listed(); err != nil {
		return nil, err
	}
	s.record.Inputs.ObjectsBuilt = p.done
	return map[string]string{"objects": strconv.Itoa(p.done)}, nil
}

// expectedObjects is the count of the last whole build here, else a guess: 6.1
// with 522 symbols made 1,380, and 4.19 with 1,335 made 3,000.
func (s *session) expectedObjects() int {
	if e := s.journal.Phases[Build]; e != nil {
		if n, err := strconv.Atoi(e.Result["objects"]); err == nil && n > 0 {
			return n
		}
	}
	enabled := s.plan.Needs.Enabled
	if b, err := os.ReadFile(s.path("config", "final.config")); err == nil {
		if c, err := kconfig.ReadConfig(b); err == nil {
			yes, modules := c.Enabled()
			enabled = yes + modules
		}
	}
	return enabled * 12 / 5
}

// removePackages takes away what a build leaves beside its tree.
func (s *session) removePackages() error {
	for _, pattern := range []string{"*.deb", "*.changes", "*.buildinfo"} {
		names, err := filepath.Glob(s.path("src", pattern))
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := os.Remove(n); err != nil {
				return fmt.Errorf("remove unfinished package: %w", err)
			}
		}
	}
	return nil
}

// progress counts the objects that make tells of, a line each.
//
//	CC      init/main.o
//	CC [M]  drivers/xen/tmem.o
//	LD      vmlinux
type progress struct {
	report   func(Event)
	now      func() time.Time
	begin    time.Time
	expected int
	done     int
	rest     []byte // of a line that has not ended
	last     time.Time
}

// Write implements io.Writer.
func (p *progress) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			break
		}
		if object(line) {
			p.done++
		}
		p.rest = rest
	}
	const longest = 64 << 10
	if len(p.rest) > longest {
		p.rest = nil // no line of make's
	}
	if now := p.now(); now.Sub(p.last) >= 200*time.Millisecond {
		p.last = now
		p.report(Event{Phase: Build, Kind: Advanced, Done: p.done, Expected: max(p.expected, p.done), Elapsed: now.Sub(p.begin)})
	}
	return len(b), nil
}

// object tells whether a line says that something was made.
func object(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("  ")) {
		return false
	}
	word, _, _ := bytes.Cut(bytes.TrimLeft(line, " "), []byte(" "))
	switch string(word) {
	case "CC", "LD", "AR", "AS", "HOSTCC", "HOSTLD", "OBJCOPY", "GEN", "MODPOST", "STRIP", "INSTALL", "BTF", "SIGN", "UPD":
		return true
	default:
		return false
	}
}
