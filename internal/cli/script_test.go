package cli_test

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/term"

	"xtm/capture"
	"xtm/capture/importtest"
	"xtm/guest/guesttest"
	"xtm/internal/cli"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// TestMain lets scripts run xtm as a program of its own. XTM_ROOT is the root
// of its machine, XTM_NOT_ROOT makes its user somebody else. XTM_FAKE_HOST is a
// capture whose files and programs are the machine's; XTM_FAKE_XEN is the release
// of a hypervisor that answers, or "vendor" for one that speaks an interface of
// its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"xtm": func() {
		ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		root := hostfs.Host
		if r := os.Getenv("XTM_ROOT"); r != "" {
			root = hostfs.Root(r)
		}
		env := cli.Env{
			Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Root: os.Getenv("XTM_NOT_ROOT") == "", Files: root, Run: run.New(os.Environ()), Now: time.Now,
			Interactive: term.IsTerminal(int(os.Stdin.Fd())),
			Calls:       noXen{}, Store: xenstoreKeys{}, Libvirt: noLibvirt,
		}
		if path := os.Getenv("XTM_FAKE_HOST"); path != "" {
			c, err := capture.Open(path)
			if err != nil {
				panic(err)
			}
			env.Files, env.Run = c.Seams().Files, c.Seams().Run
		}
		if release := os.Getenv("XTM_FAKE_XEN"); release != "" {
			env.Calls = fakeXen(release)
		}
		os.Exit(cli.Run(ctx, env))
	}})
}

// TestScripts runs testdata/script. Each recorded moment is a capture there:
// $CAPTURES/xen-4.12-t1-load and so on; single files are in $SAVED, the roots of
// recorded guests in $GUESTS/xen-4.12/web1/2-under-load and so on.
func TestScripts(t *testing.T) {
	captures := t.TempDir()
	for _, phase := range importtest.Phases() {
		if err := importtest.Phase(t, phase).Write(filepath.Join(captures, strings.ReplaceAll(phase, "/", "-"))); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := filepath.Abs("testdata/saved")
	if err != nil {
		t.Fatal(err)
	}
	guests := t.TempDir()
	for _, moment := range []string{
		"xen-4.12/web1/0-before-modprobe", "xen-4.12/web1/2-under-load", "xen-4.12-notmem/web1/2-under-load", "xen-4.17/web1/2-idle",
	} {
		files := guesttest.Files(t, moment)
		guesttest.Put(files, "/proc/xen/capabilities", "")
		guesttest.Put(files, "/proc/self/mounts", string(files["proc/mounts"].Data))
		if err := os.CopyFS(filepath.Join(guests, moment), files); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: os.Getenv("XTM_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CAPTURES", captures)
			e.Setenv("SAVED", saved)
			e.Setenv("GUESTS", guests)
			return nil
		},
	})
}
