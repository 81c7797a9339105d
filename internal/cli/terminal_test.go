package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// terminal is the other side of a pseudo-terminal, where somebody reads and types.
type terminal struct {
	t    *testing.T
	ctrl *os.File
	seen bytes.Buffer
}

// start runs a program whose terminal this is, for its questions and its keys.
func start(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	ctrl, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ctrl.Close() })
	if err := unix.IoctlSetPointerInt(int(ctrl.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ctrl.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, ctrl: ctrl}
}

// await reads until a text is there; the end is the program's.
func (x *terminal) await(text string) {
	x.t.Helper()
	b := make([]byte, 4096)
	for !strings.Contains(x.seen.String(), text) {
		n, err := x.ctrl.Read(b)
		x.seen.Write(b[:n])
		if err != nil {
			x.t.Fatalf("no %q in\n%s", text, x.seen.String())
		}
	}
}

func (x *terminal) write(keys string) {
	x.t.Helper()
	if _, err := x.ctrl.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// rest is all that the program wrote until it ended.
func (x *terminal) rest() string {
	b := make([]byte, 4096)
	for {
		n, err := x.ctrl.Read(b)
		x.seen.Write(b[:n])
		if err != nil { // EIO: nobody has the other side open any more
			return strings.ReplaceAll(x.seen.String(), "\r\n", "\n")
		}
	}
}

// TestQuestions answers enable-tmem on a terminal.
func TestQuestions(t *testing.T) {
	const (
		ctrlC, ctrlD = "\x03", "\x04"
		trusted      = "Is that so? Type yes: "
		apply        = "Apply this and run update-grub? [y/N] "
	)
	for name, tc := range map[string]struct {
		steps   [][2]string // what is awaited, what is typed then
		code    int
		last    string
		changed bool
	}{
		"yes":                        {[][2]string{{trusted, "yes\n"}, {apply, "y\n"}}, 0, "Tmem is on from the next boot; in each guest then: xtm status\n", true},
		"y is no statement":          {[][2]string{{trusted, "y\n"}}, 1, "error: not confirmed: nothing was changed\n", false},
		"no":                         {[][2]string{{trusted, "yes\n"}, {apply, "n\n"}}, 1, "error: not confirmed: nothing was changed\n", false},
		"return alone":               {[][2]string{{trusted, "yes\n"}, {apply, "\n"}}, 1, "error: not confirmed: nothing was changed\n", false},
		"end of input":               {[][2]string{{trusted, "yes\n"}, {apply, ctrlD}}, 1, apply + "\nerror: not confirmed: nothing was changed\n", false},
		"interrupted at a question":  {[][2]string{{trusted, "yes\n"}, {apply, ctrlC}}, 130, "\nerror: interrupted: nothing was changed\n", false},
		"interrupted in update-grub": {[][2]string{{trusted, "yes\n"}, {apply, "y\n"}, {"", ctrlC}}, 130, "error: interrupted, and everything is as before: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, "enable-host", dir)
			busy := filepath.Join(dir, "busy")
			if strings.Contains(name, "in update-grub") {
				program(t, filepath.Join(dir, "bin/update-grub"), fmt.Appendf(nil, "#!/bin/sh\n: > %s\nsleep 60\n", busy))
			}
			settings := filepath.Join(dir, "dom0/etc/default/grub")
			before, err := os.ReadFile(settings)
			if err != nil {
				t.Fatal(err)
			}

			cmd := exec.CommandContext(t.Context(), "xtm", "enable-tmem")
			cmd.Env = append(os.Environ(), "XTM_ROOT="+filepath.Join(dir, "dom0"), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			x := start(t, cmd)
			for _, step := range tc.steps {
				x.await(step[0])
				for step[0] == "" { // update-grub does not talk to the terminal
					if _, err := os.Stat(busy); err == nil {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				x.write(step[1])
			}
			text := x.rest()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); ok {
				code = exit.ExitCode()
			}
			if code != tc.code || !strings.Contains(text, tc.last) {
				t.Errorf("exit %d\n%s", code, text)
			}
			after, err := os.ReadFile(settings)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(before), string(after)); (diff != "") != tc.changed {
				t.Errorf("changed: %s", diff)
			}
			if _, err := os.Stat(filepath.Join(dir, "dom0/var/lib/xtm/enabled.json")); (err == nil) != tc.changed {
				t.Errorf("the record: %v", err)
			}
		})
	}
}
