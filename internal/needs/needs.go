// Package needs is what a test says of the machine that it runs on.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Program finds a program that the test cannot do without.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Unmet(tb, "%s is not installed: make test-deps installs it", name)
	}
	return path
}

// Unmet ends a test that this machine cannot run. Where everything must run, as
// XTM_TEST_ALL=1 says, it fails.
func Unmet(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("XTM_TEST_ALL") == "1" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}
