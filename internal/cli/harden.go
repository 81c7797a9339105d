package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/run"
)

// harden applies the house rules to every command: the library lets
// subcommands inherit none of them, and takes a flag behind an argument for
// another argument.
func harden(cmds []*cli.Command) { hardenBelow("xtm", cmds) }

func hardenBelow(parent string, cmds []*cli.Command) {
	for _, c := range cmds {
		path := parent + " " + c.Name
		c.UseShortOptionHandling, c.HideHelpCommand = true, true
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
			return &usageError{err.Error(), []string{"see `" + path + " --help`"}}
		}
		c.Description = strings.TrimSpace(c.Description + "\n\n" + exitHelp)
		if len(c.Subcommands) > 0 {
			subs, own := c.Subcommands, c.Action
			c.Action = func(ctx *cli.Context) error {
				if own == nil {
					return unknownBelow(path, ctx, subs)
				}
				if err := lateFlag(path, ctx); err != nil {
					return err
				}
				if ctx.NArg() == 0 {
					return own(ctx)
				}
				return unknownBelow(path, ctx, subs)
			}
			hardenBelow(path, subs)
			continue
		}
		act := c.Action
		c.Action = func(ctx *cli.Context) error {
			if err := lateFlag(path, ctx); err != nil {
				return err
			}
			if c.ArgsUsage == noArgument && ctx.NArg() > 0 {
				return &usageError{msg: fmt.Sprintf("%s takes no argument, but got %q", strings.TrimPrefix(path, "xtm "), ctx.Args().First())}
			}
			return act(ctx)
		}
	}
}

// noArgument is the ArgsUsage of a command that takes none; "" would show as
// "[arguments...]" in its help.
const noArgument = " "

// lateFlag is the error of a flag that stands behind an argument.
func lateFlag(path string, ctx *cli.Context) error {
	late := slices.IndexFunc(ctx.Args().Slice(), isFlag)
	if late < 0 {
		return nil
	}
	return &usageError{
		fmt.Sprintf("flag %s stands behind an argument", run.Quote(ctx.Args().Get(late))),
		[]string{"write: " + flagsFirst(path, ctx)},
	}
}

func isFlag(s string) bool { return strings.HasPrefix(s, "-") && s != "-" }

// flagsFirst rewrites the command line with every flag before the arguments.
func flagsFirst(path string, ctx *cli.Context) string {
	args := ctx.Args().Slice()
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		if !isFlag(args[i]) {
			rest = append(rest, args[i])
			continue
		}
		flags = append(flags, args[i])
		name := strings.TrimLeft(args[i], "-")
		if !strings.Contains(name, "=") && takesValue(ctx.Command.Flags, name) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	words := append(strings.Fields(path), given(ctx)...)
	words = append(append(words, flags...), rest...)
	for i, w := range words {
		words[i] = run.Quote(w)
	}
	return strings.Join(words, " ")
}

// given are the flags that were understood.
func given(ctx *cli.Context) []string {
	var out []string
	for _, name := range ctx.LocalFlagNames() {
		for _, f := range ctx.Command.Flags {
			if f.Names()[0] != name {
				continue
			}
			if takesValue([]cli.Flag{f}, name) {
				out = append(out, "--"+name, fmt.Sprint(ctx.Value(name)))
			} else {
				out = append(out, "--"+name)
			}
		}
	}
	return out
}

func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}

// unknownCommand names what was not understood and what may have been meant.
func unknownCommand(ctx *cli.Context, cmds []*cli.Command) error {
	return unknownBelow("xtm", ctx, cmds)
}

func unknownBelow(parent string, ctx *cli.Context, cmds []*cli.Command) error {
	word := ctx.Args().First()
	if word == "" {
		return cli.ShowAppHelp(ctx)
	}
	e := &usageError{msg: fmt.Sprintf("unknown command %q", word)}
	best, distance := "", 3
	var names []string
	for _, c := range cmds {
		names = append(names, c.Name)
		if d := editDistance(word, c.Name); d < distance {
			best, distance = c.Name, d
		}
	}
	if best != "" {
		e.hints = append(e.hints, "did you mean `"+parent+" "+best+"`?")
	} else {
		e.hints = append(e.hints, "commands are: "+strings.Join(names, ", "))
	}
	for _, f := range ctx.Command.Flags {
		if slices.Contains(f.Names(), "domain") {
			e.hints = append(e.hints, "one domain: `"+parent+" --domain "+run.Quote(word)+"`")
		}
	}
	return e
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
