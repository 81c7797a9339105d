// Package cli turns a command line into one call and one renderer.
//
// Data goes to stdout, everything else to stderr. What went wrong is one line
// that starts with "error:", lower case and without a full stop; what to do
// next follows in lines that start with "hint:".
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/capture"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/run"
	"xtm/xen/hypercall"
	"xtm/xen/libvirt"
)

// Env is all that a command may know of the world.
type Env struct {
	Args           []string // with the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool // stdout is one
	Interactive    bool // stdin is one
	Width          int  // of the terminal; 0 is unknown
	NoColor        bool
	Environ        []string // what a terminal's library may look at
	Root           bool     // the user is root
	Program        string   // xtm's own path, for services that start it; "" is not known
	Files          hostfs.Files
	Run            run.Func
	// Calls and Store are the hypervisor and xenstore; without them xl is used.
	Calls   hypercall.Caller
	Store   hypercall.Store
	Libvirt libvirt.Dialer
	Now     func() time.Time
}

// seams are the ways to the machine that a capture can record.
func (e Env) seams() capture.Seams {
	return capture.Seams{Files: e.Files, Run: e.Run, Calls: e.Calls, Store: e.Store}
}

// page is how a document looks on stdout.
func (e Env) page() render.Options {
	return render.Options{Width: e.Width, Color: e.Terminal && !e.NoColor}
}

// Run carries out one command line and returns the exit code.
func Run(ctx context.Context, env Env) int {
	app := &cli.App{
		Name:  "xtm",
		Usage: "memory overcommit on Xen: report what tmem saves, per domain, and what to do",
		Description: "xtm reads a Xen host from Dom0. Try `xtm report --demo` anywhere, " +
			"`xtm report` as root in Dom0.",
		Version:         Version(),
		HideHelpCommand: true,
		// -v is left for commands; the long form is what scripts use.
		HideVersion:    true,
		Flags:          []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version and exit"}},
		Writer:         env.Stdout,
		ErrWriter:      env.Stderr,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return &usageError{msg: err.Error()} },
		Commands: []*cli.Command{
			reportCommand(env),
			historyCommand(env),
			topCommand(env),
			exporterCommand(env),
			periodicCommand(env),
			detectCommand(env),
			captureCommand(env),
			enableCommand(env),
			disableCommand(env),
			statusCommand(env),
			guardCommand(env),
			kernelCommand(env),
			tuneCommand(env),
			completionCommand(env),
		},
	}
	app.Action = func(c *cli.Context) error {
		if c.Bool("version") {
			_, err := fmt.Fprintln(env.Stdout, "xtm", Version())
			return err
		}
		return unknownCommand(c, app.Commands)
	}
	harden(app.Commands)
	if len(env.Args) > 1 && env.Args[1] == completeWord {
		return complain(env.Stderr, complete(env.Stdout, app.Commands, env.Args[2:]))
	}
	err := app.RunContext(ctx, env.Args)
	return complain(env.Stderr, err)
}

// complain prints an error with its hints and returns its exit code.
func complain(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if code, ok := errors.AsType[*exitError](err); ok && code.err == nil {
		return code.code // a result, not a failure: the output said it all
	}
	lines := []string{"error: " + err.Error()}
	if h, ok := errors.AsType[hinter](err); ok {
		for _, hint := range h.Hints() {
			lines = append(lines, "hint: "+hint)
		}
	}
	fmt.Fprintln(w, strings.Join(lines, "\n")) //nolint:errcheck // there is nowhere left to say so
	return exitCode(err)
}

// Version is the module's version, or the commit that it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	var revision, modified string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+changes"
			}
		}
	}
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	if revision != "" && !strings.Contains(version, revision) {
		version += " " + revision + modified
	}
	return version
}
