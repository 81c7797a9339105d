// Package crashtest ends or disturbs a process of a test from outside, so that
// the product has no hook for it: a child of the test binary works under strace,
// which kills it as it enters its first, second, … file-system call, or makes
// that call fail.
package crashtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"xtm/internal/needs"
	"xtm/internal/run"
)

// env makes the test binary a child that does what it says.
const env = "XTM_CRASHTEST_CHILD"

// Calls are counted for each thread, and strace follows the first one alone, so
// that programs which the child starts are left in peace.
func init() { runtime.LockOSThread() }

// Main is for TestMain: it runs the tests, or in a child what Trace was told.
func Main(m *testing.M, do func(verb string, args []string) error) {
	verb := os.Getenv(env)
	if verb == "" {
		os.Exit(m.Run())
	}
	_, _ = os.Stat("/begin")
	err := do(verb, os.Args[1:])
	_, _ = os.Stat("/end")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Calls change files or are given one; a process that is killed between two
// others leaves the same behind.
const calls = "openat,mkdirat,chmod,fchmod,fchmodat,fchown,flistxattr,fgetxattr,fsetxattr,flock,write,fsync,renameat,renameat2,unlinkat"

// A call in strace's log, of its only thread.
//
//	renameat(AT_FDCWD, "/r/etc/.xtm-tmp-1/.grub2", AT_FDCWD, "/r/etc/grub") = 0
var callLine = regexp.MustCompile(`^([a-z0-9]+)\((.*)`)

// Point is one call of a child: the nth of its name.
type Point struct {
	Call string
	N    int
	Line string
}

// Kill is strace's option that ends the child as it enters the call.
func (p Point) Kill() string { return fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.Call, p.N) }

// Fail is strace's option that has the call fail: "ENOSPC".
func (p Point) Fail(errno string) string {
	return fmt.Sprintf("inject=%s:error=%s:when=%d", p.Call, errno, p.N)
}

// Killed and Failed tell whether a log has what the options wanted: the runtime
// may have fewer calls of its own than another time.
func Killed(log string) bool { return strings.Contains(log, "killed by SIGKILL") }

// Failed is as Killed.
func Failed(log string) bool { return strings.Contains(log, "(INJECTED)") }

// Trace has a child do a verb under strace, and returns strace's log and what
// the child said. inject is of a Point, or "".
func Trace(tb testing.TB, verb string, args []string, inject string) (log string, stderr []byte) {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "strace")
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	argv := []string{"strace", "-o", out, "-e", "trace=newfstatat," + calls}
	if inject != "" {
		argv = append(argv, "-e", inject)
	}
	// A strace whose program was killed ends itself in the same way.
	stderr, failure := child(tb, verb, append(append(argv, exe), args...))
	b, err := os.ReadFile(out)
	if err != nil {
		tb.Fatalf("%v: %s", failure, stderr)
	}
	return string(b), stderr
}

// Child has a child do a verb that ends it by itself, and returns what it said.
func Child(tb testing.TB, verb string, args []string) (stderr []byte) {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	stderr, _ = child(tb, verb, append([]string{exe}, args...))
	return stderr
}

func child(tb testing.TB, verb string, argv []string) (stderr []byte, err error) {
	tb.Helper()
	r, err := run.New(os.Environ())(context.Background(), run.Cmd{Name: argv[0], Args: argv[1:], Env: []string{env + "=" + verb}})
	if errors.Is(err, context.DeadlineExceeded) {
		tb.Fatal(err)
	}
	return r.Stderr, err
}

// Points lists the calls of a verb, from a child that is left in peace. What is
// only opened to be read is left out.
func Points(tb testing.TB, verb string, args []string) []Point {
	tb.Helper()
	if _, err := run.New(os.Environ())(context.Background(), run.Cmd{Name: "strace", Args: []string{"-o", os.DevNull, "true"}}); err != nil {
		needs.Unmet(tb, "strace is needed (package strace): %v", err)
	}
	log, stderr := Trace(tb, verb, args, "")
	count := map[string]int{}
	var found []Point
	begun, ended := false, false
	for line := range strings.Lines(log) {
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		count[m[1]]++
		switch {
		case strings.Contains(m[2], `"/begin"`):
			begun = true
		case strings.Contains(m[2], `"/end"`):
			ended = true
		case begun && !ended && m[1] != "newfstatat" && !strings.Contains(m[2], "O_RDONLY|O_CLOEXEC) ="):
			found = append(found, Point{m[1], count[m[1]], strings.TrimSpace(line)})
		}
	}
	if !ended || len(stderr) > 0 {
		tb.Fatalf("%s did not end well: %s\n%s", verb, stderr, log)
	}
	return found
}

// Some is every nth point; all of them where XTM_TEST_NIGHTLY is set.
func Some(all []Point, n int) []Point {
	if os.Getenv("XTM_TEST_NIGHTLY") == "1" {
		return all
	}
	var out []Point
	for i := 0; i < len(all); i += n {
		out = append(out, all[i])
	}
	return out
}
