package build_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"xtm/internal/needs"
	"xtm/internal/run"
	"xtm/kernelbuild/build"
)

// TestChrootRuns has the programs of this machine in another root, and looks at
// what a program there sees and who it is.
func TestChrootRuns(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Unmet(t, "chroot and mount are root's")
	}
	for _, p := range []string{"unshare", "mount", "chroot"} {
		needs.Program(t, p)
	}
	dir, work := t.TempDir(), t.TempDir()
	for _, d := range []string{"proc", "usr/bin", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	share := []string{work}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if _, err := os.Stat("/usr/" + name); err == nil {
			share = append(share, "/usr/"+name)
			if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, work+"/shared", "seen\n")
	program := filepath.Join(t.TempDir(), "xtm")
	write(t, program, "#!/bin/sh\nid -u -n; cat "+work+"/shared; ls /; test -e /proc/self/status && echo proc; echo \"$@\"; exit 3\n")
	c := build.Chroot{Dir: dir, UID: 4321, GID: 4321, Program: program, Share: share}
	target, err := c.Put("target.json", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := c.Run(t.Context(), run.New([]string{"PATH=" + os.Getenv("PATH")}), &out, "kernel", "build", "--target", target)
	if err != nil || code != 3 {
		t.Fatalf("exit %d, %v: %s", code, err, out.String())
	}
	want := "xtm-build\nseen\nbin\netc\nlib\nlib64\nproc\nsbin\ntmp\nusr\nvar\nproc\nkernel build --target /var/lib/xtm-build/target.json\n"
	if got := strings.Replace(out.String(), "libx32\n", "", 1); got != want {
		t.Errorf("it printed\n%s", got)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("something is mounted still: %v", err)
	}
	if err := exec.Command("sh", "-c", "test -z \"$(ls -A "+dir+"/proc)\"").Run(); err != nil {
		t.Error("what was mounted is seen outside")
	}
}

func TestStandalone(t *testing.T) {
	if err := build.Standalone(needs.Program(t, "gcc")); !errors.Is(err, build.ErrNeedsLibraries) {
		t.Errorf("a program with libraries: %v", err)
	}
	dir := t.TempDir()
	write(t, dir+"/main.go", "package main\n\nfunc main() {}\n")
	c := exec.Command("go", "build", "-o", "static", "main.go")
	c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := build.Standalone(dir + "/static"); err != nil {
		t.Error(err)
	}
}

func TestChrootIsMadeWholeOrNotAtAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bullseye")
	fails := true
	var line string
	play := func(_ context.Context, c run.Cmd) (run.Result, error) {
		line = c.String()
		if err := os.MkdirAll(dir+".part/usr/bin", 0o755); err != nil {
			t.Fatal(err)
		}
		if fails {
			return run.Result{ExitCode: 25, Stderr: []byte("E: no such suite")}, nil
		}
		write(t, dir+".part/usr/bin/dpkg", "")
		return run.Result{}, nil
	}
	c := build.Chroot{Dir: dir, Suite: "bullseye", Mirror: "http://localhost/debian"}
	if err := c.Make(t.Context(), play, nil); err == nil || !strings.Contains(err.Error(), "no such suite") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Error("half a Debian was left")
	}
	fails = false
	if err := c.Make(t.Context(), play, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(line, "mmdebstrap --variant=minbase --mode=root --include=bc,bison,") || !strings.HasSuffix(line, "bullseye "+dir+".part http://localhost/debian") {
		t.Error(line)
	}
	line = ""
	if err := c.Make(t.Context(), play, nil); err != nil || line != "" {
		t.Errorf("it was made again: %s, %v", line, err)
	}
	empty := build.Chroot{Dir: t.TempDir()}
	if err := empty.Make(t.Context(), play, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a Debian: %v", err)
	}
}
