package build_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

// TestMain is also the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("XTM_TEST_BUILD_DIR"); dir != "" {
		os.Exit(buildIn(dir, os.Getenv("XTM_TEST_BUILD_SOURCE")))
	}
	os.Exit(m.Run())
}

func buildIn(dir, source string) int {
	p, err := kernelbuild.ProfileNamed("tmem")
	if err != nil {
		return 2
	}
	config, err := os.ReadFile("../kconfig/testdata/config-4.19.0-6-amd64")
	if err != nil {
		return 2
	}
	j := build.Job{
		Machine: builder(nil), Dir: dir, Now: time.Now,
		Export: kernelbuild.Export{
			Config: string(config),
			Target: kernelbuild.Target{Release: "4.19.0-6-amd64", Architecture: "amd64", ConfigPath: "/boot/config-4.19.0-6-amd64", DpkgVersion: "1.19.7"},
		},
		Options: kernelbuild.Options{Profile: p, Source: source},
	}
	if _, err := j.Build(context.Background()); err != nil {
		return 1
	}
	return 0
}

// TestKilled kills a build with SIGKILL while it compiles: nobody else may work in
// its folder before, and the next run goes on with what was compiled.
func TestKilled(t *testing.T) {
	j := job(t, fakeTree(t, "4.19", "67"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "XTM_TEST_BUILD_DIR="+j.Dir, "XTM_TEST_BUILD_SOURCE="+j.Options.Source)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	objects := func() int {
		b, _ := os.ReadFile(j.Dir + "/src/linux/obj.list")
		return strings.Count(string(b), "\n")
	}
	for begin := time.Now(); objects() < 5; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			t.Fatal("it compiles nothing")
		}
	}
	if _, err := j.Build(t.Context()); !errors.Is(err, build.ErrBusy) {
		t.Errorf("a second build at the same time: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil || objects() >= 30 {
		t.Fatalf("it was over before it was killed: %v, %d objects", err, objects())
	}
	r, err := kernelbuild.ReadRecord(hostfs.Root(j.Dir), "/out/record.json")
	if err != nil || r.State != kernelbuild.Building {
		t.Errorf("the record says %s, %v", r.State, err)
	}
	said := watch(&j)
	if _, err := j.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fetch kept", "configure kept", "probe kept", "goes on where it was interrupted"} {
		if !strings.Contains(strings.Join(*said, "\n"), want) {
			t.Errorf("it does not say %q: %v", want, *said)
		}
	}
	if n := objects(); n > 32 { // two jobs may have been in the middle of one
		t.Errorf("%d objects were made for 30", n)
	}
}
