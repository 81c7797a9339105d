package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"xtm/capture"
	"xtm/capture/demo"
	"xtm/internal/cause"
	"xtm/internal/role"
	"xtm/xen"
	"xtm/xen/saved"
	"xtm/xen/xl"
)

// source is what a report is made from.
type source interface {
	Snapshot(ctx context.Context) (xen.Snapshot, error)
}

// openSource finds the source that the user names: "auto", "xl", or the path
// of a capture or of one saved text. Its closer is never nil.
func openSource(env Env, name string) (source, error) {
	switch {
	case name == "auto", name == "xl":
		return liveSource(env, name)
	case strings.ContainsAny(name, "/.") || exists(name):
		return recordedSource(name)
	default:
		return nil, &usageError{
			fmt.Sprintf("no source is called %q and no file either", name),
			[]string{"sources are: auto, xl, or the path of a capture, a saved `xl tmem-list -l -a` or a saved xentop screen"},
		}
	}
}

// liveSource reads the host that xtm runs on.
func liveSource(env Env, name string) (source, error) {
	if name == "auto" {
		found, seen, err := role.Detect(env.Files)
		switch {
		case err == nil && found == role.Guest:
			return nil, &exitError{
				exitNotSupported, fmt.Errorf("this is a guest, and only Dom0 sees the host: %s: %w", seen, cause.ErrNotSupported),
				[]string{"run xtm report in Dom0; what this guest has of tmem: xtm status"},
			}
		case err == nil && found == role.None:
			return nil, &exitError{
				exitNotSupported, fmt.Errorf("this is not a Xen host: %s: %w", seen, cause.ErrNotSupported), demoHints(),
			}
		}
	}
	return xl.New(env.Run, env.Files), nil
}

// recordedSource opens what was saved earlier.
func recordedSource(path string) (source, error) {
	c, err := capture.Open(path)
	switch {
	case err == nil:
		return captureSource{c}, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open %s: there is no such file: %w", path, cause.ErrNoData)
	case !errors.Is(err, capture.ErrNotCapture):
		return nil, err
	}
	if info, errStat := os.Stat(path); errStat == nil && info.IsDir() {
		return nil, err
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return saved.Open(path, text)
}

// demoSource is a host that was recorded, and comes with xtm.
func demoSource() (source, error) {
	c, err := demo.Open()
	if err != nil {
		return nil, fmt.Errorf("open the recorded host: %w", err)
	}
	return captureSource{c}, nil
}

// captureSource runs the ordinary xl source on what was recorded.
type captureSource struct{ c *capture.Capture }

func (s captureSource) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	seams := s.c.Seams()
	snap, err := xl.New(seams.Run, seams.Files).Snapshot(ctx)
	snap.Recorded = s.c.Label()
	return snap, err
}
