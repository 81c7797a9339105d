package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
)

// TestDependMode compiles with the real ccache and gcc: what is seen the first
// time runs the compiler once, what is seen again not at all, and neither what a
// header nor what .incbin brings in is ever stale.
func TestDependMode(t *testing.T) {
	needs.Program(t, "ccache")
	gcc := needs.Program(t, "gcc")
	s := &session{Job: Job{Dir: t.TempDir()}}
	args, err := s.throughCcache([]string{"-j2", "CC=ccache cc", "HOSTCC=ccache cc"})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("-j2 CC=%s/ccache-depend cc HOSTCC=ccache cc", s.Dir); strings.Join(args, " ") != want {
		t.Fatalf("arguments %q", args)
	}
	if args, err := s.throughCcache([]string{"CC=gcc-8", "HOSTCC=gcc-8"}); err != nil || args[0] != "CC=gcc-8" {
		t.Errorf("without ccache: %q, %v", args, err)
	}

	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour) // ccache is careful with what was changed just now
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	// This gcc tells of each of its runs.
	write("gcc", fmt.Sprintf("#!/bin/sh\necho run >>%s/runs\nexec %s \"$@\"\n", dir, gcc), 0o755)
	write("plain.c", "#include \"value.h\"\nint plain(void) { return VALUE; }\n", 0o644)
	write("blob.c", "asm(\".section .rodata\\n.incbin \\\"blob\\\"\\n\");\n", 0o644)
	write("blob.S", ".section .rodata\n.incbin \"blob\"\n", 0o644)
	compile := func(source string) (object string, runs int) {
		t.Helper()
		write("runs", "", 0o644)
		c := exec.Command(filepath.Join(s.Dir, "ccache-depend"), filepath.Join(dir, "gcc"), "-Wp,-MMD,"+source+".d", "-c", "-o", source+".o", source)
		c.Dir, c.Env = dir, append(os.Environ(), "CCACHE_DIR="+dir+"/cache")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		o, err := os.ReadFile(filepath.Join(dir, source+".o"))
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(filepath.Join(dir, "runs"))
		if err != nil {
			t.Fatal(err)
		}
		return string(o), strings.Count(string(log), "run\n")
	}
	for _, tt := range []struct {
		source        string
		first, second int // runs of the compiler
	}{{"plain.c", 1, 0}, {"blob.c", 2, 2}, {"blob.S", 2, 2}} {
		write("value.h", "#define VALUE 41\n", 0o644)
		write("blob", "the first blob", 0o644)
		before, runs := compile(tt.source)
		if runs != tt.first {
			t.Errorf("%s, the first time: %d runs of the compiler, wanted %d", tt.source, runs, tt.first)
		}
		if again, runs := compile(tt.source); again != before || runs != tt.second {
			t.Errorf("%s, the second time: %d runs, wanted %d; the same object: %v", tt.source, runs, tt.second, again == before)
		}
		write("value.h", "#define VALUE 42\n", 0o644)
		write("blob", "another blob", 0o644)
		if after, _ := compile(tt.source); after == before {
			t.Errorf("%s: stale", tt.source)
		}
	}
}
