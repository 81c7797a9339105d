package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/capture/importtest"
	"xtm/hwprofile/hwtest"
	"xtm/internal/cli"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"
	"xtm/report"
	"xtm/tune"
)

// block is fenced code of a document. "```sh guest" is of a prepared machine.
type block struct {
	file, language, machine string
	lines                   []string
}

func blocks(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	for _, f := range append(files, "../../README.md") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var open *block
		for line := range strings.SplitSeq(string(text), "\n") {
			fence, isFence := strings.CutPrefix(line, "```")
			switch {
			case isFence && open == nil:
				language, machine, _ := strings.Cut(fence, " ")
				open = &block{file: filepath.Base(f), language: language, machine: machine}
			case isFence:
				out = append(out, *open)
				open = nil
			case open != nil:
				open.lines = append(open.lines, line)
			}
		}
	}
	return out
}

// prepare makes the machines that commands may change: the roots of two scripts.
func prepare(t *testing.T) map[string]cli.Env {
	t.Helper()
	machines := map[string]cli.Env{}
	for name, from := range map[string][2]string{"host": {"enable-host", "dom0"}, "guest": {"enable-guest", "guest"}, "debian": {"kernel-plan", "buster"}, "tmem": {"tune-host", "dom0"}, "tmem-guest": {"tune-guest", "guest"}, "timer": {"periodic-install", "dom0"}} {
		dir := t.TempDir()
		unpack(t, from[0], dir)
		bin, root := filepath.Join(dir, "bin"), filepath.Join(dir, from[1])
		if err := os.MkdirAll(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		program(t, filepath.Join(bin, "chroot"), []byte("#!/bin/sh\nshift\nexec \"$@\"\n"))
		machines[name] = cli.Env{
			Root: true, Files: hostfs.Root(root), Run: run.New([]string{"PATH=" + bin + ":/usr/bin:/bin", "XTM_ROOT=" + root}), Now: time.Now,
		}
	}
	tmem := machines["tmem"]
	tmem.Calls, tmem.Store = fakeXen("4.12.4"), xenstoreKeys{}
	machines["tmem"] = tmem
	seams := importtest.Phase(t, "xen-4.12/t0-idle").Seams()
	machines[""] = cli.Env{Root: true, Files: seams.Files, Run: seams.Run, Now: time.Now}
	board := hwtest.X10SAE()
	machines["x10sae"] = cli.Env{Root: true, Files: hostfs.Root(board.Write(t)), Run: board.XL.Run, Now: time.Now}
	return machines
}

// xtm runs one command line on a machine, until it ends or has run long enough
// to be seen. Without a name the machine is a host replayed from a recording.
func xtm(t *testing.T, env cli.Env, dir, line string) (stdout, stderr string, code int) {
	t.Helper()
	words := strings.Fields(line)
	for i, w := range words {
		if strings.HasSuffix(w, ".tar.gz") || strings.HasPrefix(w, "/tmp/") {
			words[i] = filepath.Join(dir, filepath.Base(w))
		}
	}
	if i := slices.Index(words, "/mnt"); i > 0 {
		words[i] = string(env.Files.(hostfs.Root))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	if slices.Contains(words, "--every") {
		ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
	}
	defer cancel()
	if i := slices.Index(words, "10s"); i > 0 {
		words[i] = "10ms"
	}
	var out, errs bytes.Buffer
	env.Args, env.Stdout, env.Stderr = words, &out, &errs
	code = cli.Run(ctx, env)
	return out.String(), errs.String(), code
}

// TestDocs runs every command of README and docs. A "$ " line of a console
// block prints what stands below it, where "..." is any lines; the lines of an
// sh block run and succeed.
func TestDocs(t *testing.T) {
	dir, machines := t.TempDir(), prepare(t)
	for _, b := range blocks(t) {
		env, ok := machines[b.machine]
		if !ok {
			t.Fatalf("%s: nobody has prepared the machine %q", b.file, b.machine)
		}
		switch b.language {
		case "console":
			line, ok := strings.CutPrefix(b.lines[0], "$ ")
			if !ok {
				t.Fatalf("%s: a console block that begins with %q", b.file, b.lines[0])
			}
			out, errs, code := xtm(t, env, dir, line)
			if want := strings.Join(b.lines[1:], "\n"); code != 0 || !matches(want, strings.TrimRight(out, "\n")) {
				t.Errorf("%s: %s (exit %d, %s)\nprints\n%s\nbut the document has\n%s", b.file, line, code, errs, out, want)
			}
		case "sh":
			for _, line := range b.lines {
				command, _, _ := strings.Cut(line, "#")
				switch word, _, _ := strings.Cut(command, " "); {
				case strings.TrimSpace(command) == "make test": // this is a part of it
				case word == "make":
					runMake(t, strings.Fields(command)[1])
				case word == "xtm":
					if _, errs, code := xtm(t, env, dir, command); code != 0 && (code != 3 || !mayFind(command)) {
						t.Errorf("%s: %s: exit %d: %s", b.file, command, code, errs)
					}
				default:
					t.Errorf("%s: nobody knows how to test %q", b.file, line)
				}
			}
		case "toml":
			if err := parseTOML(b.machine, []byte(strings.Join(b.lines, "\n"))); err != nil {
				t.Errorf("%s: %v", b.file, err)
			}
		default:
			t.Errorf("%s: a block of %q", b.file, b.language)
		}
	}
}

// parseTOML reads what a block shows: settings of domains or of a guest, else
// thresholds.
func parseTOML(machine string, text []byte) (err error) {
	switch machine {
	case "tmem":
		_, err = tune.ParseSettings(text)
	case "tmem-guest":
		_, err = tune.ParseGuestFile(text)
	default:
		_, err = report.ParseThresholds(text)
	}
	return err
}

// mayFind tells whether a command looks for problems, of which the machine has some.
func mayFind(command string) bool {
	return strings.Contains(command, "--check") || strings.HasPrefix(command, "xtm status")
}

// matches compares line by line; "..." stands for any lines.
func matches(want, got string) bool {
	parts := strings.Split("\n"+want+"\n", "\n...\n")
	got = "\n" + got + "\n"
	if !strings.HasPrefix(got, parts[0]) {
		return false
	}
	for i, p := range parts {
		at := strings.Index(got, p)
		if at < 0 || i == len(parts)-1 && len(parts) == 1 && got != p {
			return false
		}
		got = got[at+len(p):]
	}
	return true
}

func runMake(t *testing.T, target string) {
	t.Helper()
	needs.Program(t, "make")
	out, err := exec.CommandContext(t.Context(), "make", "-C", "../..", target).CombinedOutput()
	if err != nil {
		t.Errorf("make %s: %v\n%s", target, err, out)
	}
	if target == "run" && !bytes.Contains(out, []byte("RECORDED, not live")) {
		t.Errorf("make run does not say that the host is recorded:\n%s", out)
	}
}

// TestChecksAreDocumented: docs/report.md names every check.
func TestChecksAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range report.DefaultThresholds() {
		if !strings.Contains(string(text), "| `"+th.Check+"` |") {
			t.Errorf("docs/report.md does not name %s", th.Check)
		}
	}
}
