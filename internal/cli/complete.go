package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/hwprofile"
	"xtm/kernelbuild"
	"xtm/report/layout"
)

// completeWord is the hidden command that the completion scripts call with the
// words of the line so far. The library has one of its own, which panics on a
// flag that is half typed.
const completeWord = "__complete"

// values are the words that flags and arguments take. A flag that is not here
// takes a file or a text of the user's.
func values(name string) []string {
	switch name {
	case "force":
		return hwprofile.Guards()
	case "units":
		return []string{"auto", "pages", "KiB", "MiB", "GiB"}
	case "sort":
		return layout.SortKeys()
	case "role":
		return []string{"auto", "host", "guest"}
	case "source", "from":
		return []string{"auto", "hypercall", "xl", "libvirt"}
	case "via":
		return []string{"auto", "hypercall", "xl"}
	case "scheduler":
		return []string{"systemd", "cron"}
	case "booted-by":
		return []string{"auto", "grub", "pygrub", "dom0"}
	case "profile":
		return kernelbuild.Profiles()
	case "compressor":
		return []string{"none", "zstd", "gzip", "xz"}
	case "completion":
		return []string{"bash", "zsh", "fish"}
	}
	return nil
}

// complete prints what the last word could become, a line each. No line means
// that the shell should offer files.
func complete(w io.Writer, cmds []*cli.Command, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	var flags []cli.Flag
	name := ""
	for len(before) > 0 {
		i := slices.IndexFunc(cmds, func(c *cli.Command) bool { return c.HasName(before[0]) })
		if i < 0 {
			break
		}
		name, flags, cmds, before = cmds[i].Name, cmds[i].Flags, cmds[i].Subcommands, before[1:]
	}
	var out []string
	switch previous := lastOf(before); {
	case isFlag(previous) && takesValue(flags, strings.TrimLeft(previous, "-")):
		if word := strings.TrimLeft(previous, "-"); !takesFile(flags, word) {
			out = values(word)
			if word == "format" {
				out = formats(flags)
			}
		}
	case strings.HasPrefix(last, "-"):
		for _, f := range flags {
			for _, n := range f.Names() {
				out = append(out, strings.Repeat("-", min(2, len(n)))+n)
			}
		}
	case name == "":
		for _, c := range cmds {
			out = append(out, c.Name)
		}
	default:
		out = values(name)
		for _, c := range cmds {
			out = append(out, c.Name)
		}
	}
	for _, word := range out {
		if strings.HasPrefix(word, last) {
			if _, err := fmt.Fprintln(w, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// takesFile tells whether a flag wants a path, whatever its name means elsewhere;
// one that has a word for its default takes words, too.
func takesFile(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if s, ok := f.(*cli.StringFlag); ok && slices.Contains(s.Names(), name) {
			return s.TakesFile && s.Value == ""
		}
	}
	return false
}

func lastOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
