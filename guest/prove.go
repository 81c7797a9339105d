package guest

import (
	"context"
	"errors"
	"fmt"

	"xtm/internal/units"
)

// ProofSize is how much of a file a proof reads.
const ProofSize units.Bytes = 1 << 20

// proofPages are its pages, and the rises that a pool makes.
const proofPages = uint64(ProofSize / units.PageSize)

// Outcome is what a proof found.
type Outcome string

// The outcomes, each seen on Xen 4.12 (captures).
const (
	// Proved: the pages went out and came back, so a pool stands behind this
	// guest.
	Proved Outcome = "proved"
	// NoPool: nothing was counted: the file system has no pool.
	NoPool Outcome = "no_pool"
	// NoHits: the pages went out and none came back: blocks smaller than a page,
	// or a host that takes none now (frozen, or without memory).
	NoHits Outcome = "no_hits"
	// Unclear: other counts, or none at all.
	Unclear Outcome = "unclear"
)

// Proof is the outcome of a proof, with the counts that it rests on.
type Proof struct {
	Outcome Outcome `json:"outcome"`
	File    string  `json:"file,omitempty"`
	// Puts and Gets are the rises of puts and succ_gets.
	Puts uint64 `json:"puts"`
	Gets uint64 `json:"gets"`
	// Why is the reason in words.
	Why string `json:"why"`
}

// ProofIO does a proof's input and output.
type ProofIO interface {
	// Counters reads cleancache's counters.
	Counters() (CleancacheCounters, error)
	// ReadFile reads the first n bytes of a file through the page cache.
	ReadFile(path string, n units.Bytes) error
	// Forget drops them from the page cache (posix_fadvise DONTNEED).
	Forget(path string, n units.Bytes) error
}

// tries is how often a file is tried when other work of the guest moved the
// counters, or pages stuck in a queue on their way into the page cache.
const tries = 3

// Prove finds out whether a pool stands behind this guest, which the kernel
// itself does not know. It reads the start of a file, forgets it and reads it
// again: with a pool the pages go out to it and come back, which the counters
// show. Nothing is written. Files are tried in order until one proves it; no pool
// is the answer only where each of them found none. The error is that of ctx.
func Prove(ctx context.Context, pio ProofIO, files []string) (Proof, error) {
	if len(files) == 0 {
		return Proof{
			Outcome: Unclear,
			Why:     fmt.Sprintf("no file of %d KiB was found on a file system that cleancache serves", ProofSize>>10),
		}, nil
	}
	var doubtful Proof
	for _, file := range files {
		var p Proof
		for range tries {
			if err := ctx.Err(); err != nil {
				return Proof{}, fmt.Errorf("prove that a pool stands behind this guest: %w", err)
			}
			if p = once(pio, file); p.Outcome != Unclear {
				break
			}
		}
		if p.Outcome == Proved {
			return p, nil
		}
		if doubt(p.Outcome) >= doubt(doubtful.Outcome) {
			doubtful = p
		}
	}
	return doubtful, nil
}

// doubt orders the outcomes that are no proof: one file that could not be judged
// leaves open what the others found.
func doubt(o Outcome) int {
	return map[Outcome]int{NoPool: 1, NoHits: 2, Unclear: 3}[o]
}

func once(pio ProofIO, file string) Proof {
	p := Proof{Outcome: Unclear, File: file}
	unreadable := func(err error) Proof {
		p.Why = err.Error()
		return p
	}
	// The first reading only brings the file in, with or without hits of what an
	// earlier proof left in the pool.
	if err := pio.ReadFile(file, ProofSize); err != nil {
		return unreadable(err)
	}
	before, err := pio.Counters()
	if err != nil {
		return unreadable(err)
	}
	if err := errors.Join(pio.Forget(file, ProofSize), pio.ReadFile(file, ProofSize)); err != nil {
		return unreadable(err)
	}
	after, err := pio.Counters()
	if err != nil {
		return unreadable(err)
	}
	if after.Puts < before.Puts || after.SuccGets < before.SuccGets {
		p.Why = "the counters went back"
		return p
	}
	p.Puts, p.Gets = after.Puts-before.Puts, after.SuccGets-before.SuccGets
	p.Outcome, p.Why = judgeRises(p.Puts, p.Gets)
	return p
}

// judgeRises judges what a forgotten and reread file did to puts and succ_gets.
// Other work of the guest can only add to the rises; that pages came back proves
// a pool, whoever asked for them.
func judgeRises(puts, gets uint64) (Outcome, string) {
	counts := fmt.Sprintf("of %d pages of a file that was forgotten and read again, %d went out and %d came back", proofPages, puts, gets)
	switch {
	case puts >= proofPages && gets >= proofPages:
		return Proved, counts
	case puts == 0 && gets == 0:
		return NoPool, counts
	case puts >= proofPages && gets == 0:
		return NoHits, counts + ": the file system's blocks are smaller than a page, or the host takes no pages now"
	default:
		return Unclear, counts + ", which neither proves nor excludes a pool"
	}
}

// String says in words what was proved.
func (p Proof) String() string {
	switch p.Outcome {
	case Proved:
		return "a pool stands behind this guest: " + p.Why
	case NoPool:
		return "no pool stands behind this guest: " + p.Why
	default:
		return "whether a pool stands behind this guest could not be told: " + p.Why
	}
}
