package cli

import (
	"context"
	"slices"

	"xtm/top"
	"xtm/xen"
)

// replay is recordings, one after the other.
type replay struct {
	left []source
	// stays tells that the last one is there for good; otherwise top.ErrEnd
	// follows it.
	stays bool
}

func (r *replay) Snapshot(ctx context.Context) (xen.Snapshot, error) {
	if len(r.left) == 0 {
		return xen.Snapshot{}, top.ErrEnd
	}
	src := r.left[0]
	if len(r.left) > 1 || !r.stays {
		r.left = r.left[1:]
	}
	return src.Snapshot(ctx)
}

// openReplay opens captures; a live source is not for it.
func openReplay(env Env, names []string) (*replay, error) {
	r := &replay{}
	for _, name := range names {
		src, err := openSource(env, name)
		if err != nil {
			return nil, err
		}
		r.left = append(r.left, src)
	}
	return r, nil
}

// isLive tells a source of this machine from the path of a recording.
func isLive(name string) bool { return slices.Contains(values("source"), name) }

// checkReplay refuses a live source among several.
func checkReplay(names []string) error {
	if i := slices.IndexFunc(names, isLive); i >= 0 && len(names) > 1 {
		return &usageError{names[i] + " is a live source, and several sources are a replay", []string{"a replay has captures only"}}
	}
	return nil
}
