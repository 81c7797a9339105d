package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

// buildUser is the user that root's builds drop to where --user names none.
const buildUser = "xtm-build"

func kernelBuildCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "build",
		Usage:     "build the packages, from where an earlier run stopped",
		ArgsUsage: noArgument,
		Description: `It fetches the source, configures, compiles and packs, in a folder of the user's, and checks what
came out. What was interrupted goes on when the same command is run again. Root's builds drop to
another user first. It ends with 3 where the kernel's own configuration is not what was asked
for, and with 4 where it cannot be; then nothing was built.

   xtm kernel build
   sudo xtm kernel build --user builder
   xtm kernel build --profile xen-guest --localmod --target guest.json`,
		Flags: append(jobFlags(),
			&cli.StringFlag{Name: "user", Usage: "as root: build as this `USER` (default: " + buildUser + ", where there is one)"},
			&cli.StringFlag{Name: "chroot", Usage: "build in another Debian: a folder that has one, or a release such as `SUITE` bullseye", TakesFile: true},
			&cli.StringFlag{Name: "mirror", Usage: "with --chroot SUITE: take it from this `URL`"},
			&cli.StringFlag{Name: "in-chroot", Hidden: true},
			&cli.BoolFlag{Name: "dry-run", Usage: "show the plan and stop"},
		),
		Action: func(c *cli.Context) error {
			if c.Bool("dry-run") {
				return showPlan(c, env, "table")
			}
			switch {
			case c.IsSet("chroot"):
				return buildInChroot(c, env)
			case c.IsSet("mirror"):
				return &usageError{msg: "--mirror is for --chroot SUITE"}
			}
			home, env, err := env.dropTo(c.String("user"))
			if err != nil {
				return err
			}
			j, err := openJob(c.Context, c, env, home)
			if err != nil {
				return err
			}
			j.Chroot = c.String("in-chroot")
			r := &buildReport{env: env, begin: env.Now()}
			j.Report = r.event
			record, err := j.Build(c.Context)
			r.end()
			if err != nil {
				return explainBuild(env, j.Dir, err)
			}
			if j.Chroot != "" {
				return nil // who started it shows the record
			}
			return showRecord(env, j.Dir, record)
		},
	}
}

// explainBuild shows what a failed phase found, and gives it its exit code.
func explainBuild(env Env, dir string, err error) error {
	var hints []string
	if e, ok := errors.AsType[*build.PhaseError](err); ok {
		if len(e.Findings) > 0 {
			doc := render.Document{render.Findings{List: e.Findings, Evidence: true}}
			if rerr := render.Text(env.Stderr, doc, render.Options{Width: env.Width}); rerr != nil {
				return rerr
			}
			for _, f := range e.Findings {
				hints = append(hints, f.Commands...)
			}
		}
		if f := e.Failure; f != nil {
			if werr := showFailure(env.Stderr, *f); werr != nil {
				return werr
			}
			if f.Cure != "" {
				hints = append(hints, f.Cure)
			}
		}
		if e.Log != "" {
			hints = append(hints, "the whole log: "+e.Log)
		}
	}
	code := exitCode(err)
	switch {
	case errors.Is(err, build.ErrDiffers):
		code = exitProblems
		hints = append(hints, "nothing was compiled; the configurations are in "+dir+"/config")
	case code == exitInterrupted:
		hints = append(hints, "the same command goes on from here")
	case errors.Is(err, cause.ErrNotSupported):
		hints = append(hints, "other wishes: --profile xen-guest, or --fragment FILE")
	}
	for i, h := range hints {
		hints[i] = render.Escape(h)
	}
	return &exitError{code, errors.New(escapeLines(err.Error())), hints}
}

// escapeLines keeps line breaks, for several ways may have failed.
func escapeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = render.Escape(l)
	}
	return strings.Join(lines, "\n  ")
}

