package cli

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed completion/bash
var bashCompletion string

//go:embed completion/zsh
var zshCompletion string

//go:embed completion/fish
var fishCompletion string

// completionCommand prints what a shell needs to complete xtm's words. The
// shells ask xtm itself, so the text never goes stale.
func completionCommand(env Env) *cli.Command {
	shells := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh|fish",
		Description: "For bash, now and at the next login:\n\n" +
			"   source <(xtm completion bash)\n" +
			"   xtm completion bash > /etc/bash_completion.d/xtm",
		Action: func(c *cli.Context) error {
			text, ok := shells[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return &usageError{
					fmt.Sprintf("no completion for %q", strings.Join(c.Args().Slice(), " ")),
					[]string{"shells are: bash, zsh, fish"},
				}
			}
			_, err := fmt.Fprint(env.Stdout, text)
			return err
		},
	}
}
