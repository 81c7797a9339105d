// Package capture records what a run of xtm reads and gives it back later: the
// ordinary sources run on either, so there is no second parser.
//
// A capture is a folder, or the same packed as .tar.gz:
//
//	meta.json      schema, xtm's version, role, begin, end, label
//	run.tsv        one program a line: stem, exit, start, duration, argv, error
//	run/STEM.out   its stdout; run/STEM.err its stderr
//	root.tsv       one look at a path a line: path, look, outcome, detail
//	root/…         the files that could be read, at their paths
//	call.tsv       one hypercall a line: stem, request, value, begin, took, error
//	call/STEM.struct what then stood in its memory; call/STEM.data in its second buffer
//	xenstore.tsv   one key a line: path, outcome, value
//
// Links, listings and failures stand in root.tsv only, so that a capture holds
// nothing but plain files. The last three are there where anything was asked so.
// What Open does not know within its own schema it leaves aside and names in
// Capture.Ignored.
//
// A capture is one moment. A path that is looked at twice gives its first
// answer again, while recording too. A program that is run several times with
// the same arguments is recorded each time; a replay gives the results in their
// order and then repeats the last. So it is with hypercalls, and a key of
// xenstore is as a file.
package capture

import (
	"errors"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen/hypercall"
)

// Schema is the number of the layout that Write writes. Additions that an older
// xtm may leave aside do not raise it.
const Schema = 1

// ErrNotCapture means that a path holds something else, or an unfinished
// capture.
var ErrNotCapture = errors.New("not a capture")

// Seams are the ways in which xtm meets a machine.
type Seams struct {
	Files hostfs.Files
	Run   run.Func
	// Calls and Store are nil where there are no hypercalls and no xenstore to
	// ask, as in a capture that holds none.
	Calls hypercall.Caller
	Store hypercall.Store
}

// Role is the side that was recorded.
type Role string

// The two sides of a Xen machine.
const (
	Host  Role = "host"
	Guest Role = "guest"
)

// Meta is what a capture says of itself.
type Meta struct {
	Schema int       `json:"schema"`
	XTM    string    `json:"xtm"` // the version that recorded
	Role   Role      `json:"role"`
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end"`
	// Recorded is a label for people; "" where nobody gave one.
	Recorded string `json:"recorded,omitempty"`
	// Redacted is true where names, uuids and addresses are pseudonyms.
	Redacted bool `json:"redacted"`
	// Scrubbed counts the secrets that became "[scrubbed]".
	Scrubbed int `json:"scrubbed"`
	// Withheld counts the lines and keys of xenstore that the allow-list kept out.
	Withheld int `json:"withheld"`
	// CallsLeftOut counts the hypercalls that redaction could not redact.
	CallsLeftOut int `json:"calls_left_out,omitempty"`
}

// Capture is a recording, complete in memory.
type Capture struct {
	Meta Meta
	// Ignored names the entries that Open did not know.
	Ignored []string

	runs  []ran
	looks map[look]answer
	calls []called
	keys  map[string]kept
}

// ran is one program that was run.
type ran struct {
	argv    []string
	result  run.Result
	failure failure
}

// Label names the capture for people: its label, else role and time.
func (c *Capture) Label() string {
	if c.Meta.Recorded != "" {
		return c.Meta.Recorded
	}
	return string(c.Meta.Role) + ", " + c.Meta.Begin.UTC().Format(time.RFC3339)
}
