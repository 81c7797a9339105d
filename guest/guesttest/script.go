package guesttest

import (
	"fmt"

	"xtm/guest"
	"xtm/internal/units"
)

// Script is a guest.ProofIO whose counters move as told: Rises[i] is added by the
// i-th time that a file is forgotten, the last one by all later times. The zero
// value is a guest without a pool.
type Script struct {
	Rises []guest.CleancacheCounters
	// Errs fail the operation of that name: "counters", "read", "forget".
	Errs map[string]error
	// Log is what was done, in order.
	Log []string

	now     guest.CleancacheCounters
	forgets int
}

// Counters implements guest.ProofIO.
func (s *Script) Counters() (guest.CleancacheCounters, error) {
	s.Log = append(s.Log, "counters")
	return s.now, s.Errs["counters"]
}

// ReadFile implements guest.ProofIO.
func (s *Script) ReadFile(path string, n units.Bytes) error {
	s.Log = append(s.Log, fmt.Sprintf("read %d %s", n, path))
	return s.Errs["read"]
}

// Forget implements guest.ProofIO.
func (s *Script) Forget(path string, n units.Bytes) error {
	s.Log = append(s.Log, fmt.Sprintf("forget %d %s", n, path))
	if len(s.Rises) > 0 {
		rise := s.Rises[min(s.forgets, len(s.Rises)-1)]
		s.now.SuccGets += rise.SuccGets
		s.now.FailedGets += rise.FailedGets
		s.now.Puts += rise.Puts
		s.now.Invalidates += rise.Invalidates
	}
	s.forgets++
	return s.Errs["forget"]
}
