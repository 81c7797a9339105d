package capture

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/run"
)

// Summary tells what a capture holds and what not.
type Summary struct {
	Meta
	Files, Programs, Calls int
	// Missing are the files and programs that were wanted in vain, with the
	// reason. That a file is absent may be the very fact that is needed.
	Missing []string
	Ignored []string
}

// Summary counts what was recorded.
func (c *Capture) Summary() Summary {
	s := Summary{Meta: c.Meta, Ignored: c.Ignored, Missing: c.uncaptured(), Calls: len(c.calls)}
	for k, a := range c.looks {
		if k.way == wayRead && (a.failure == failure{}) {
			s.Files++
		}
	}
	for _, x := range c.runs {
		cmd := run.Cmd{Name: x.argv[0], Args: x.argv[1:]}
		switch {
		case x.failure != failure{}:
			s.Missing = append(s.Missing, x.failure.text)
		case x.result.ExitCode != 0:
			s.Missing = append(s.Missing, x.result.Check(cmd).Error())
			s.Programs++
		default:
			s.Programs++
		}
	}
	for _, x := range c.calls {
		if x.failure != (failure{}) {
			s.Missing = append(s.Missing, x.failure.text)
		}
	}
	s.Missing = slices.Compact(s.Missing)
	return s
}

// String is the summary in lines. The last one tells what to do before the
// capture is given away.
func (s Summary) String() string {
	var b strings.Builder
	calls := ""
	if s.Calls > 0 {
		calls = fmt.Sprintf(", %d hypercalls", s.Calls)
	}
	fmt.Fprintf(&b, "captured: %d files, %d programs%s (%s, %s to %s)\n", s.Files, s.Programs, calls, s.Role,
		s.Begin.Format("2006-01-02 15:04:05"), s.End.Format("15:04:05 MST"))
	for _, m := range s.Missing {
		fmt.Fprintf(&b, "not captured: %.200q\n", m)
	}
	for _, i := range s.Ignored {
		fmt.Fprintf(&b, "not known to this xtm: %.200q\n", i)
	}
	fmt.Fprintf(&b, "left out: %d secrets, %d lines of xenstore\n", s.Scrubbed, s.Withheld)
	if s.CallsLeftOut > 0 {
		fmt.Fprintf(&b, "left out: %d hypercalls, for tmem has shared pools\n", s.CallsLeftOut)
	}
	if s.Redacted {
		b.WriteString("names, uuids, MAC and IP addresses are pseudonyms; look through free text such as dmesg before you give it away\n")
	} else {
		b.WriteString("it names domains, hosts, uuids and addresses: --redact replaces them\n")
	}
	return b.String()
}
