package report

import "time"

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
