package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"xtm/capture"
	"xtm/capture/demo"
	"xtm/internal/cause"
	"xtm/internal/role"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/libvirt"
	"xtm/xen/saved"
	"xtm/xen/xl"
)

// source is what a report is made from.
type source interface {
	Snapshot(ctx context.Context) (xen.Snapshot, error)
}

// openSource finds the source that the user names: a live one, or the path of a
// capture or of one saved text.
func openSource(env Env, name string) (source, error) {
	switch {
	case slices.Contains(values("source"), name):
		return liveSource(env, name)
	case strings.ContainsAny(name, "/.") || exists(name):
		return recordedSource(name)
	default:
		return nil, &usageError{
			fmt.Sprintf("no source is called %q and no file either", name),
			[]string{"sources are: " + strings.Join(values("source"), ", ") + ", or the path of a capture, a saved `xl tmem-list -l -a` or a saved xentop screen"},
		}
	}
}

// liveSource reads the host that xtm runs on.
func liveSource(env Env, name string) (source, error) {
	switch name {
	case "hypercall":
		return hypercall.New(env.Calls, env.Store, env.Files), nil
	case "xl":
		return xl.New(env.Run, env.Files), nil
	case "libvirt":
		return libvirt.New(env.Libvirt, libvirt.XenSystem), nil
	default:
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
	return &autoSource{seams: env.seams()}, nil
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

// captureSource runs the ordinary sources on what was recorded.
type captureSource struct{ c *capture.Capture }

func (s captureSource) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	snap, err := (&autoSource{seams: s.c.Seams()}).Snapshot(ctx)
	snap.Recorded = s.c.Label()
	return snap, err
}
