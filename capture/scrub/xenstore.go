package scrub

import (
	"bytes"
	"regexp"
	"strings"
)

// allowed are the keys below /local/domain/N whose values may be recorded: what
// a report needs, and nothing that a guest might use to keep a secret. A guest
// may write anything into data/, so only the figures of known agents pass.
var allowed = regexp.MustCompile(`^(?:name|domid|vm` +
	`|memory(?:/.*)?` + // static-max, target, videoram, Qubes' meminfo
	`|data/meminfo_\w+|data/updated` + // xe-guest-utilities
	`|control/feature-balloon` +
	`|backend/pci/\d+/\d+/(?:num_devs|dev-\d+)` + // of Dom0: which devices a guest has
	`|backend/vbd/\d+/\d+/physical-device` + // its disks, by number: paths have names
	`)$`)

// elsewhere are the other keys that a report needs: the toolstack writes them.
var elsewhere = regexp.MustCompile(`^(?:/libxl/\d+/type|/vm/.+/start_time)$`)

// domain is where a domain keeps its keys; a guest's own paths are relative.
var domain = regexp.MustCompile(`^/local/domain/\d+(?:/|$)`)

// storeLine is a line of xenstore-ls -f, with -p the permissions behind it:
//
//	/local/domain/1/memory/target = "262144"
//	/local/domain/1/memory/target = "262144"   . . . . . . . (n0,r1)
var storeLine = regexp.MustCompile(`^(\S+) = "(.*)"[ .]*(?:\([a-z0-9,]*\))?$`)

// xenstore passes the lines of allowed keys, and branches, which have no value.
// Of programs that print no path beside a value nothing passes, but the one
// value of an allowed key.
func (s *Scrubber) xenstore(program string, args []string, b []byte) []byte {
	if program == "xenstore" && len(args) > 0 {
		program, args = "xenstore-"+args[0], args[1:]
	}
	var paths []string
	full := false
	for _, a := range args {
		switch {
		case !strings.HasPrefix(a, "-"):
			paths = append(paths, a)
		case !strings.HasPrefix(a, "--") && strings.Contains(a, "f"):
			full = true
		}
	}
	switch {
	case program == "xenstore-ls" && full:
		return s.storeLines(b)
	case program == "xenstore-read" && len(paths) == 1 && mayPass(paths[0], true):
		return b
	default:
		s.Withheld += bytes.Count(b, []byte("\n"))
		return nil
	}
}

func (s *Scrubber) storeLines(b []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(b)) {
		m := storeLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || !mayPass(m[1], m[2] != "") {
			s.Withheld++
			continue
		}
		out.WriteString(line)
	}
	return out.Bytes()
}

// Key passes a key that was read from xenstore itself, or withholds it.
func (s *Scrubber) Key(path, value string) (string, string, bool) {
	ok := mayPass(path, value != "")
	if !ok {
		s.Withheld++
	}
	return path, value, ok
}

// mayPass judges a key. Branches that hold allowed keys pass where they have no
// value of their own.
func mayPass(path string, hasValue bool) bool {
	key := path
	if strings.HasPrefix(path, "/") {
		at := domain.FindString(path)
		if at == "" {
			return elsewhere.MatchString(path) || !hasValue && (path == "/local" || path == "/local/domain")
		}
		key = path[len(at):]
	}
	if allowed.MatchString(key) {
		return true
	}
	return !hasValue && (key == "" || key == "data" || key == "control")
}
