package guest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

func TestTunablesOfKernels(t *testing.T) {
	short := func(v guest.Version) string {
		var names []string
		for _, tn := range guest.Tunables(v) {
			names = append(names, strings.TrimPrefix(tn.Name, "selfballoon/"))
		}
		return strings.Join(names, " ")
	}
	const (
		first = "selfballooning selfballoon_interval selfballoon_downhysteresis selfballoon_uphysteresis"
		more  = first + " selfballoon_min_usable_mb"
		all   = more + " selfballoon_reserved_mb frontswap_selfshrinking frontswap_hysteresis frontswap_inertia"
		old   = "target_kb max_schedule_delay max_retry_count"
	)
	for v, want := range map[guest.Version]string{
		{}:                    "",
		{Major: 2, Minor: 6}:  "",
		{Major: 3, Minor: 0}:  old,
		{Major: 3, Minor: 1}:  first + " " + old,
		{Major: 3, Minor: 2}:  more + " " + old,
		{Major: 3, Minor: 5}:  all + " " + old,
		{Major: 3, Minor: 14}: all + " " + old,
		{Major: 4, Minor: 19}: all + " " + old + " scrub_pages",
		{Major: 5, Minor: 4}:  old + " scrub_pages",
	} {
		if got := short(v); got != want {
			t.Errorf("Linux %s: %s\nwant %s", v, got, want)
		}
	}
	for v, want := range map[guest.Version]string{{Major: 3, Minor: 5}: "0", {Major: 3, Minor: 13}: "0", {Major: 3, Minor: 14}: "10 %"} {
		if d := tunable(t, v, guest.SelfballoonReserve).Default; !strings.HasPrefix(d, want) {
			t.Errorf("Linux %s: selfballoon_reserved_mb begins with %q", v, d)
		}
	}
}

func tunable(t *testing.T, v guest.Version, name string) guest.Tunable {
	t.Helper()
	all := guest.Tunables(v)
	i := slices.IndexFunc(all, func(tn guest.Tunable) bool { return tn.Name == name })
	if i < 0 {
		t.Fatalf("Linux %s has no %s", v, name)
	}
	return all[i]
}

// The kernel refuses 0 where it divides by it or counts down from it, and cuts
// off what does not fit in 32 bits.
func TestTunableCheck(t *testing.T) {
	v := guest.Version{Major: 4, Minor: 19}
	for name, values := range map[string]struct{ good, bad string }{
		guest.Selfballoon:        {"0 1", "2 -1 on 4294967296 1.0"},
		guest.SelfballoonEvery:   {"1 5 4294967", "0 4294968 4294967301"},
		guest.SelfballoonDown:    {"1 8", "0 4294967304"},
		guest.SelfballoonUp:      {"1", "0"},
		guest.SelfballoonMin:     {"1 100 16777215", "0 16777216"},
		guest.SelfballoonReserve: {"1 1024", "0 16777216"},
		guest.Selfshrinking:      {"0 1", "2"},
		guest.SelfshrinkDivisor:  {"20", "0"},
		guest.SelfshrinkInertia:  {"3", "0"},
		guest.TargetKiB:          {"0 262144", "-1 256M 0x100"},
	} {
		tn := tunable(t, v, name)
		for value := range strings.FieldsSeq(values.good) {
			if err := tn.Check(value); err != nil {
				t.Errorf("%s: %v", value, err)
			}
		}
		for value := range strings.FieldsSeq(values.bad) {
			if tn.Check(value) == nil {
				t.Errorf("%s takes %s", name, value)
			}
		}
	}
}

func TestReadBalloon(t *testing.T) {
	b, err := guest.ReadBalloon(hostfs.FromFS(guesttest.Files(t, "xen-4.12/web1/2-under-load")))
	want := guest.Balloon{Current: 373288, Target: 373288, Settings: map[string]uint64{
		guest.Selfballoon: 1, guest.SelfballoonEvery: 5, guest.SelfballoonDown: 8, guest.SelfballoonUp: 1,
		guest.SelfballoonMin: 0, guest.SelfballoonReserve: 23,
		guest.Selfshrinking: 1, guest.SelfshrinkDivisor: 20, guest.SelfshrinkInertia: 3,
		guest.TargetKiB: 373288, guest.MaxScheduleDelay: 32, guest.MaxRetryCount: 0, guest.ScrubPages: 1,
	}}
	if diff := cmp.Diff(want, b); diff != "" || err != nil {
		t.Error(err, diff)
	}
	// Every recorded value is one that Check takes, or the default that cannot be
	// written back.
	for _, tn := range guest.Tunables(guest.Version{Major: 4, Minor: 19}) {
		if _, ok := b.Settings[tn.Name]; !ok {
			t.Errorf("a 4.19 guest does not show %s", tn.Name)
		}
	}
	m := guesttest.Files(t, "xen-4.12/web1/2-under-load")
	guesttest.Remove(m, guest.BalloonDir+"/selfballoon")
	if b, err := guest.ReadBalloon(hostfs.FromFS(m)); b.HasSelfballooning() || b.Shrinks() || err != nil {
		t.Errorf("a kernel without selfballooning: %+v, %v", b, err)
	}
	if _, err := guest.ReadBalloon(hostfs.FromFS(fstest.MapFS{})); cause.Of(err) != cause.NoData {
		t.Errorf("no balloon driver: %v", err)
	}
}

// What the kernel set when selfballooning started by itself.
func TestDefaultReserve(t *testing.T) {
	for moment, want := range map[string]uint64{"xen-4.12/web1/1-after-setup": 23, "xen-4.12/cache1/1-after-setup": 17} {
		s := read(guesttest.Files(t, moment))
		balloon, _ := s.Balloon.Get()
		memory, _ := s.Memory.Get()
		got := guest.DefaultReserve(memory.Managed)
		if uint64(got) != want || balloon.Settings[guest.SelfballoonReserve] != want {
			t.Errorf("%s: computed %d, recorded %d, want %d", moment, got, balloon.Settings[guest.SelfballoonReserve], want)
		}
	}
}
