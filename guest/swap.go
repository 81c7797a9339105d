package guest

import (
	"fmt"
	"strings"

	"xtm/internal/hostfs"
	"xtm/internal/proc"
	"xtm/internal/units"
)

// SwapArea is an active swap area. Frontswap keeps a bit for each of its slots,
// and only what has a slot can go to tmem.
type SwapArea struct {
	Name     string    `json:"name"`
	Type     string    `json:"type"` // "partition" or "file"
	Size     units.KiB `json:"size_kib"`
	Used     units.KiB `json:"used_kib"` // slots in use, whether their page is in tmem or on the disk
	Priority int       `json:"priority"`
}

// ReadSwaps lists the active swap areas from /proc/swaps, as from
// captures/xen-4.12:
//
//	Filename				Type		Size	Used	Priority
//	/dev/xvdb                               partition	524284	2816	-2
//
// A kernel that was built without swap has no such file.
func ReadSwaps(files hostfs.Files) (areas []SwapArea, err error) {
	p, closeProc, err := proc.Open(files, "swaps")
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := closeProc(); err == nil {
			err = e
		}
	}()
	swaps, err := p.Swaps()
	if err != nil {
		return nil, fmt.Errorf("read /proc/swaps: %w", err)
	}
	for _, s := range swaps {
		if s.Size < 0 || s.Used < 0 {
			return nil, fmt.Errorf("read /proc/swaps: area %.80q has a negative size", s.Filename)
		}
		areas = append(areas, SwapArea{
			Name: unescape(s.Filename), Type: s.Type,
			Size: units.KiB(s.Size), Used: units.KiB(s.Used), Priority: s.Priority,
		})
	}
	return areas, nil
}

// unescape undoes what the kernel does to blanks, tabs, newlines and backslashes
// in the names of /proc/swaps and /proc/mounts (mangle_path in fs/seq_file.c):
// "/mnt/a\040b".
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c, ok := octal(s[i:]); ok {
			out = append(out, c)
			i += 3
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// octal reads a backslash and three octal digits.
func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] > '3' {
		return 0, false
	}
	n := 0
	for _, d := range []byte(s[1:4]) {
		if d < '0' || d > '7' {
			return 0, false
		}
		n = n*8 + int(d-'0')
	}
	return byte(n), true
}
