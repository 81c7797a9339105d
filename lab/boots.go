package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// bootName is one way to start the host: "xen" or "linux", and what is added to
// its command line, as in "xen iommu=0" or "linux intel_iommu=on".
type bootName string

// mainBoot is the one with the guests. In the others a scenario makes what it
// needs.
const mainBoot bootName = "xen"

// maxBoots keeps the lab within its time: each costs as much as the first half
// of the lab.
const maxBoots = 5

func parseBoot(s string) (bootName, error) {
	b := bootName(strings.Join(strings.Fields(s), " "))
	if k := b.kind(); k != "xen" && k != "linux" {
		return "", fmt.Errorf("a boot is xen or linux with words for its command line, got %q", s)
	}
	return b, nil
}

// kind is what QEMU starts: xen or linux.
func (b bootName) kind() string { k, _, _ := strings.Cut(string(b), " "); return k }

// args are added to that one's command line.
func (b bootName) args() string { _, a, _ := strings.Cut(string(b), " "); return a }

// slug is the boot as one word: its folder of results, and what Dom0's kernel
// is told as lab.boot=.
func (b bootName) slug() string { return strings.NewReplacer(" ", "-", "/", "-").Replace(string(b)) }

// bootsOf are the boots that the matching scenarios need, the one with the guests
// first. What needs the nightly run is left out of others.
func bootsOf(all []scenario, match *regexp.Regexp, nightly bool) []bootName {
	var boots []bootName
	for _, s := range all {
		if !match.MatchString(s.name) || !nightly && slices.Contains(s.needs, needNightly) || slices.Contains(boots, s.boot) {
			continue
		}
		if s.boot == mainBoot {
			boots = slices.Insert(boots, 0, s.boot)
		} else {
			boots = append(boots, s.boot)
		}
	}
	return boots
}
