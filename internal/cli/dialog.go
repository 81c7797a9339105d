package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/render"
)

// dialogFlags are those of a command that asks before it changes something.
func dialogFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Usage: "show the changes and stop"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask whether to apply the changes"},
	}
}

// dialog is how a command that changes something speaks with its user: on
// stderr, for stdout is for data.
type dialog struct {
	env         Env
	name        string // without xtm: "kernel install"
	dryRun, yes bool
	in          *bufio.Reader
}

func openDialog(c *cli.Context, env Env, name string) dialog {
	return dialog{env: env, name: name, dryRun: c.Bool("dry-run"), yes: c.Bool("yes"), in: bufio.NewReader(noInput(env.Stdin))}
}

func noInput(r io.Reader) io.Reader {
	if r == nil {
		return strings.NewReader("")
	}
	return r
}

// mayChangeBoot refuses who is not root.
func (d *dialog) mayChangeBoot() error {
	if d.dryRun || d.env.Root {
		return nil
	}
	return &exitError{
		exitNeedsRoot, fmt.Errorf("%s: it changes how the machine boots: %w", d.name, cause.ErrNeedsRoot),
		[]string{"sudo xtm " + d.name, "what it would change: sudo xtm " + d.name + " --dry-run"},
	}
}

func (d *dialog) say(text string) error {
	_, err := fmt.Fprintln(d.env.Stderr, render.Escape(text))
	return err
}

var errDeclined = errors.New("not confirmed: nothing was changed")

// agree asks whether to go on. verb is what would be done: "apply" it.
func (d *dialog) agree(ctx context.Context, question, verb string) error {
	if d.yes {
		return nil
	}
	if !d.env.Interactive {
		return &usageError{"nobody is there to ask whether to " + verb + " this", []string{"to " + verb + " it: --yes; only to see it: --dry-run"}}
	}
	ok, err := d.ask(ctx, question+"? [y/N] ", "y", "yes")
	if err == nil && !ok {
		err = errDeclined
	}
	return err
}

// affirm asks for a statement that --yes does not make.
func (d *dialog) affirm(ctx context.Context, statement string, said bool, flag string) error {
	if statement == "" || said {
		return nil
	}
	if !d.env.Interactive {
		return &usageError{
			"this must be affirmed first: " + statement,
			[]string{"if it is so: " + flag + " (--yes does not say it)"},
		}
	}
	ok, err := d.ask(ctx, statement+". Is that so? Type yes: ", "yes")
	if err == nil && !ok {
		err = errDeclined
	}
	return err
}

// ask reads one line from the terminal, until the user interrupts it.
func (d *dialog) ask(ctx context.Context, question string, yes ...string) (bool, error) {
	if _, err := io.WriteString(d.env.Stderr, question); err != nil {
		return false, err
	}
	type answer struct {
		line string
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := d.in.ReadString('\n')
		given <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return false, errors.Join(d.say(""), &exitError{exitInterrupted, errors.New("interrupted: nothing was changed"), nil})
	case a := <-given:
		switch {
		case errors.Is(a.err, io.EOF):
			return false, d.say("") // the cursor stands behind the question
		case a.err != nil:
			return false, a.err
		}
		return slices.Contains(yes, strings.ToLower(strings.TrimSpace(a.line))), nil
	}
}