// showFailure prints the first error of a log with the lines around it.
func showFailure(w io.Writer, f kernelbuild.Failure) error {
	var b strings.Builder
	line := func(n int, mark, text string) { fmt.Fprintf(&b, "%s %5d  %s\n", mark, n, render.Escape(text)) }
	for i, t := range f.Above {
		line(f.Line-len(f.Above)+i, " ", t)
	}
	line(f.Line, ">", f.Text)
	for i, t := range f.Below {
		line(f.Line+1+i, " ", t)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// showRecord lists what was built.
func showRecord(env Env, dir string, r kernelbuild.Record) error {
	t := render.Table{Title: "Linux " + r.Release + " is built", Columns: []render.Column{
		{Key: "file", Name: "Package"}, {Key: "kind", Name: "Kind"}, {Key: "size_mib", Name: "Size", Unit: render.MiB, Align: render.Right},
	}}
	for _, p := range r.Packages {
		t.Rows = append(t.Rows, []render.Cell{render.Str(p.File), render.Str(string(p.Kind)), render.Size(units.KiB(p.Size >> 10))})
	}
	var total float64
	for _, p := range r.Phases {
		if !p.Kept {
			total += p.Seconds
		}
	}
	doc := render.Document{t, render.Fields{
		{Label: "In", Text: dir + "/out"},
		{Label: "Took", Text: render.Duration(time.Duration(total * float64(time.Second)))},
	}, render.Hints{"install it: xtm kernel install " + dir + "/out/" + kernelbuild.RecordName}}
	return render.Text(env.Stdout, doc, render.Options{Width: env.Width, Color: env.Terminal && !env.NoColor})
}

// buildReport shows events as they come: a bar on a terminal, lines elsewhere.
type buildReport struct {
	env   Env
	begin time.Time
	bar   *progressbar.ProgressBar
	said  time.Time // when a plain line last told of progress
}

func (r *buildReport) event(e build.Event) {
	switch e.Kind {
	case build.Began:
		r.line("%s", e.Phase)
	case build.Kept:
		r.line("%s: done before", e.Phase)
	case build.Noted:
		r.line("  %s", e.Text)
	case build.Ended:
		r.end()
		if e.Elapsed >= time.Second {
			r.line("  %s took %s", e.Phase, render.Duration(e.Elapsed))
		}
	case build.Advanced:
		r.advance(e)
	}
}

func (r *buildReport) line(format string, a ...any) {
	_, _ = fmt.Fprintln(r.env.Stderr, render.Escape(fmt.Sprintf(format, a...))) // progress is not worth failing for
}

// advance moves the bar, or says a line every half minute.
func (r *buildReport) advance(e build.Event) {
	if r.env.Terminal {
		if r.bar == nil {
			r.bar = progressbar.NewOptions(e.Expected,
				progressbar.OptionSetWriter(r.env.Stderr), progressbar.OptionSetDescription(string(e.Phase)),
				progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowElapsedTimeOnFinish(),
				progressbar.OptionSetElapsedTime(true), progressbar.OptionShowIts(), progressbar.OptionSetItsString("objects"),
				progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		r.bar.ChangeMax(e.Expected)
		_ = r.bar.Set(e.Done) // progress is not worth failing for
		return
	}
	const every = 30 * time.Second
	if now := r.env.Now(); now.Sub(r.said) >= every && e.Done > 0 {
		r.said = now
		rate := float64(e.Done) / max(e.Elapsed.Seconds(), 1)
		if e.Done >= e.Expected { // the guess was too low
			r.line("  %s objects, %.1f a second", units.Group(e.Done), rate)
			return
		}
		left := time.Duration(float64(e.Expected-e.Done) / rate * float64(time.Second))
		r.line("  %s of about %s objects, %.1f a second, about %s left", units.Group(e.Done), units.Group(e.Expected), rate, render.Duration(left.Round(time.Second)))
	}
}

// end takes the bar away.
func (r *buildReport) end() {
	if r.bar != nil {
		_ = r.bar.Finish() // progress is not worth failing for
		r.bar = nil
	}
}

// builder finds the user to build as, where this is root.
func (e Env) builder(name string) (account, error) {
	users, err := e.accounts()
	if err != nil {
		return account{}, err
	}
	wanted := name
	if wanted == "" {
		wanted = buildUser
	}
	i := slices.IndexFunc(users, func(a account) bool { return a.name == wanted })
	switch {
	case i < 0 && name == "":
		return account{}, &usageError{
			"root does not build: make and all that the tree brings would run as root",
			[]string{
				"name a user: xtm kernel build --user NAME",
				"or make one: adduser --system --group --home /var/lib/" + buildUser + " " + buildUser,
			},
		}
	case i < 0:
		return account{}, &usageError{msg: fmt.Sprintf("there is no user %q", name)}
	case users[i].uid == 0:
		return account{}, &usageError{msg: name + " is root, too"}
	}
	return users[i], nil
}

// dropTo becomes another user where this is root, for good, and returns that
// user's home and surroundings.
func (e Env) dropTo(name string) (string, Env, error) {
	if !e.Root {
		if name != "" {
			return "", e, &usageError{msg: "--user is for root; this builds as the user who runs it"}
		}
		home, err := e.ownHome()
		return home, e, err
	}
	u, err := e.builder(name)
	if err != nil {
		return "", e, err
	}
	if err := build.Become(u.uid, u.gid); err != nil {
		return "", e, err
	}
	e.Root = false
	e.Run = build.Surround(e.Run, "HOME="+u.home, "USER="+u.name, "LOGNAME="+u.name)
	return u.home, e, nil
}
