package xentop

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Screen is one screen of interactive xentop.
type Screen struct {
	// Time is the time of day on the host's own clock, as printed.
	Time string
	// Host has the version, the sizes of memory to the KiB, and the CPUs.
	Host xen.Host
	// Domains are the rows that were on the screen, in its order, without
	// numbers.
	Domains []xen.Domain
	// Clients have the Tmem lines, by position in Domains.
	Clients []xen.TmemClient
	// Hidden is how many domains xentop counted that the screen does not show.
	Hidden int
}

// ErrRecording means that a text is not a screen but what a program sent to a
// terminal: sequences that move its cursor, each screen only the difference to
// the one before.
var ErrRecording = errors.New("this is the recording of a terminal, not a screen: " +
	"while xentop runs, copy the screen as plain text (by mouse, `tmux capture-pane -p`, or hardcopy in GNU screen)")

// titlePrefix starts a screen, and nothing else that xentop prints.
const titlePrefix = "xentop - "

// ParseScreen reads the last screen in a text:
//
//	xentop - 17:04:20   Xen 4.3.0
//	5 domains: 1 running, 4 blocked, 0 paused, 0 crashed, 0 dying, 0 shutdown
//	Mem: 16651980k total, 12513168k used, 4138812k free, 38912k freeable, CPUs: 4 @ 2500MHz
//	      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS …
//	  (redacted) --b---      12324    3.7    1191920    7.2    2098176      12.6     1    1 …
//	Tmem:  Curr eph pages:        0   Succ eph gets:        0   Succ pers puts:   463995   Succ pers gets:   463807
//
// (Xen 4.3.0, published by its owner, columns cut here). Lines that a narrow
// terminal broke are put together again; what stands before the title and after
// the last row is passed over, as long as all domains that the screen counts
// were found. A recording of a terminal is refused with ErrRecording.
func ParseScreen(b []byte) (Screen, error) {
	if bytes.IndexByte(b, 0x1b) >= 0 {
		return Screen{}, ErrRecording
	}
	text := strings.ReplaceAll(string(b), "\u00a0", " ") // seen in pasted screens
	start := strings.LastIndex(text, titlePrefix)
	if start >= 0 {
		start = strings.LastIndexByte(text[:start], '\n') + 1
	}
	if start < 0 || !strings.HasPrefix(strings.TrimLeft(text[start:], " "), titlePrefix) {
		return Screen{}, fmt.Errorf("no xentop screen: want a line that starts with %q", titlePrefix)
	}
	p := screenParser{in: lines{rest: text[start:], n: strings.Count(text[:start], "\n")}, count: -1}
	for {
		line, ok := p.in.next()
		if !ok {
			break
		}
		if len(line) > maxLine {
			return Screen{}, p.in.errorf(line, "longer than %d bytes", maxLine)
		}
		if err := p.line(line); err != nil {
			return Screen{}, err
		}
	}
	return p.finish()
}

type screenParser struct {
	in     lines
	s      Screen
	count  int // of the second line; -1 before it
	states [6]int
	table  bool  // the header was seen
	other  error // the first line that is none of xentop's
}

func (p *screenParser) line(line string) error {
	// Some paste with an indent.
	switch trimmed := strings.TrimLeft(line, " "); {
	case trimmed == "":
		return nil
	case strings.HasPrefix(trimmed, titlePrefix):
		return p.title(trimmed)
	case strings.HasPrefix(trimmed, "Mem: "):
		return p.memory(trimmed)
	case isHeader(trimmed):
		p.table = true
		return nil
	case !p.table:
		p.counts(trimmed)
		return nil
	case strings.HasPrefix(trimmed, "Tmem:"):
		return p.tmem(trimmed)
	}
	if d, ok := parseRow(line); ok {
		if p.s.Domains = append(p.s.Domains, d); len(p.s.Domains) > maxDomains {
			return p.in.errorf(line, "more than %d domains", maxDomains)
		}
	} else if !isDetail(line) && !isTail(line) && p.other == nil {
		p.other = p.in.errorf(line, "not a line of xentop's")
	}
	return nil
}

// isTail tells whether a line is the end of a row that the terminal broke.
func isTail(line string) bool {
	for w := range strings.FieldsSeq(line) {
		if !isNumber(w) {
			return false
		}
	}
	return true
}

func (p *screenParser) title(line string) error {
	clock, version, ok := strings.Cut(line[len(titlePrefix):], "Xen ")
	v, err := xen.ParseVersion(version)
	if !ok || err != nil {
		return p.in.errorf(line, "want a time and a Xen version")
	}
	p.s.Time, p.s.Host.Version = strings.TrimSpace(clock), v
	return nil
}

// stateWords are in the order in which xentop decides how to count a domain
// that is several at once (xentop.c, do_summary).
var stateWords = [6]string{"running", "blocked", "paused", "shutdown", "crashed", "dying"}

func stateIndex(s xen.State) int {
	for i, is := range [6]bool{s.Running, s.Blocked, s.Paused, s.Shutdown, s.Crashed, s.Dying} {
		if is {
			return i
		}
	}
	return -1
}

// counts reads the second line; what it does not know it leaves alone.
func (p *screenParser) counts(line string) {
	total, states, ok := strings.Cut(line, " domains: ")
	n, err := strconv.Atoi(strings.TrimSpace(total))
	if !ok || err != nil || n < 0 {
		return
	}
	p.count = n
	for part := range strings.SplitSeq(states, ",") {
		number, word, _ := strings.Cut(strings.TrimSpace(part), " ")
		for i, w := range stateWords {
			if n, err := strconv.Atoi(number); err == nil && word == w {
				p.states[i] = n
			}
		}
	}
}

