package cause

// Kind is why something is refused, so that a command can end with its exit
// code.
type Kind string

// The kinds.
const (
	// Impossible: this machine cannot have it.
	Impossible Kind = "impossible"
	// Unsaid: the user must say something first; Ways name the option.
	Unsaid Kind = "unsaid"
	// Blocked: something else stands in the way and can be changed.
	Blocked Kind = "blocked"
)

// RefusalError is a plan that is not made; nothing was written.
type RefusalError struct {
	Kind Kind
	// Seen is what was found, Why the reason that it will not do; "" where that
	// says itself.
	Seen, Why string
	// Ways are what will do, a line each.
	Ways []string
}

// Error is what was found and why it will not do.
func (r *RefusalError) Error() string {
	if r.Why == "" {
		return r.Seen
	}
	return r.Seen + ": " + r.Why
}

// Hints are the ways.
func (r *RefusalError) Hints() []string { return r.Ways }
