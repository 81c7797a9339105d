package capture

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// kept is a key of xenstore as it was read.
type kept struct {
	value   string
	failure failure
}

// recordedStore is a recorder as hypercall.Store.
type recordedStore struct{ *Recorder }

// Read implements hypercall.Store. As with files, the first answer is given
// again.
func (r recordedStore) Read(ctx context.Context, path string) (string, error) {
	r.mu.Lock()
	k, seen := r.keys[path]
	r.mu.Unlock()
	if !seen {
		value, err := r.under.Store.Read(ctx, path)
		k = kept{value, failureAt(path, err)}
		r.mu.Lock()
		r.keys[path] = k
		r.mu.Unlock()
	}
	return k.value, k.failure.err(path)
}

// replayedStore are the recorded keys as hypercall.Store.
type replayedStore map[string]kept

// Read implements hypercall.Store.
func (s replayedStore) Read(ctx context.Context, path string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	k, ok := s[path]
	if !ok {
		return "", absence("xenstore " + path)
	}
	return k.value, k.failure.err(path)
}

// xenstore.tsv has a key a line: its value, or how reading it failed as in
// root.tsv. A value is any bytes, written as Go writes a string; a path is
// written so too.
//
//	path	outcome	value
//	"/local/domain/1/memory/target"	ok	"262144"
//	"/local/domain/1/data/updated"	ENOENT	"read xenstore"
const storeHeader = "path\toutcome\tvalue"

// formatStore writes xenstore.tsv.
func formatStore(keys map[string]kept) []byte {
	var b bytes.Buffer
	b.WriteString(storeHeader + "\n")
	for _, path := range slices.Sorted(maps.Keys(keys)) {
		k := keys[path]
		outcome, value := "ok", strconv.Quote(k.value)
		if k.failure != (failure{}) {
			outcome, value = k.failure.word, failureDetail(k.failure)
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\n", strconv.Quote(path), outcome, value)
	}
	return b.Bytes()
}

// parseStore reads xenstore.tsv.
func parseStore(b []byte) (map[string]kept, error) {
	keys := map[string]kept{}
	err := eachLine("xenstore.tsv", storeHeader, b, func(f []string) error {
		path, err := unquote(f[0])
		if err != nil {
			return err
		}
		if _, twice := keys[path]; twice {
			return fmt.Errorf("%q stands twice", path)
		}
		var k kept
		if f[1] == "ok" {
			k.value, err = unquote(f[2])
		} else {
			k.failure, err = parseFailure(f[1], f[2])
		}
		keys[path] = k
		return err
	})
	return keys, err
}

// unquote undoes strconv.Quote.
func unquote(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		if v, err := strconv.Unquote(s); err == nil {
			return v, nil
		}
	}
	return "", fmt.Errorf("%.80q is not a quoted text", s)
}