// memory reads both forms of the third line. Xen 4.13.0 printed the total as
// used.
//
//	Mem: 16651980k total, 12513168k used, 4138812k free, 38912k freeable, CPUs: 4 @ 2500MHz
//	Mem: 2751828k total, 1982072k used, 769756k free    CPUs: 2 @ 2599MHz
func (p *screenParser) memory(line string) error {
	sizes := map[string]opt.Value[units.KiB]{}
	words := strings.Fields(line)[1:]
	for len(words) >= 2 && strings.HasSuffix(words[0], "k") {
		n, err := strconv.ParseInt(strings.TrimSuffix(words[0], "k"), 10, 64)
		if err != nil || n < 0 {
			return p.in.errorf(line, "bad size %s", words[0])
		}
		sizes[strings.TrimSuffix(words[1], ",")] = opt.Of(units.KiB(n))
		words = words[2:]
	}
	h := &p.s.Host
	h.Total, h.Free, h.Freeable = sizes["total"], sizes["free"], sizes["freeable"]
	if !h.Total.Has() || !h.Free.Has() {
		return p.in.errorf(line, "want total and free memory")
	}
	h.Granularity = opt.Of(units.KiB(1))
	used, total, free := sizes["used"], h.Total.Or(0), h.Free.Or(0)
	if free > total || used.Has() && used.Or(0) != total-free && used.Or(0) != total {
		return p.in.errorf(line, "the sizes contradict each other")
	}
	if len(words) == 4 && words[0] == "CPUs:" && strings.HasSuffix(words[3], "MHz") {
		cpus, err1 := strconv.Atoi(words[1])
		mhz, err2 := strconv.ParseFloat(strings.TrimSuffix(words[3], "MHz"), 64)
		if err1 == nil && err2 == nil && cpus > 0 && mhz > 0 && mhz < 1e6 {
			h.CPUs, h.MHz = opt.Of(cpus), opt.Of(mhz)
		}
	}
	return nil
}

// tmem reads the line below a domain. A terminal of 80 columns breaks it in the
// middle of a number, others within a label, so the parts are joined and blanks
// in labels do not count.
func (p *screenParser) tmem(line string) error {
	c := xen.TmemClient{Position: opt.Of(len(p.s.Domains) - 1)}
	rest, ok := tmemFigures(line, &c)
	for range 4 {
		after := p.in
		next, more := after.next()
		next = strings.TrimLeft(next, " ")
		if !more || len(next) > maxLine || ok && !isNumber(next) {
			break
		}
		line, p.in = line+next, after
		rest, ok = tmemFigures(line, &c)
	}
	if !ok || rest != "" {
		return p.in.errorf(line, "want the four figures of a Tmem line")
	}
	if n := len(p.s.Clients); len(p.s.Domains) == 0 || n > 0 && p.s.Clients[n-1].Position == c.Position {
		if p.other != nil {
			return p.other // it was the row
		}
		return p.in.errorf(line, "a Tmem line without a domain above it")
	}
	p.s.Clients = append(p.s.Clients, c)
	return nil
}

// tmemFigures reads the figures and returns what is left of the line.
func tmemFigures(line string, c *xen.TmemClient) (string, bool) {
	for _, f := range [4]struct {
		label string
		into  *xen.Count
	}{
		{"Tmem:Currephpages:", &c.Ephemeral.Now},
		{"Succephgets:", &c.EphemeralGets},
		{"Succpersputs:", &c.PersistentPuts},
		{"Succpersgets:", &c.PersistentGets},
	} {
		for _, letter := range []byte(f.label) {
			if line = strings.TrimLeft(line, " "); line == "" || line[0] != letter {
				return line, false
			}
			line = line[1:]
		}
		line = strings.TrimLeft(line, " ")
		number := line[:len(line)-len(strings.TrimLeft(line, "0123456789"))]
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return line, false
		}
		*f.into, line = opt.Of(n), line[len(number):]
	}
	return line, true
}

// finish compares the rows with xentop's own counts, which come from the same
// reading: a contradiction means a broken text.
func (p *screenParser) finish() (Screen, error) {
	switch {
	case !p.s.Host.Total.Has():
		return Screen{}, fmt.Errorf("no memory line below the title: want %q", "Mem: …k total, …k used, …k free")
	case p.count < 0:
		return Screen{}, fmt.Errorf("no count of domains below the title: want %q", "5 domains: 1 running, …")
	case !p.table:
		return Screen{}, ErrNoTable
	case len(p.s.Domains) > p.count:
		return Screen{}, fmt.Errorf("the screen counts %d domains and shows %d", p.count, len(p.s.Domains))
	}
	p.s.Hidden = p.count - len(p.s.Domains)
	if p.s.Hidden > 0 {
		if p.other != nil {
			return Screen{}, fmt.Errorf("the screen counts %d domains and shows %d: %w", p.count, len(p.s.Domains), p.other)
		}
		return p.s, nil
	}
	var seen [6]int
	for _, d := range p.s.Domains {
		if i := stateIndex(d.State); i >= 0 {
			seen[i]++
		}
	}
	for i, w := range stateWords {
		if seen[i] != p.states[i] {
			return Screen{}, fmt.Errorf("the screen counts %d %s domains and shows %d", p.states[i], w, seen[i])
		}
	}
	return p.s, nil
}
