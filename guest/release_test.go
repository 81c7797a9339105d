package guest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

func TestParseRelease(t *testing.T) {
	for text, want := range map[string]guest.Release{
		"3.2.0-4-amd64\n":         {Text: "3.2.0-4-amd64", Version: guest.Version{Major: 3, Minor: 2}},
		"3.13.0-170-generic":      {Text: "3.13.0-170-generic", Version: guest.Version{Major: 3, Minor: 13}},
		"4.12.14-122.37-default":  {Text: "4.12.14-122.37-default", Version: guest.Version{Major: 4, Minor: 12}, Patch: 14},
		"4.19.0-0.bpo.19-amd64":   {Text: "4.19.0-0.bpo.19-amd64", Version: guest.Version{Major: 4, Minor: 19}},
		"5.10.0~rc1":              {Text: "5.10.0~rc1", Version: guest.Version{Major: 5, Minor: 10}},
		"6.6-rc1":                 {Text: "6.6-rc1", Version: guest.Version{Major: 6, Minor: 6}},
		"3.10.0-1160.el7.x86_64":  {Text: "3.10.0-1160.el7.x86_64", Version: guest.Version{Major: 3, Minor: 10}},
		"2.6.32-5-xen-amd64":      {Text: "2.6.32-5-xen-amd64", Version: guest.Version{Major: 2, Minor: 6}, Patch: 32},
		"4.19.12345-out-of-range": {Text: "4.19.12345-out-of-range", Version: guest.Version{Major: 4, Minor: 19}},
	} {
		got, err := guest.ParseRelease(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "4", "4.", "linux", "0.1", "-4.19", "4.19/../../etc", "4.19 x", "4.19\x00", "4.19é", "99999.1", "4." + strings.Repeat("1", 80),
	} {
		if r, err := guest.ParseRelease(text); err == nil {
			t.Errorf("%q was read as %+v", text, r)
		}
	}
}

// TestReadRelease: a recording may have /proc/version alone.
func TestReadRelease(t *testing.T) {
	m := guesttest.Files(t, "xen-4.12/web1/2-under-load")
	guesttest.Remove(m, "/proc/sys")
	if r, err := guest.ReadRelease(hostfs.FromFS(m)); err != nil || r.Text != "4.19.0-tmemlab" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, text := range []string{"", "Linux version", "FreeBSD version 4.19.0"} {
		guesttest.Put(m, "/proc/version", text)
		if r, err := guest.ReadRelease(hostfs.FromFS(m)); cause.Of(err) != cause.NoData || !strings.Contains(err.Error(), "osrelease") {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	sorted := []guest.Version{{}, {Major: 2, Minor: 6}, {Major: 3}, {Major: 3, Minor: 2}, {Major: 3, Minor: 10}, {Major: 4, Minor: 2}, {Major: 4, Minor: 19}, {Major: 5, Minor: 2}}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, guest.Version.Compare)
	if diff := cmp.Diff(sorted, shuffled); diff != "" {
		t.Error(diff)
	}
	if (guest.Version{}).AtLeast(0, 0) || (guest.Version{}).Before(9, 9) {
		t.Error("an unknown version compares with another")
	}
}
