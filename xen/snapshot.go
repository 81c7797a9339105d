// Package xen holds the values that describe a Xen host. It reads nothing:
// sources below it fill a Snapshot, the report package judges it.
package xen

import (
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
)

// Snapshot is all that was read of a host, with the time it took. It is not
// one instant: guests went on meanwhile.
type Snapshot struct {
	// Source names what was read: "xl", "hypercall", "screen", "listing".
	Source string `json:"source"`
	// Recorded is where it was recorded; "" is the live host.
	Recorded string    `json:"recorded,omitempty"`
	Begin    time.Time `json:"begin,omitzero"`
	End      time.Time `json:"end,omitzero"`
	Host     Host      `json:"host"`
	// Domains in order of their numbers, else as the source showed them.
	Domains []Domain `json:"domains"`
	// Tmem is absent where there is no listing: Gaps says why.
	Tmem opt.Value[Listing] `json:"tmem,omitzero"`
	// ListedAt is when the listing was asked for: the moment that rates of
	// tmem's counters are reckoned from.
	ListedAt time.Time `json:"listed_at,omitzero"`
	// TmemState is whether the hypervisor has tmem and has it switched on.
	TmemState TmemState `json:"tmem_state"`
	Gaps      []Gap     `json:"gaps,omitempty"`
}

// Gap is something that a source could not read.
type Gap struct {
	// What is the thing: "host memory", "tmem listing", "memory/target of web1".
	What string `json:"what"`
	// Why is the reason in words, with the command or file.
	Why   string     `json:"why"`
	Cause cause.Word `json:"cause"`
	// Advice is what to do about it; "" where nothing can be done.
	Advice string `json:"advice,omitempty"`
}

// GapOf makes a gap of an error.
func GapOf(what string, err error) Gap {
	return Gap{What: what, Why: err.Error(), Cause: cause.Of(err)}
}

// TmemState is the answer to "does tmem stand behind these guests?".
type TmemState struct {
	Answer TmemAnswer `json:"answer"`
	// Evidence is what the answer rests on, in one sentence.
	Evidence string `json:"evidence"`
	// Advice is what to do where there is none.
	Advice string `json:"advice,omitempty"`
}

// TmemAnswer is one of five.
type TmemAnswer string

// The answers. Off and CompiledOut can be mended, Removed cannot.
const (
	TmemOn          TmemAnswer = "on"
	TmemOff         TmemAnswer = "off"          // built in, not on Xen's command line
	TmemCompiledOut TmemAnswer = "compiled_out" // 4.7–4.12 without CONFIG_TMEM
	TmemRemoved     TmemAnswer = "removed"      // Xen 4.13 and later
	TmemUnknown     TmemAnswer = "could_not_tell"
)
