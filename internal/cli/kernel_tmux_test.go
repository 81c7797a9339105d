package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
	"xtm/kernelbuild"
)

// TestBuildInTerminal builds the tests' kernel tree, slowly, in a real terminal
// and watches the bar.
func TestBuildInTerminal(t *testing.T) {
	for _, p := range []string{"tmux", "make", "flock", "gcc", "dpkg-deb"} {
		needs.Program(t, p)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "xtm")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "xtm").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tree := filepath.Join(dir, "linux-4.19.67")
	for _, from := range []string{"../../kernelbuild/build/testdata/fake", "../../kernelbuild/kconfig/testdata/linux-4.19"} {
		if err := os.CopyFS(tree, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(path string, pairs ...string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(tree+"/Makefile", "@VERSION@", "4", "@PATCHLEVEL@", "19", "@SUBLEVEL@", "67", "sleep 0.02", "sleep 0.5")
	config, err := os.ReadFile("../../kernelbuild/kconfig/testdata/config-4.19.0-6-amd64")
	if err != nil {
		t.Fatal(err)
	}
	target, err := json.Marshal(kernelbuild.Export{
		Schema: kernelbuild.ExportSchema, Config: string(config),
		Target: kernelbuild.Target{Release: "4.19.0-6-amd64", Architecture: "amd64", ConfigPath: "/boot/config-4.19.0-6-amd64", DpkgVersion: "1.19.7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The tree needs none of what a kernel does, so dpkg says that it is there.
	const dpkgQuery = `#!/bin/sh
for p in bc bison build-essential cpio fakeroot flex kmod libelf-dev libssl-dev rsync xz-utils; do echo "installed $p 1"; done
echo "installed dpkg 1.21.22"
`
	for path, text := range map[string]string{"target.json": string(target), "bin/dpkg-query": dpkgQuery} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // one of them is a program
			t.Fatal(err)
		}
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	command := program + " kernel build --no-ccache --target " + dir + "/target.json --source " + tree + " --dir " + work
	if os.Geteuid() == 0 {
		command += " --user nobody"
		const nobody = 65534
		if err := os.Chown(work, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wait := inTmux(t, "PATH="+dir+"/bin:$PATH "+command)
	bar := regexp.MustCompile(`(?m)^build +\d+% \|█+ +\| +\((\d+)/(\d+), [^)]+\) \[[^\]]+\]$`)
	wait(bar)
	screen := wait(regexp.MustCompile(`Linux 4\.19\.67-tmem is built`))
	if bar.MatchString(screen) {
		t.Errorf("the bar stays:\n%s", screen)
	}
	wait(regexp.MustCompile("ended with 0"))
}

// inTmux runs a command in a terminal of 100 columns. The function that is
// returned waits until the screen has what it looks for.
func inTmux(t *testing.T, command string) (wait func(*regexp.Regexp) string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "tmux", append([]string{"-S", socket, "-f", os.DevNull}, args...)...)
		cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %s: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("-u", "new-session", "-d", "-x", "100", "-y", "40", command+"; echo ended with $?; sleep 600")
	t.Cleanup(func() {
		if out, err := exec.Command("tmux", "-S", socket, "kill-server").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return func(want *regexp.Regexp) string {
		t.Helper()
		var screen string
		for range 1200 {
			if screen = run("capture-pane", "-p"); want.MatchString(screen) {
				t.Logf("%s", strings.TrimSpace(screen))
				return screen
			}
			if strings.Contains(screen, "ended with") {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("no %s:\n%s", want, screen)
		return ""
	}
}
