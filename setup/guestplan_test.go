package setup

import (
	"strings"
	"testing"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/finding"
)

// TestSmallSwapIsTold: swap smaller than what the guest can shrink by is a
// warning, with the figures.
func TestSmallSwapIsTold(t *testing.T) {
	for size, want := range map[string]string{
		"524284": "",
		"131068": "131,068 KiB of swap, and selfballooning can take 419,256 KiB away",
	} {
		files := recordedGuest(t, "web1")
		files["proc/zoneinfo"] = string(guesttest.Files(t, "xen-4.12-selfballoon/web1/8")["proc/zoneinfo"].Data)
		files["proc/swaps"] = "Filename\tType\tSize\tUsed\tPriority\n/dev/xvdb partition " + size + " 0 -2\n"
		files["run/systemd/system/notify"] = ""
		g, err := ProbeGuest(machine(tree(t, files), programs(t)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := PlanGuest(g, GuestOptions{Minimal: true, Program: "/usr/bin/xtm"})
		if err != nil {
			t.Fatal(err)
		}
		got := finding.Finding{}
		for _, n := range p.Notes {
			if n.Check == guest.CheckSwap {
				got = n
			}
		}
		if got.Seen != want || want != "" && (got.Verdict != finding.Warning || !strings.Contains(got.Advice, "Add swap up to 523,900 KiB, the guest's maximum memory")) {
			t.Errorf("%s KiB: %+v", size, got)
		}
	}
}
