package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// Line is one line of the screen; a marked one is shown in reverse.
type Line struct {
	Text   string
	Marked bool
}

// head is how many lines stand above the rows, column heads included, and foot
// below them.
const (
	head = 6
	foot = 1
)

// page is how many rows the screen has room for.
func (m *Model) page() int { return max(m.height-head-foot, 1) }

// Screen is what is to be seen: exactly as many lines as the terminal has, none
// wider than it.
func (m *Model) Screen() []Line {
	var lines []Line
	switch m.mode {
	case showHelp:
		lines = texts(help)
	case showPools:
		lines = append(m.summary(), m.poolRows()...)
	case showDomain:
		lines = append(m.summary(), m.oneDomain()...)
	case showDomains:
		lines = append(m.summary(), m.domainRows()...)
	}
	for len(lines) < m.height-foot {
		lines = append(lines, Line{})
	}
	lines = append(lines[:m.height-foot], Line{Text: m.footer()})
	for i := range lines {
		lines[i].Text = render.Fit(render.Clip(render.Escape(lines[i].Text), m.width), m.width, render.Left)
	}
	return lines
}

func texts(list []string) []Line {
	lines := make([]Line, len(list))
	for i, s := range list {
		lines[i].Text = s
	}
	return lines
}

// summary are the lines on the host: always the same number.
func (m *Model) summary() []Line {
	if m.cur == nil {
		first := "xtm top: reading the host"
		if m.trouble != "" {
			first = "xtm top: " + m.trouble
		}
		return texts([]string{first, "", "", "", ""})
	}
	r, h := m.report, m.report.Host
	title := "xtm top - " + h.Name + "  " + r.End.UTC().Format("15:04:05") + " UTC  Xen " + h.Version.String() + "  tmem " + tmemWord(r.Tmem) + "  by " + r.Source
	switch {
	case m.paused:
		title += "  PAUSED"
	case m.ended:
		title += "  END OF RECORDING"
	case r.Recorded != "":
		title += "  RECORDED"
	default:
		title += "  every " + render.Duration(m.delay)
	}
	memory := fmt.Sprintf("Mem(M) %s: xen %s, dom0 %s, guests %s, eph %s, tmem free %s, free %s",
		mib(h.Total), mib(h.XensOwn), mib(h.Dom0), mib(h.Guests), mib(h.Ephemeral), mib(h.FreeList), mib(h.Free))
	over := "Overcommit "
	if f, ok := h.Overcommit.Get(); ok {
		over += strconv.FormatFloat(f, 'f', 2, 64)
	} else {
		over += none
	}
	over += fmt.Sprintf("  shortfall %s M  gave back %s M  freeable %s M", mib(h.Shortfall), mib(h.Reclaimed), mib(h.Freeable))
	pages := fmt.Sprintf("Avoided/s: disk reads %s, swap writes %s, swap reads %s; evicted %s",
		rate(h.DiskReadsAvoided), rate(h.SwapWritesAvoided), rate(h.SwapReadsAvoided), rate(h.Evicted))
	return texts([]string{title, memory, over, pages, m.worst()})
}

func tmemWord(t xen.TmemState) string {
	if t.Answer == xen.TmemOn {
		return "on"
	}
	return "OFF"
}

// worst is the most pressing thing to know.
func (m *Model) worst() string {
	if m.trouble != "" {
		return "NOT READ, these figures are old: " + m.trouble
	}
	list := slices.DeleteFunc(slices.Clone(m.report.Findings), func(f finding.Finding) bool { return !f.Verdict.Problem() })
	if len(list) == 0 {
		return "No problem found."
	}
	f := slices.MaxFunc(list, func(a, b finding.Finding) int { return a.Verdict.Rank() - b.Verdict.Rank() })
	more := ""
	if len(list) > 1 {
		more = fmt.Sprintf(" (and %d more: xtm report)", len(list)-1)
	}
	subject := ""
	if f.Subject != "" {
		subject = f.Subject + ": "
	}
	return render.Word(f.Verdict) + " " + subject + f.Seen + more
}

// domainRows are the table of the domains.
func (m *Model) domainRows() []Line {
	cols, nameWidth := fitting(m.width)
	rows := m.rows()
	heads := make([]string, len(cols))
	for i, c := range cols {
		name := c.head
		if c.name == m.sort.name {
			name = mark(name, m.reversed)
		}
		heads[i] = cell(c, name, nameWidth)
	}
	wide := 0
	for _, h := range heads {
		wide += len([]rune(h)) + 1
	}
	room := m.width - wide
	line := strings.Join(heads, " ")
	if room >= minWhy {
		line += " WHY"
	}
	lines := []Line{{Text: line, Marked: true}}
	m.from = min(m.from, max(len(rows)-m.page(), 0))
	for _, r := range rows[m.from:min(m.from+m.page(), len(rows))] {
		cells := make([]string, len(cols))
		for i, c := range cols {
			cells[i] = cell(c, c.text(r), nameWidth)
		}
		text := strings.Join(cells, " ")
		if room >= minWhy {
			text += " " + r.why
		}
		lines = append(lines, Line{Text: text, Marked: r.key == m.chosen})
	}
	if len(rows) == 0 && m.cur != nil {
		lines = append(lines, Line{Text: "no domain has " + strconv.Quote(m.filter) + " in its name"})
	}
	return lines
}

