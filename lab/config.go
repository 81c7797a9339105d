package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// config is what the environment asks for.
type config struct {
	cache string

	// Replacements for Debian's, "" is Debian's.
	xen, tools, kernel, guestKernel string
	// xtm is a binary to test instead of building this checkout's.
	xtm string

	accel string
	// xenArgs are added to Xen's command line.
	xenArgs string
	// slow stretches every deadline: 2 on a machine half as fast as CI's.
	slow int

	match   *regexp.Regexp
	nightly bool
	// shell is the boot that ends in a shell, "" for the scenarios.
	shell bootName
}

// patience is how long an unattended machine may say nothing. A scenario has a
// time of its own, and so has each step of dom0/rc.
const patience = 8 * time.Minute

func (c config) stretch(d time.Duration) time.Duration {
	return d * time.Duration(c.slow)
}

func configFromEnv(lookup func(string) (string, bool)) (config, error) {
	get := func(name, otherwise string) string {
		if v, ok := lookup(name); ok && v != "" {
			return v
		}
		return otherwise
	}
	c := config{
		cache:       get("XTM_LAB_CACHE", filepath.Join(".cache", "lab")),
		xen:         get("LAB_XEN", ""),
		tools:       get("LAB_TOOLS", ""),
		kernel:      get("LAB_KERNEL", ""),
		guestKernel: get("LAB_GUEST_KERNEL", ""),
		xtm:         get("LAB_XTM", ""),
		accel:       get("LAB_ACCEL", "tcg"),
		xenArgs:     get("LAB_XEN_ARGS", ""),
		nightly:     get("XTM_TEST_NIGHTLY", "") == "1",
		match:       regexp.MustCompile(""),
	}
	var err error
	if c.slow, err = strconv.Atoi(get("LAB_SLOW", "1")); err != nil || c.slow < 1 || c.slow > 100 {
		return config{}, errors.New("LAB_SLOW: want a whole number from 1 to 100")
	}
	if c.accel != "tcg" && c.accel != "kvm" {
		return config{}, fmt.Errorf("LAB_ACCEL: want tcg or kvm, got %q", c.accel)
	}
	if c.cache, err = filepath.Abs(c.cache); err != nil {
		return config{}, fmt.Errorf("resolve cache folder: %w", err)
	}
	return c, nil
}
