package xenstore

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
)

// Watch tells of changes at a path and below it.
type Watch struct {
	on          *conn
	path, token string
	// more has room for one: something is in changed.
	more chan struct{}

	mu      sync.Mutex
	changed []string
}

// maxChanged bounds the changes that nobody fetched yet. Past it they become one
// change of the whole path.
const maxChanged = 256

// Watch begins to watch a path, or one of xenstored's own events such as
// "@releaseDomain". The first change comes at once. Close it.
func (c *Client) Watch(ctx context.Context, path string) (*Watch, error) {
	w, err := c.watch(ctx, path)
	if err != nil {
		return nil, &fs.PathError{Op: "watch xenstore", Path: path, Err: err}
	}
	return w, nil
}

func (c *Client) watch(ctx context.Context, path string) (*Watch, error) {
	if !valid(path) {
		return nil, fmt.Errorf("no path: %w", errnos["EINVAL"])
	}
	on, err := c.conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &Watch{on: on, path: path, more: make(chan struct{}, 1)}
	on.mu.Lock()
	on.tokens++
	w.token = fmt.Sprintf("xtm-%d", on.tokens)
	on.watches[w.token] = w
	on.mu.Unlock()
	if _, err := on.ask(ctx, kindWatch, 0, args(path, w.token)); err != nil {
		w.Close() // it may have come to pass all the same
		return nil, err
	}
	return w, nil
}

// Next waits for a change and returns the path that changed, which may be one
// that is gone by now. Changes may be told twice, or be lumped together as one of
// the watched path. A lost connection ends the watch: make a new one.
func (w *Watch) Next(ctx context.Context) (string, error) {
	for {
		if p, ok := w.take(); ok {
			return p, nil
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return "", &fs.PathError{Op: "watch xenstore", Path: w.path, Err: ctx.Err()}
		case <-w.on.done:
			if p, ok := w.take(); ok {
				return p, nil
			}
			return "", &fs.PathError{Op: "watch xenstore", Path: w.path, Err: w.on.ended()}
		}
	}
}

func (w *Watch) take() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.changed) == 0 {
		return "", false
	}
	p := w.changed[0]
	w.changed = w.changed[1:]
	return p, true
}

// fire notes a change. It never waits, for all answers come the same way.
func (w *Watch) fire(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.changed) == maxChanged:
		w.changed = []string{w.path}
	case !slices.Contains(w.changed, path):
		w.changed = append(w.changed, path)
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// Close ends the watch. It does not wait for xenstored.
func (w *Watch) Close() {
	w.on.mu.Lock()
	_, open := w.on.watches[w.token]
	delete(w.on.watches, w.token)
	w.on.mu.Unlock()
	if open {
		w.on.tell(kindUnwatch, 0, args(w.path, w.token))
	}
}
