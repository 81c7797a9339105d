package capture

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"xtm/capture/redact"
	"xtm/xen/hypercall"
)

// handles are the uuids that hypercalls answered, with the domains' numbers. The
// source reads them, for only it knows where they stand.
func handles(calls []called) map[string]int {
	ids, often := map[string]int{}, map[ask]int{}
	rounds := 0
	for _, c := range calls {
		often[c.ask]++
		rounds = max(rounds, often[c.ask])
	}
	s := (&Capture{calls: calls}).Seams()
	for range rounds { // each gets later answers
		snap, err := hypercall.New(s.Calls, s.Store, s.Files).Snapshot(context.Background())
		if err != nil {
			break
		}
		for _, d := range snap.Domains {
			if id, ok := d.ID.Get(); ok && d.UUID != "" {
				ids[d.UUID] = int(id)
			}
		}
	}
	return ids
}

// redactCalls replaces in the answers of hypercalls what tells whose host it
// was: uuids of domains, which are binary, and whatever redaction changes in the
// console ring, the command line and the version. A text keeps its length, for
// a ring is read by positions. ok is false where that is not possible: a tmem
// listing with shared pools has ids of its own.
func redactCalls(calls []called, r *redact.Redactor) (out []called, ok bool) {
	ok = true
	fixed := func(b []byte) []byte {
		text := bytes.TrimRight(b, "\x00")
		if bytes.IndexByte(text, 0) >= 0 {
			return b // no text
		}
		var done []byte
		for line := range bytes.Lines(text) {
			done = append(done, sameLength(r.Text(line), line)...)
		}
		if bytes.HasPrefix(text, []byte("G=")) && !bytes.Equal(r.Listing(text), text) {
			ok = false
		}
		return append(done, b[len(text):]...)
	}
	out = scrubCalls(plainConsole(calls), fixed)
	for uuid, id := range handles(calls) {
		raw, pseudonym := binaryUUID(uuid), binaryUUID(r.UUID(uuid, id))
		for i := range out {
			out[i].data = bytes.ReplaceAll(out[i].data, raw, pseudonym)
			out[i].main = bytes.ReplaceAll(out[i].main, raw, pseudonym)
		}
	}
	return out, ok
}

// plainConsole takes NULs out of the console ring, into which Dom0 writes what it
// likes.
func plainConsole(calls []called) []called {
	out := slices.Clone(calls)
	for i, c := range out {
		if c.String() == readConsole {
			n := len(bytes.TrimRight(c.data, "\x00"))
			out[i].data = slices.Concat(bytes.ReplaceAll(c.data[:n], []byte{0}, []byte{' '}), c.data[n:])
		}
	}
	return out
}

// readConsole is XEN_SYSCTL_readconsole (xen/include/public/sysctl.h, 4.0–4.22).
const readConsole = "sysctl 1"

// sameLength fills a redacted line with blanks, or cuts it, to the length that
// it had.
func sameLength(redacted, line []byte) []byte {
	if len(redacted) == len(line) {
		return redacted
	}
	end := line[len(bytes.TrimRight(line, "\r\n")):]
	room := len(line) - len(end)
	body := bytes.TrimRight(redacted, "\r\n")
	body = append(slices.Clone(body[:min(len(body), room)]), bytes.Repeat([]byte(" "), max(0, room-len(body)))...)
	return append(body, end...)
}

// binaryUUID is a uuid as hypercalls have it; nil is none.
func binaryUUID(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil {
		return nil
	}
	return b
}
