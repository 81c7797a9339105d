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
// "LAB step …", "LAB run NAME", "LAB alive", "LAB pass NAME SECONDS", "LAB fail NAME …", "LAB skip NAME …",
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

func (o *outcome) add(p outcome) {
	o.passed, o.failed, o.skipped = o.passed+p.passed, o.failed+p.failed, o.skipped+p.skipped
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

// prepare builds what every boot needs.
func prepare(ctx context.Context, c config, say func(string, ...any)) (machine, error) {
	if missing := missingPackages(); len(missing) > 0 {
		return machine{}, fmt.Errorf("the lab needs Debian's packages %[1]s: apt-get install %[1]s", strings.Join(missing, " "))
	}
	b, err := buildBase(ctx, c.cache, say)
	if err != nil {
		return machine{}, err
	}
	return buildMachine(ctx, c, b)
}

// sayer prints progress with the seconds since it began.
func sayer() func(string, ...any) {
	begin := time.Now()
	return func(format string, arg ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, arg...))
	}
}

// run builds, boots as often as the scenarios need, waits and collects; the
// count is for stdout.
func run(ctx context.Context, c config, stdout io.Writer) (int, error) {
	all, err := scenarios()
	if err != nil {
		return 1, err
	}
	boots := bootsOf(all, c.match, c.nightly)
	say := sayer()
	m, err := prepare(ctx, c, say)
	if err != nil {
		return 1, err
	}
	out := filepath.Join(c.cache, "out")
	if err := os.RemoveAll(out); err != nil {
		return 1, err
	}
	var sum outcome
	var errs error
	for _, b := range boots {
		say("booting %s", b)
		o, err := runBoot(ctx, c, m, b, filepath.Join(out, b.slug()), say)
		sum.add(o)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("boot %s: %w", b, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	say("results are in %s", out)
	if _, err := fmt.Fprintln(stdout, sum); err != nil {
		errs = errors.Join(errs, err)
	}
	if errs != nil || sum.failed > 0 {
		return 1, errs
	}
	return 0, nil
}

// runBoot is one boot, its results in dir.
func runBoot(ctx context.Context, c config, m machine, b bootName, dir string, say func(string, ...any)) (outcome, error) {
	if err := errors.Join(os.MkdirAll(dir, 0o755), m.clearResults()); err != nil {
		return outcome{}, err
	}
	o, err := boot(ctx, c, m, b, filepath.Join(dir, "console.log"), say)
	err = errors.Join(err, collect(m, dir))
	if err == nil && !o.ended {
		err = errors.New("the host stopped before its scenarios were done")
	}
	if err != nil || o.failed > 0 {
		say("%s", tail(filepath.Join(dir, "console.log"), 60))
	}
	return o, err
}

// shell boots into a shell on this terminal.
func shell(ctx context.Context, c config) (int, error) {
	m, err := prepare(ctx, c, sayer())
	if err != nil {
		return 1, err
	}
	if err := m.clearResults(); err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", qemuArgs(m, c, c.shell)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return 1, err
	}
	return 0, nil
}

// boot runs the machine until it powers off, and shows its marked lines. It
// ends one that has nothing to say any more.
func boot(ctx context.Context, c config, m machine, b bootName, console string, say func(string, ...any)) (o outcome, err error) {
	limit := c.stretch(patience)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silence := time.AfterFunc(limit, func() { stop(fmt.Errorf("the host said nothing for %v", limit)) })
	defer silence.Stop()
	log, err := os.Create(console)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", qemuArgs(m, c, b)...)
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
			silence.Reset(limit)
			if text != "alive" {
				say("%s", text)
			}
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	// What it would have taken on an idle machine lies between this and half of it.
	say("QEMU used %.0f s of CPU", (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	if ctx.Err() != nil {
		return o, context.Cause(ctx)
	}
	return o, err
}

// clearResults makes an empty result disk.
func (m machine) clearResults() error {
	return errors.Join(os.WriteFile(m.results, nil, 0o644), os.Truncate(m.results, 64<<20))
}

// collect unpacks what Dom0 wrote to the result disk: a tar archive.
func collect(m machine, dir string) (err error) {
	f, err := os.Open(m.results)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := untar(f, dir, func(string) bool { return true }); err != nil {
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
