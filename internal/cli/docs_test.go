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
	"xtm/internal/cli"
	"xtm/internal/needs"
	"xtm/report"
)

// block is fenced code of a document.
type block struct {
	file, language string
	lines          []string
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
				open = &block{file: filepath.Base(f), language: fence}
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

// xtm runs one command line on a host that is replayed from a recording, until
// it ends or has run long enough to be seen.
func xtm(t *testing.T, dir, line string) (stdout, stderr string, code int) {
	t.Helper()
	words := strings.Fields(line)
	for i, w := range words {
		if strings.HasSuffix(w, ".tar.gz") {
			words[i] = filepath.Join(dir, w)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	if slices.Contains(words, "--every") {
		ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
	}
	defer cancel()
	if i := slices.Index(words, "10s"); i > 0 {
		words[i] = "10ms"
	}
	seams := importtest.Phase(t, "xen-4.12/t0-idle").Seams()
	var out, errs bytes.Buffer
	code = cli.Run(ctx, cli.Env{
		Args: words, Stdout: &out, Stderr: &errs, Root: true, Files: seams.Files, Run: seams.Run, Now: time.Now,
	})
	return out.String(), errs.String(), code
}

// TestDocs runs every command of README and docs. A "$ " line of a console
// block prints what stands below it, where "..." is any lines; the lines of an
// sh block run and succeed.
func TestDocs(t *testing.T) {
	dir := t.TempDir()
	for _, b := range blocks(t) {
		switch b.language {
		case "console":
			line, ok := strings.CutPrefix(b.lines[0], "$ ")
			if !ok {
				t.Fatalf("%s: a console block that begins with %q", b.file, b.lines[0])
			}
			out, errs, code := xtm(t, dir, line)
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
					if _, errs, code := xtm(t, dir, command); code != 0 && (code != 3 || !strings.Contains(command, "--check")) {
						t.Errorf("%s: %s: exit %d: %s", b.file, command, code, errs)
					}
				default:
					t.Errorf("%s: nobody knows how to test %q", b.file, line)
				}
			}
		case "toml":
			if _, err := report.ParseThresholds([]byte(strings.Join(b.lines, "\n"))); err != nil {
				t.Errorf("%s: %v", b.file, err)
			}
		default:
			t.Errorf("%s: a block of %q", b.file, b.language)
		}
	}
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
