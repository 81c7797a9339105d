package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"xtm/internal/crashtest"
	"xtm/internal/filelock"
)

func TestMain(m *testing.M) {
	crashtest.Main(m, func(_ string, args []string) error { return try(args[0]) })
}

func try(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(filelock.Try(f), f.Close())
}

func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := filelock.Try(f); err != nil {
		t.Fatal(err)
	}
	if err := try(path); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("while it is held: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := try(path); err != nil {
		t.Errorf("when it is not: %v", err)
	}
}

// A kernel of 4.19 that was built small says this of every lock.
func TestKernelWithoutLocks(t *testing.T) {
	p := crashtest.Point{Call: "flock", N: 1}
	log, stderr := crashtest.Trace(t, "try", []string{t.TempDir()}, p.Fail("ENOSYS"))
	const want = "flock: this kernel has no file locks (CONFIG_FILE_LOCKING): not supported here\n"
	if !crashtest.Failed(log) || string(stderr) != want {
		t.Errorf("got %q\n%s", stderr, log)
	}
}
