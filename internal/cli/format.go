package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// formatFlag is --format. usage is the list of the formats, of which the first
// is taken without the flag: "table, json or csv", and may say more in
// parentheses.
func formatFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "format", Value: formatsOf(usage)[0], Usage: usage}
}

func formatsOf(usage string) []string {
	list, _, _ := strings.Cut(usage, " (")
	return strings.Split(strings.ReplaceAll(list, " or ", ", "), ", ")
}

// formats are those of a command.
func formats(flags []cli.Flag) []string {
	for _, f := range flags {
		if s, ok := f.(*cli.StringFlag); ok && s.Name == "format" {
			return formatsOf(s.Usage)
		}
	}
	return nil
}

// knownFormat refuses a format that the command does not have.
func knownFormat(c *cli.Context) error {
	known, format := formats(c.Command.Flags), c.String("format")
	if known == nil || slices.Contains(known, format) {
		return nil
	}
	return &usageError{fmt.Sprintf("no format is called %q", format), []string{"formats are: " + strings.Join(known, ", ")}}
}