// minWhy is the least room that the reason is worth.
const minWhy = 24

// mark shows in a head that rows are sorted by it.
func mark(name string, reversed bool) string {
	if reversed {
		return name + "▲"
	}
	return name + "▼"
}

func cell(c column, text string, nameWidth int) string {
	width, side := c.width, render.Right
	if c.name == "name" {
		width = nameWidth
	}
	if c.left {
		side = render.Left
	}
	return render.Fit(render.Cut(render.Escape(text), width), width, side)
}

// poolRows are all pools of all domains.
func (m *Model) poolRows() []Line {
	lines := []Line{{Text: poolLine("NAME", "POOL", "KIND", "MEM(M)", "OBJECTS", "HIT%", "ACC%", "REFUSED/s"), Marked: true}}
	for _, r := range m.rows() {
		if r.Client == nil {
			continue
		}
		for _, p := range r.Client.Pools {
			lines = append(lines, Line{Text: poolText(r.Name, p)})
		}
	}
	for _, p := range m.report.SharedPools {
		lines = append(lines, Line{Text: poolText("(shared)", p)})
	}
	if len(lines) == 1 {
		lines = append(lines, Line{Text: "no pool: no domain uses tmem, or this source does not tell"})
	}
	return lines
}

func poolText(name string, p report.Pool) string {
	kind := "ephemeral"
	hit, accepted := percent(latest(p.Gets)), percent(latest(p.Puts))
	if p.Persistent {
		kind = "persistent"
	}
	return poolLine(name, strconv.Itoa(p.ID), kind, mibPages(p.Pages), whole(p.Objects), hit, accepted, rate(p.Refused))
}

func poolLine(name string, cells ...string) string {
	widths := []int{4, -10, 8, 9, 6, 6, 9}
	line := make([]string, 0, 1+len(widths))
	line = append(line, render.Fit(render.Cut(render.Escape(name), 16), 16, render.Left))
	for i, w := range widths {
		side := render.Right
		if w < 0 {
			side, w = render.Left, -w
		}
		line = append(line, render.Fit(cells[i], w, side))
	}
	return strings.Join(line, " ")
}

// oneDomain is all that there is on the chosen domain.
func (m *Model) oneDomain() []Line {
	rows := m.rows()
	at := slices.IndexFunc(rows, func(r row) bool { return r.key == m.chosen })
	if at < 0 {
		if len(rows) == 0 {
			return texts([]string{"no domain"})
		}
		at = 0
	}
	r := rows[at]
	lines := []Line{{Text: r.Name, Marked: true}}
	add := func(format string, args ...any) {
		for _, s := range render.Wrap(render.Escape(fmt.Sprintf(format, args...)), m.width) {
			lines = append(lines, Line{Text: s})
		}
	}
	add("Memory: now %s M, maximum %s M, gave back %s M, room for puts %s M, toolstack target %s M",
		mib(r.Current), mib(r.Maximum), mib(r.Reclaimed), mib(r.RoomForPuts), mib(r.Target))
	add("Over time, up to %s M: %s", mib(opt.Of(units.KiB(highest(r.past)))), spark(r.past, max(min(memory, m.width-30), 1)))
	if r.Client == nil {
		add("tmem: not a client")
	} else {
		add("Ephemeral:  %s M, hit rate %s %%, disk reads avoided %s/s", mibPages(ephemeralPages(r)), percent(hitRate(r)), rate(readsAvoided(r)))
		add("Persistent: %s M, puts accepted %s %%, swap writes avoided %s/s", mibPages(persistentPages(r)), percent(acceptance(r)), rate(writesAvoided(r)))
	}
	for _, f := range m.report.Findings {
		if f.Subject == r.Name {
			add("%s %s", render.Word(f.Verdict), f.Seen)
			if f.Advice != "" {
				add("%s", f.Advice)
			}
			for _, c := range f.Commands {
				add("$ %s", c)
			}
		}
	}
	return lines
}

// footer is the last line.
func (m *Model) footer() string {
	switch {
	case m.typing:
		return "show names with: " + m.filter + "_  (enter keeps it, esc ends it)"
	case m.mode == showHelp:
		return "? or q: back"
	case m.mode == showDomain:
		return "enter or q: back   up/down: another domain"
	}
	s := "q quit  s sort  r reverse  / filter  p pools  enter domain  space pause  ? help"
	if m.filter != "" {
		s = "only " + strconv.Quote(m.filter) + " (esc ends it)  " + s
	}
	return s
}

var help = []string{
	"xtm top: keys",
	"",
	"  up, down, pgup, pgdn   choose a domain     enter   all about it",
	"  s, S                   sort by the next column, by the one before",
	"  r                      reverse the order   /       only names with a text",
	"  p                      pools               space   pause, and go on",
	"  +, -                   read half as often, twice as often",
	"  esc                    all domains again   q       back, or quit",
	"",
	"Columns",
	"  MEM   memory now, persistent pages included   MAX   what it was promised",
	"  GAVE  promised and not held                   EPH   its page cache in Xen",
	"  HIT%  of the gets that Xen counted            PERS  its swap in Xen",
	"  ACC%  of the puts of swap pages               RD-AV disk reads avoided",
	"  WR-AV swap writes avoided                     WHY   the worst finding",
	"HIT% and ACC% are of the time between the last two readings, or since the",
	"domain's first tmem call where nothing was counted in it.",
}
