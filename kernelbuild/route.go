package kernelbuild

import (
	"slices"
	"strings"
)

// Route is a way to get the source.
type Route struct {
	Kind RouteKind `json:"kind"`
	// What is a package with its version, a URL, or a path.
	What string `json:"what"`
	// Open tells that nothing known stands in the way.
	Open bool   `json:"open"`
	Why  string `json:"why"`
}

// RouteKind names a way.
type RouteKind string

// The ways, in the order in which they are tried.
const (
	UserSource  RouteKind = "source"
	SourceDeb   RouteKind = "linux-source"
	SourceIndex RouteKind = "deb-src"
	Snapshot    RouteKind = "snapshot"
)

// Routes lists the ways to a source, best first. A linux-source package of the
// exact version comes first: it needs no deb-src lines, has the distribution's
// patches, and no debian folder that packing would overwrite.
func Routes(s Source, o Options, offers map[string][]string) []Route {
	if o.Source != "" {
		return []Route{{UserSource, o.Source, true, "named by --source; nothing is fetched"}}
	}
	deb := Route{SourceDeb, s.Binary + "=" + s.Version, true, "exactly the source of the running kernel, as a tarball without a debian folder"}
	switch versions := offers[s.Binary]; {
	case offers == nil:
		deb.Why = "not known before apt is asked; " + deb.Why
	case slices.Contains(versions, s.Version):
	case len(versions) == 0:
		deb.Open, deb.Why = false, "apt knows no "+s.Binary
	default:
		deb.Open, deb.Why = false, "apt offers "+strings.Join(versions, ", ")+" only, which is not the source of the running kernel"
	}
	index := Route{
		SourceIndex, s.ID(), true,
		"apt-get source with a configuration of its own: no root, nothing in /etc changes; the version is pinned, for an index can hold many",
	}
	snapshot := Route{Kind: Snapshot, What: s.ID(), Why: "no archive of old versions was named by --snapshot-url"}
	if o.SnapshotURL != "" {
		snapshot.What = strings.TrimRight(o.SnapshotURL, "/") + "/mr/package/" + s.Package + "/" + s.Version + "/srcfiles?fileinfo=1"
		snapshot.Open, snapshot.Why = true, "has versions that left the archive; each file is checked against the .dsc"
	}
	routes := []Route{deb, index, snapshot}
	slices.SortStableFunc(routes, func(a, b Route) int {
		switch {
		case a.Open == b.Open:
			return 0
		case a.Open:
			return -1
		default:
			return 1
		}
	})
	return routes
}
