package importtest

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
)

// Times, numbers and slices of one phase, read by hand from the recording.
func TestPhase(t *testing.T) {
	s := Phase(t, "xen-4.12/t0-idle").Seams()
	boot := time.Date(2026, 11, 22, 13, 33, 0, 0, time.UTC)
	for _, c := range []struct {
		cmd   run.Cmd
		after time.Duration // boot
		took  time.Duration
		exit  int
	}{
		{run.Cmd{Name: "xl", Args: []string{"uptime"}}, 66 * time.Second, 150 * time.Millisecond, 0},
		{run.Cmd{Name: "xl", Args: []string{"vcpu-list"}}, 65850 * time.Millisecond, 150 * time.Millisecond, 0},
		{run.Cmd{Name: "xl", Args: []string{"tmem-list", "-a"}}, 66150 * time.Millisecond, 100 * time.Millisecond, 0},
		{run.Cmd{Name: "xl", Args: []string{"tmem-list", "-l", "5"}}, 68160 * time.Millisecond, 130 * time.Millisecond, 1},
	} {
		r, err := s.Run(t.Context(), c.cmd)
		if err != nil || r.ExitCode != c.exit || r.Duration != c.took || !r.Start.Equal(boot.Add(c.after)) {
			t.Errorf("%s: exit %d, %v after boot, took %v, %v", c.cmd, r.ExitCode, r.Start.Sub(boot), r.Duration, err)
		}
	}
	r, err := s.Run(t.Context(), run.Cmd{Name: "xenstore-ls", Args: []string{"-f", "/local/domain/2/memory"}})
	want := "/local/domain/2/memory/static-max = \"262144\"\n/local/domain/2/memory/target = \"262144\"\n/local/domain/2/memory/videoram = \"0\"\n"
	if err != nil || string(r.Stdout) != want {
		t.Errorf("%q, %v", r.Stdout, err)
	}
	for p, want := range map[string]string{
		"/proc/xen/capabilities": "control_d\n", "/sys/hypervisor/version/extra": ".4\n", "/sys/hypervisor/version/minor": "12\n",
		"/sys/hypervisor/compilation/compiled_by": "\n",
	} {
		if b, err := s.Files.ReadFile(p); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", p, b, err)
		}
	}
	if b, err := s.Files.ReadFile("/sys/hypervisor/properties/buildid"); err != nil || fmt.Sprintf("%.20x", b) != "be96a34bf19a9985c05ceab333acba28b910b0ea" {
		t.Errorf("buildid: %x, %v", b, err)
	}
	if _, err := s.Files.ReadFile("/sys/hypervisor/pmu/pmu_mode"); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("pmu_mode: %v", err)
	}
}

// What a phase lacks is absent with its name, and is not taken from another.
func TestPhaseLacks(t *testing.T) {
	s := Phase(t, "xen-4.12/t1-load").Seams()
	for _, c := range []run.Cmd{
		{Name: "xl", Args: []string{"dmesg"}},
		{Name: "xenstore-ls", Args: []string{"-f", "/local/domain/1/memory"}},
	} {
		if _, err := s.Run(t.Context(), c); !errors.Is(err, cause.ErrNoData) {
			t.Errorf("%s: %v", c, err)
		}
	}
	if _, err := s.Files.ReadFile("/sys/hypervisor/version/minor"); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("/sys/hypervisor: %v", err)
	}
}
