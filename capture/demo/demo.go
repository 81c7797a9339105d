// Package demo holds two recorded moments of a real host, for `xtm report
// --demo` on machines without Xen.
package demo

import (
	"embed"
	"io/fs"

	"xtm/capture"
)

// A test makes these folders anew from the recordings and compares.
//
//go:embed load later
var moments embed.FS

// Open returns Xen 4.12.4 with five guests under load. What was not recorded at
// that moment, such as xenstore, is absent.
func Open() (*capture.Capture, error) { return open("load") }

// Later returns the same host four minutes later: after settings were changed
// and changed back, and with db1 destroyed.
func Later() (*capture.Capture, error) { return open("later") }

func open(moment string) (*capture.Capture, error) {
	fsys, err := fs.Sub(moments, moment)
	if err != nil {
		return nil, err
	}
	return capture.OpenFS(fsys)
}
