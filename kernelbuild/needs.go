package kernelbuild

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/units"
)

// Needs are what a build takes, estimated from the configuration's size.
type Needs struct {
	Tree      units.Bytes `json:"tree"` // source and objects
	Packages  units.Bytes `json:"packages"`
	Temporary units.Bytes `json:"temporary"`
	Inodes    int64       `json:"inodes"`
	// Jobs is how many compilers memory and processors allow at once.
	Jobs int `json:"jobs"`
	// Enabled is how many symbols will be y or m.
	Enabled int `json:"enabled"`
	// FromSeconds and ToSeconds bound the time; zero where nothing is known.
	FromSeconds int    `json:"from_seconds"`
	ToSeconds   int    `json:"to_seconds"`
	Basis       string `json:"basis"`
}

// What was measured on Debian's kernels for amd64: the tree of 6.1 takes 1.5 GB
// and 78,613 inodes; about 6,300 enabled symbols leave 2 GB of objects and 0.3
// GB of packages without debug information, 15 GB and 1.5 GB with it. 750
// symbols took 6 minutes on two processors, about a second of one each.
const (
	treeBytes        = 1500 << 20
	treeInodes       = 150_000
	objectBytes      = 350 << 10 // per enabled symbol
	objectBytesDebug = 2500 << 10
	packBytes        = 50 << 10
	packBytesDebug   = 250 << 10
	scratchBytes     = 25 << 20
	scratchDebug     = 300 << 20
	jobBytes         = 1536 << 20
	fullConfig       = 6300 // enabled symbols where no configuration is known
)

// estimate computes the needs of a build.
func estimate(f Facts) Needs {
	n := Needs{Enabled: fullConfig, Basis: "an estimate for a whole distribution's configuration"}
	debug := f.Options.KeepDebug
	if f.Config != nil {
		yes, modules := f.Config.Enabled()
		n.Enabled = yes + modules
		n.Basis = fmt.Sprintf("an estimate from %s enabled symbols, a second of one processor each", units.Group(n.Enabled))
		if f.Options.Localmod {
			// Of Debian's 6.1 localmodconfig left 129 of 3,852 modules and 1,716 of
			// 2,418 built in.
			n.Enabled = yes*7/10 + modules/20
			n.Basis += ", after localmodconfig"
		}
		debug = debug && f.Config.Text("DEBUG_INFO") == "y"
	}
	object, pack, scratch := objectBytes, packBytes, scratchBytes
	if debug {
		object, pack, scratch = objectBytesDebug, packBytesDebug, scratchDebug
		n.Basis += "; debug information takes longer"
	}
	n.Tree = treeBytes + units.Bytes(n.Enabled)*units.Bytes(object)
	n.Packages = units.Bytes(n.Enabled) * units.Bytes(pack)
	n.Temporary = units.Bytes(scratch)
	n.Inodes = treeInodes
	n.Jobs = max(1, min(f.Builder.CPUs, int(f.Builder.Memory/jobBytes)))
	if f.Options.Jobs > 0 {
		n.Jobs = f.Options.Jobs
	}
	if f.Builder.CPUs > 0 {
		n.FromSeconds = n.Enabled * 7 / 10 / n.Jobs
		n.ToSeconds = n.Enabled * 2 / n.Jobs
	}
	return n
}

// judgeSpace compares the needs with the folders; folders of one device share
// what is free there.
func judgeSpace(n Needs, folders []Folder) []finding.Finding {
	var out []finding.Finding
	var devices []string
	for _, f := range folders {
		if !f.Writable {
			out = append(out, finding.Finding{
				Check: "folder-not-writable", Subject: f.Path, Verdict: finding.Bad,
				Seen:   "the building user cannot write into it; " + string(f.Use) + " go there",
				Advice: "Build in a folder of the user's own.",
			})
		}
		if !slices.Contains(devices, f.Device) {
			devices = append(devices, f.Device)
		}
	}
	for _, device := range devices {
		if f, short := shortOn(device, n, folders); short {
			out = append(out, f)
		}
	}
	return out
}

// shortOn compares what one file system has with what lands on it.
func shortOn(device string, n Needs, folders []Folder) (finding.Finding, bool) {
	var need, free units.Bytes
	var paths, uses []string
	f := finding.Finding{Verdict: finding.Bad, Advice: "Free space there, or choose another folder."}
	for _, d := range folders {
		if d.Device != device {
			continue
		}
		free = d.Free
		paths, uses = append(paths, d.Path), append(uses, string(d.Use))
		switch d.Use {
		case ForTree:
			need += n.Tree
			if inodes, ok := d.Inodes.Get(); ok && inodes < n.Inodes {
				f.Check, f.Subject = "inodes-short", d.Path
				f.Seen = fmt.Sprintf("%s free inodes, and a tree and its objects take %s", units.Group(inodes), units.Group(n.Inodes))
				return f, true
			}
		case ForPackages:
			need += n.Packages
		case ForTemporary:
			need += n.Temporary
		}
	}
	if free >= need {
		return f, false
	}
	f.Check, f.Subject = "space-short", strings.Join(paths, ", ")
	f.Seen = fmt.Sprintf("%s MiB free, and %s take about %s MiB", units.Group(int64(free>>20)), strings.Join(uses, ", "), units.Group(int64(need>>20)))
	return f, true
}
