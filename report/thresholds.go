package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"xtm/internal/toml"
)

// Threshold is one rule's line between good and not.
type Threshold struct {
	// Check is the finding's name.
	Check string `json:"check"`
	// Limit is compared as Meaning says, in Unit.
	Limit   float64 `json:"limit"`
	Unit    string  `json:"unit"`
	Meaning string  `json:"meaning"`
	// MinSample is how many events must have been counted before the rule
	// speaks; below it the verdict is "too few".
	MinSample int64 `json:"min_sample"`
	// Hold is how long the counters must have run, or the interval must be.
	Hold time.Duration `json:"hold_ns"`
}

// Thresholds are all rules, one per check.
type Thresholds []Threshold

// Of is the threshold of a check; every check has one.
func (t Thresholds) Of(check string) Threshold {
	if i := slices.IndexFunc(t, func(x Threshold) bool { return x.Check == check }); i >= 0 {
		return t[i]
	}
	return DefaultThresholds().Of(check)
}

// The checks.
const (
	CheckNoSwap        = "no-swap"
	CheckPutsRefused   = "puts-refused-at-maximum"
	CheckFalling       = "put-acceptance-falling"
	CheckHitRate       = "hit-rate-low"
	CheckPinned        = "memory-pinned"
	CheckFrozen        = "frozen"
	CheckShrinks       = "shrinks-without-pool"
	CheckTakesNoPart   = "takes-no-part"
	CheckOvercommitted = "overcommitted"
)

// DefaultThresholds are the lines that xtm draws by itself.
func DefaultThresholds() Thresholds {
	return Thresholds{
		{
			Check: CheckShrinks, Limit: 0.05, Unit: "share of the toolstack target", Hold: 30 * time.Second,
			Meaning: "a guest that stands this far below its toolstack target has shrunk itself",
		},
		{
			Check: CheckNoSwap, Limit: 1, Unit: "ephemeral pools", Hold: 30 * time.Second,
			Meaning: "a client with at least this many ephemeral pools and no persistent one",
		},
		{
			Check: CheckPutsRefused, Limit: 0.01, Unit: "share of attempted puts", MinSample: 100,
			Meaning: "refused puts from this share on",
		},
		{
			Check: CheckFalling, Limit: 0.10, Unit: "share of attempted puts", MinSample: 100, Hold: 5 * time.Second,
			Meaning: "put acceptance of the interval this far below the one since the start",
		},
		{
			Check: CheckHitRate, Limit: 0.10, Unit: "share of counted gets", MinSample: 1000, Hold: time.Minute,
			Meaning: "a hit rate below this is not worth the pages held",
		},
		{
			Check: CheckPinned, Limit: 0.25, Unit: "share of current memory", MinSample: 256, Hold: time.Minute,
			Meaning: "persistent pages from this share on, of which none was read back in the interval",
		},
		{
			Check: CheckFrozen, Limit: 1, Unit: "frozen flag",
			Meaning: "a frozen client cannot put pages",
		},
		{
			Check: CheckTakesNoPart, Limit: 0.02, Unit: "share of maximum memory", Hold: time.Minute,
			Meaning: "a guest without tmem that has given up no more than this",
		},
		{
			Check: CheckOvercommitted, Limit: 1, Unit: "overcommit ratio",
			Meaning: "from this ratio on not all guests can grow to their maximum",
		},
	}
}

// ParseThresholds reads thresholds that replace the default ones, strictly.
//
//	[hit-rate-low]
//	limit = 0.2
//	min_sample = 5000
//	hold = "10m"
func ParseThresholds(text []byte) (Thresholds, error) {
	type section struct {
		Limit     *float64 `toml:"limit"`
		MinSample *int64   `toml:"min_sample"`
		Hold      *string  `toml:"hold"`
	}
	var file map[string]section
	if err := toml.Decode(text, &file); err != nil {
		return nil, fmt.Errorf("parse thresholds: %w", err)
	}
	out := DefaultThresholds()
	for _, name := range slices.Sorted(maps.Keys(file)) {
		i := slices.IndexFunc(out, func(t Threshold) bool { return t.Check == name })
		if i < 0 {
			return nil, fmt.Errorf("parse thresholds: no check is called %q; there are %s", name, strings.Join(out.names(), ", "))
		}
		s := file[name]
		if s.Limit != nil {
			if *s.Limit < 0 {
				return nil, fmt.Errorf("parse thresholds: %s: limit %g is negative", name, *s.Limit)
			}
			out[i].Limit = *s.Limit
		}
		if s.MinSample != nil {
			if *s.MinSample < 0 {
				return nil, fmt.Errorf("parse thresholds: %s: min_sample %d is negative", name, *s.MinSample)
			}
			out[i].MinSample = *s.MinSample
		}
		if s.Hold != nil {
			d, err := time.ParseDuration(*s.Hold)
			if err != nil || d < 0 {
				return nil, fmt.Errorf("parse thresholds: %s: hold %q is not a duration such as 30s or 10m", name, *s.Hold)
			}
			out[i].Hold = d
		}
	}
	return out, nil
}

func (t Thresholds) names() []string {
	out := make([]string, 0, len(t))
	for _, x := range t {
		out = append(out, x.Check)
	}
	return out
}
