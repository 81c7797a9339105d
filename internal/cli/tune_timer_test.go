package cli

import (
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run/runtest"
	"xtm/tune"
)

// The timer starts xtm after the deadline, in a unit of its own for each hold,
// and is stopped by the same name. Without systemd there is none.
func TestTimer(t *testing.T) {
	start := time.Date(2026, 11, 22, 13, 35, 22, 0, time.UTC)
	fake := runtest.New(start).
		On("systemd-run --quiet --collect --unit=xtm-thaw-3-1795354522000000000 --on-active=302s --timer-property=AccuracySec=1s -- /usr/bin/xtm tune thaw --overdue", runtest.Answer{}).
		On("systemctl stop xtm-thaw-3-1795354522000000000.timer", runtest.Answer{ExitCode: 5, Stderr: "not loaded"})
	root := hostfs.Root(t.TempDir())
	env := Env{Program: "/usr/bin/xtm", Run: fake.Run}
	if systemdTimer(env, root) != nil {
		t.Error("a timer without systemd")
	}
	timer := transient{env.Run, env.Program}
	h := tune.Hold{Domain: tune.Ref{ID: 3}, Began: start, Deadline: start.Add(5 * time.Minute)}
	if err := timer.Arm(t.Context(), h); err != nil {
		t.Error(err)
	}
	if err := timer.Disarm(t.Context(), h); err == nil {
		t.Error("systemctl failed, and nothing is said")
	}
	if calls := fake.Calls(); len(calls) != 2 {
		t.Errorf("%q", calls)
	}
}
