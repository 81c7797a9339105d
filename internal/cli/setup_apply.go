package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/render"
	"xtm/internal/run"
	"xtm/internal/statedir"
	"xtm/setup"
)

// show prints the notes and the diff. done tells that this is the end.
func (s *setupRun) show(plan setup.Plan, nothing string) (done bool, err error) {
	if len(plan.Notes) > 0 {
		width := s.env.Width
		if width == 0 {
			width = render.DefaultWidth
		}
		if err := render.Text(s.env.Stderr, render.Document{render.Findings{List: plan.Notes}}, render.Options{Width: width}); err != nil {
			return true, err
		}
	}
	if plan.Done() {
		if !s.dryRun {
			if err := plan.CleanUp(s.machine); err != nil {
				return true, err
			}
		}
		return true, s.say(nothing)
	}
	if diff := plan.Diff(); diff != "" {
		_, err = io.WriteString(s.env.Stdout, diff)
	} else {
		err = s.say("The settings are right, and the boot menu is not made of them: run is " + plan.Command())
	}
	if err != nil || !s.dryRun {
		return err != nil, err
	}
	if command := plan.Command(); command != "" {
		return true, s.say("Nothing was changed. Without --dry-run this is written, and then run: " + command)
	}
	return true, s.say("Nothing was changed. Without --dry-run this is written.")
}

// apply asks whether to go on, and does it.
func (s *setupRun) apply(ctx context.Context, plan setup.Plan, after string) error {
	question := "Apply this"
	if command := plan.Command(); command != "" {
		question += " and run " + command
	}
	if err := s.agree(ctx, question, "apply"); err != nil {
		return err
	}
	out, err := setup.Apply(ctx, s.machine, plan)
	if err != nil {
		return failed(ctx, err, out)
	}
	for _, b := range out.Backups {
		if err := s.say("Backup: " + b); err != nil {
			return err
		}
	}
	if out.Seen != "" {
		return &exitError{exitProblems, fmt.Errorf("it is set, but %s", out.Seen), out.Fix}
	}
	return s.say(strings.ToUpper(after[:1]) + after[1:])
}

// failed explains a change that did not come about.
func failed(ctx context.Context, err error, out setup.Outcome) error {
	switch {
	case errors.Is(err, cause.ErrNotRestored):
		hints := []string{"mend what failed; this then undoes the rest: xtm disable-tmem"}
		if len(out.Backups) > 0 {
			hints = append(hints, "the old files, to be copied back by hand: "+strings.Join(out.Backups, ", "))
		}
		return &exitError{exitPartly, err, hints}
	case errors.Is(err, statedir.ErrLocked):
		return &exitError{exitFailed, err, []string{"let it end, then run this again"}}
	case errors.Is(err, edit.ErrChanged):
		return err
	case ctx.Err() != nil: // what failed may be a program that was interrupted, too
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	}
	var hints []string
	if program, ok := errors.AsType[*run.ExitError](err); ok {
		hints = []string{"to see what it lacks, run it alone: " + program.Cmd}
	}
	return &exitError{exitFailed, fmt.Errorf("everything is as before: %w", err), hints}
}
