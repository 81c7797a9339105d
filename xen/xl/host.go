package xl

import (
	"context"

	"xtm/xen"
)

// Host reads xl info alone: the machine without its domains, in a fraction of
// a snapshot's time. Errors as of Snapshot; what xl printed before it failed
// is returned beside them.
func (s *Source) Host(ctx context.Context) (xen.Host, error) {
	if err := s.dom0(); err != nil {
		return xen.Host{}, err
	}
	r := &reader{ctx: ctx, src: s}
	if err := r.info(); err != nil {
		return r.snap.Host, s.explain(err)
	}
	return r.snap.Host, nil
}
