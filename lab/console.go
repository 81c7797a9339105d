package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mark begins the lines of the console that are meant for the outer machine:
// "LAB step …", "LAB pass NAME SECONDS", "LAB fail NAME …", "LAB skip NAME …",
// "LAB end".
const mark = "LAB "

// outcome is what the console said.
type outcome struct {
	passed, failed, skipped int
	ended                   bool
}

func (o outcome) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", o.passed, o.failed, o.skipped)
}

// line counts one line of the console; ok tells whether it was for us.
func (o *outcome) line(s string) (text string, ok bool) {
	text, ok = strings.CutPrefix(strings.TrimRight(s, "\r\n"), mark)
	if !ok {
		return "", false
	}
	switch word, _, _ := strings.Cut(text, " "); word {
	case "pass":
		o.passed++
	case "fail":
		o.failed++
	case "skip":
		o.skipped++
	case "end":
		o.ended = true
	}
	return text, true
}

// run builds, boots, waits and collects; the count is for stdout.
func run(ctx context.Context, c config, stdout io.Writer) (int, error) {
	begin := time.Now()
	say := func(format string, arg ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, arg...))
	}
	b, err := buildBase(ctx, c.cache, say)
	if err != nil {
		return 1, err
	}
	m, err := buildMachine(ctx, c, b)
	if err != nil {
		return 1, err
	}
	if err := os.RemoveAll(m.outDir); err != nil {
		return 1, err
	}
	if err := os.MkdirAll(m.outDir, 0o755); err != nil {
		return 1, err
	}
	say("booting")
	if c.shell {
		cmd := exec.CommandContext(ctx, "qemu-system-x86_64", qemuArgs(m, c)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return 1, err
		}
		return 0, collect(m)
	}
	o, bootErr := boot(ctx, c, m, say)
	err = collect(m)
	say("results are in %s", m.outDir)
	if err = errors.Join(bootErr, err); err == nil && !o.ended {
		err = errors.New("the host stopped before its scenarios were done")
	}
	if err != nil || o.failed > 0 {
		say("%s", tail(filepath.Join(m.outDir, "console.log"), 60))
	}
	if _, errOut := fmt.Fprintln(stdout, o); errOut != nil {
		err = errors.Join(err, errOut)
	}
	if err != nil || o.failed > 0 {
		return 1, err
	}
	return 0, nil
}

// boot runs the machine until it powers off, and shows its marked lines.
func boot(ctx context.Context, c config, m machine, say func(string, ...any)) (o outcome, err error) {
	limit := c.stretch(deadline)
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	log, err := os.Create(filepath.Join(m.outDir, "console.log"))
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", qemuArgs(m, c)...)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return o, err
	}
	if err := cmd.Start(); err != nil {
		return o, err
	}
	in := bufio.NewReader(io.TeeReader(out, log))
	for {
		s, err := in.ReadString('\n')
		if text, ok := o.line(s); ok {
			say("%s", text)
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return o, fmt.Errorf("the host did not power off within %v: %w", limit, ctx.Err())
	}
	return o, err
}

// collect unpacks what Dom0 wrote to the result disk: a tar archive.
func collect(m machine) (err error) {
	f, err := os.Open(m.results)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := untar(f, m.outDir, func(string) bool { return true }); err != nil {
		return fmt.Errorf("read result disk: %w", err)
	}
	return nil
}

// tail is the last n lines of a file, or why there are none.
func tail(file string, n int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "the end of " + file + ":\n" + strings.Join(lines[max(0, len(lines)-n):], "\n")
}
