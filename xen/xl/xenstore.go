package xl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/xenstore/domkeys"
)

// Bounds of xenstore-ls: one call, all calls, and what one guest may fill its
// part of xenstore with.
const (
	xenstoreTimeout = 10 * time.Second
	xenstoreBudget  = 60 * time.Second
	xenstoreOutput  = 256 << 10
)

// errBudget means that the time for one kind of reading was used up.
var errBudget = errors.New("the rest was left out")

// xenstore adds the toolstack's target and static maximum, and what each guest
// says of itself. The budget counts the commands' own time, so that a replay
// leaves out the same.
func (r *reader) xenstore() {
	var failed []string
	var first error
	start, asked, skipped := r.snap.End, 0, 0
	hopeless := false
	r.each(func(d *xen.Domain, id int) {
		if hopeless || r.ctx.Err() != nil {
			return
		}
		if r.snap.End.Sub(start) > xenstoreBudget {
			skipped++
			return
		}
		asked++
		err := r.domainStore(d, id)
		if err == nil {
			return
		}
		failed = append(failed, fmt.Sprintf("%d %q", id, d.Name))
		if first == nil {
			first = err
		}
		// What no domain gives for want of a program or a privilege, the next
		// will not give either.
		c := cause.Of(err)
		hopeless = asked == 1 && (c == cause.NoData || c == cause.NeedsRoot || c == cause.NotSupported)
	})
	const what = "xenstore's memory/ and data/ of "
	switch {
	case hopeless:
		r.gap(what+"all domains", first)
	case first != nil:
		r.gap(what+some(failed), first)
	}
	if skipped > 0 {
		r.gap(fmt.Sprintf("%sthe last %d domains", what, skipped),
			fmt.Errorf("xenstore-ls took more than %s for the others: %w", xenstoreBudget, errBudget))
	}
}

// domainStore reads one domain's keys.
func (r *reader) domainStore(d *xen.Domain, id int) error {
	home := fmt.Sprintf("/local/domain/%d", id)
	values, at, err := r.subtree(home + "/memory")
	if err != nil {
		return err
	}
	d.Target = domkeys.KiB(values[home+"/memory/target"])
	if s := domkeys.KiB(values[home+"/memory/static-max"]); s.Has() {
		d.StaticMax = s
	}
	if id == 0 {
		return nil // Dom0 has /proc/meminfo
	}
	data, asked, err := r.subtree(home + "/data")
	if err == nil {
		at = asked
	}
	d.Guest = domkeys.Guest(func(key string) string {
		path := home + "/" + key
		if v, ok := data[path]; ok {
			return v
		}
		return values[path]
	}, at)
	return err
}

// subtree reads what lies below a path, and when. A path that is not there is an
// empty subtree.
func (r *reader) subtree(path string) (map[string]string, time.Time, error) {
	c := run.Cmd{Name: "xenstore-ls", Args: []string{"-f", path}, Timeout: xenstoreTimeout, MaxOutput: xenstoreOutput}
	res, err := r.output(c)
	if err != nil {
		stderr := string(res.Stderr)
		if strings.Contains(stderr, "xs_directory") && strings.Contains(stderr, "No such file or directory") {
			err = nil
		}
		return nil, res.Start, err
	}
	values, err := parseXenstore(res.Stdout, path)
	if err != nil {
		err = &parseError{c.String(), err}
	}
	return values, res.Start, err
}

// parseXenstore reads xenstore-ls -f of one path:
//
//	/local/domain/1/memory/static-max = "524288"
//	/local/domain/1/memory/target = "262144"
//	/local/domain/1/memory/meminfo = "MemTotal: 262144 kB\nMemFree: 1024 kB\n"
//
// (Xen 4.12.4; the last line is made up). Control bytes, 0x7f–0xff and the
// backslash are escaped, quotes are not (tools/xenstore/xs.c, sanitise_value):
// a value ends at the line's last quote. A value that may not be read is
// "path:", with an empty line behind it. A path that is not below the one asked
// for is an error.
func parseXenstore(b []byte, below string) (map[string]string, error) {
	values := map[string]string{}
	n := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		n++
		path, rest, _ := strings.Cut(line, " ")
		if line == "" || strings.HasSuffix(path, ":") {
			continue
		}
		value, ok := strings.CutPrefix(rest, `= "`)
		value, quoted := strings.CutSuffix(value, `"`)
		if !ok || !quoted || !strings.HasPrefix(path, below+"/") {
			return nil, fmt.Errorf("line %d: want %s/KEY = \"value\": %.100q", n, below, line)
		}
		values[path] = unescape(value)
	}
	return values, nil
}

// unescape undoes \t \n \r \\ \xHH and \OOO; anything else stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		digits, base := "", 8
		switch c := s[i]; {
		case strings.IndexByte(`tnr\`, c) >= 0:
			out.WriteByte("\t\n\r\\"[strings.IndexByte(`tnr\`, c)])
			continue
		case c == 'x':
			digits, base = s[i+1:min(i+3, len(s))], 16
		case c >= '0' && c <= '7':
			digits = s[i:min(i+3, len(s))]
		}
		code, err := strconv.ParseUint(digits, base, 8)
		if err != nil {
			out.WriteByte('\\')
			out.WriteByte(s[i])
			continue
		}
		out.WriteByte(byte(code))
		i += len(digits)
		if base == 8 {
			i-- // the first digit was counted already
		}
	}
	return out.String()
}
