package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
)

// TestTopInTerminal drives the built program through its keys in a real
// terminal.
func TestTopInTerminal(t *testing.T) {
	tmux := needs.Program(t, "tmux")
	program := filepath.Join(t.TempDir(), "xtm")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "xtm").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	socket := filepath.Join(t.TempDir(), "s")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), tmux, append([]string{"-S", socket, "-f", os.DevNull}, args...)...)
		cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %s: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("-u", "new-session", "-d", "-x", "80", "-y", "24", program+" top --demo --delay 1s; echo ended with $?; sleep 600")
	t.Cleanup(func() {
		kill := exec.Command(tmux, "-S", socket, "kill-server")
		if out, err := kill.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	var screen string
	wait := func(want string) {
		t.Helper()
		for range 300 {
			if screen = run("capture-pane", "-p"); strings.Contains(screen, want) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("no %q:\n%s", want, screen)
	}
	wait("END OF RECORDING")
	for _, step := range []struct{ key, want string }{
		{"?", "xtm top: keys"},
		{"q", "WARNING cache1"},
		{"p", "REFUSED/s"},
		{"p", "MEM(M)"},
		{"s", "▼"},
		{"r", "▲"},
		{"/", "show names with: _"},
		{"w", "show names with: w_"},
		{"e", "show names with: we_"},
		{"Enter", `only "we"`},
		{"Down", "web1"},
		{"Enter", "Persistent: 0 M"},
		{"q", `only "we"`},
		{"Escape", "plain1"},
		{"Space", "PAUSED"},
	} {
		run("send-keys", step.key)
		wait(step.want)
	}
	run("resize-window", "-x", "200", "-y", "50")
	wait("WHY")
	run("send-keys", "q")
	wait("ended with 0")
	if strings.Contains(screen, "Overcommit") {
		t.Errorf("the screen before did not come back:\n%s", screen)
	}
}
