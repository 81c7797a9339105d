package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"xtm/guest"
	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// The places in which something is set at each boot.
const (
	tmpfilesFile = "/etc/tmpfiles.d/xtm-tune.conf"
	openrcFile   = "/etc/local.d/xtm-tune.start"
	rcLocalFile  = "/etc/rc.local"
)

// The lines that begin and end xtm's part of somebody else's file.
const (
	blockBegin = "# Begin of what xtm tune guest set has put here; xtm tune guest undo removes it."
	blockEnd   = "# End of what xtm tune guest set has put here."
	ownHeader  = "# Written by xtm tune guest set, which removes this file with: xtm tune guest undo\n"
)

// place is the way in which this system sets values at boot.
type place struct {
	path string
	text func(old string, values map[string]uint64) string
	mode fs.FileMode
}

// findPlace picks systemd's tmpfiles, else OpenRC's local folder, else rc.local.
func findPlace(files hostfs.Files) (place, error) {
	for _, k := range []struct {
		there []string
		place
	}{
		{[]string{"/lib/systemd/systemd", "/usr/lib/systemd/systemd"}, place{tmpfilesFile, func(_ string, v map[string]uint64) string { return tmpfiles(v) }, 0o644}},
		{[]string{"/etc/local.d"}, place{openrcFile, func(_ string, v map[string]uint64) string { return "#!/bin/sh\n" + ownHeader + shell(v) }, 0o755}},
		{[]string{rcLocalFile}, place{rcLocalFile, withBlock, 0o755}},
	} {
		for _, p := range k.there {
			if ok, err := files.Exists(p); err != nil {
				return place{}, err
			} else if ok {
				return k.place, nil
			}
		}
	}
	return place{}, &cause.RefusalError{
		Kind: cause.Blocked, Seen: "nothing is known here that sets values at boot: neither systemd nor " + path.Dir(openrcFile) + " nor " + rcLocalFile,
		Ways: []string{"only until the next boot: xtm tune guest set --no-persist"},
	}
}

// names in the order in which they are to be set: what bounds before what moves.
func sorted(values map[string]uint64) []string { return slices.Sorted(maps.Keys(values)) }

// tmpfiles writes values as systemd-tmpfiles does at boot ("w" is left out where
// the file is not there, tmpfiles.d(5)).
func tmpfiles(values map[string]uint64) string {
	var b strings.Builder
	b.WriteString(ownHeader)
	for _, name := range sorted(values) {
		fmt.Fprintf(&b, "w %s - - - - %d\n", path.Join(guest.BalloonDir, name), values[name])
	}
	return b.String()
}

// shell writes them as a shell would, where they are there.
func shell(values map[string]uint64) string {
	var b strings.Builder
	for _, name := range sorted(values) {
		p := path.Join(guest.BalloonDir, name)
		fmt.Fprintf(&b, "[ -w %s ] && echo %d >%s\n", p, values[name], p)
	}
	return b.String() + "true\n"
}

// exits is a line that ends a shell script, not one within a block.
var exits = regexp.MustCompile(`^exit\b`)

// withBlock puts xtm's block into rc.local, before its last exit, in the place of
// an earlier one.
func withBlock(old string, values map[string]uint64) string {
	text := withoutBlock(old)
	block := blockBegin + "\n" + shell(values) + blockEnd + "\n"
	lines := strings.SplitAfter(text, "\n")
	last := len(lines) - 1
	for last >= 0 && (strings.TrimSpace(lines[last]) == "" || strings.HasPrefix(strings.TrimSpace(lines[last]), "#")) {
		last--
	}
	if last >= 0 && exits.MatchString(lines[last]) {
		return strings.Join(lines[:last], "") + block + strings.Join(lines[last:], "")
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + block
}

// withoutBlock takes xtm's block out. A begin without an end stays: what is below
// it is somebody else's by now.
func withoutBlock(text string) string {
	from := strings.LastIndex(text, blockBegin+"\n")
	if from < 0 {
		return text
	}
	to := strings.Index(text[from:], blockEnd+"\n")
	if to < 0 {
		return text
	}
	return text[:from] + text[from+to+len(blockEnd)+1:]
}

func (k place) write(root hostfs.Root, values map[string]uint64) error {
	old, err := root.ReadFile(k.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if k.path != rcLocalFile && len(old) > 0 && !strings.Contains(string(old), ownHeader) {
		return &cause.RefusalError{Kind: cause.Blocked, Seen: k.path + " is there and is not xtm's", Ways: []string{"move it away; or only until the next boot: --no-persist"}}
	}
	if err := atomicfile.MkdirAll(root, path.Dir(k.path), 0o755); err != nil {
		return err
	}
	return atomicfile.Replace(root, k.path, []byte(k.text(string(old), values)), k.mode)
}

// removeLasting takes away what sets values at boot, wherever it is, and says
// what. dry removes nothing.
func removeLasting(root hostfs.Root, dry bool) ([]string, error) {
	var out []string
	for _, p := range []string{tmpfilesFile, openrcFile, rcLocalFile} {
		b, err := root.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, err
		}
		text := string(b)
		switch {
		case p == rcLocalFile && withoutBlock(text) != text:
			if !dry {
				err = atomicfile.Replace(root, p, []byte(withoutBlock(text)), 0o755)
			}
		case p != rcLocalFile && strings.Contains(text, ownHeader):
			if !dry {
				err = atomicfile.Remove(root, p)
			}
		default:
			continue
		}
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}
