// Package top is the live view: what xentop shows of each domain, plus what
// tmem saves it and what is wrong with it. Model and its screens are pure;
// Live and Batch drive them.
package top

import (
	"slices"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/report"
	"xtm/xen"
)

// memory is how many readings the sparklines go back.
const memory = 60

// mode is what the screen shows.
type mode int

const (
	showDomains mode = iota
	showPools
	showDomain // one domain, with its pools and findings
	showHelp
)

// Model is the state of the view: the last readings, and what the user chose.
type Model struct {
	rules         report.Thresholds
	width, height int
	delay         time.Duration

	prev, cur *xen.Snapshot
	report    report.Report
	past      map[string][]opt.Value[float64] // sparklines by domain, oldest first
	trouble   string                          // why the last reading failed; "" is none
	ended     bool                            // a replay came to its end

	mode       mode
	sort       column
	reversed   bool
	filter     string
	typing     bool // a filter is being typed
	paused     bool
	chosen     string // the domain under the cursor, by key
	from       int    // the first row shown
	lastReport []row  // the rows as they were shown, for the cursor
}

// New is a view of nothing yet, 80×24.
func New(rules report.Thresholds, delay time.Duration) *Model {
	return &Model{rules: rules, width: 80, height: 24, delay: delay, past: map[string][]opt.Value[float64]{}, sort: columnNamed("current")}
}

// Resize tells the size of the terminal.
func (m *Model) Resize(width, height int) {
	m.width, m.height = max(width, 20), max(height, 8)
}

// Add takes a reading. While paused, readings are dropped, so that the figures
// after a pause are of the time since before it.
func (m *Model) Add(s xen.Snapshot) {
	m.trouble = ""
	if m.paused {
		return
	}
	m.prev, m.cur = m.cur, &s
	m.report = report.Compute(m.prev, s, m.rules)
	seen := map[string]bool{}
	for _, r := range m.rowsOf() {
		seen[r.key] = true
		var reading opt.Value[float64]
		if kib, ok := r.Current.Get(); ok {
			reading = opt.Of(float64(kib))
		}
		m.past[r.key] = append(m.past[r.key], reading)
		if over := len(m.past[r.key]) - memory; over > 0 {
			m.past[r.key] = m.past[r.key][over:]
		}
	}
	for key := range m.past {
		if !seen[key] {
			delete(m.past, key)
		}
	}
}

// Fail tells that a reading failed; the last figures stay, and say that they are old.
func (m *Model) Fail(err error) { m.trouble = err.Error() }

// End tells that no reading follows.
func (m *Model) End() { m.ended = true }

// Delay is the time between two readings.
func (m *Model) Delay() time.Duration { return m.delay }

// Key acts on a key, named as terminals do ("q", "up", "ctrl+c"), and tells
// whether the view ends.
func (m *Model) Key(key string) (quit bool) {
	if key == "ctrl+c" {
		return true
	}
	if m.typing {
		m.typed(key)
		return false
	}
	switch key {
	case "q":
		if m.mode == showHelp || m.mode == showDomain {
			m.mode = showDomains
			return false
		}
		return true
	case "esc":
		m.mode, m.filter = showDomains, ""
	case "?", "h", "f1":
		m.mode = toggled(m.mode, showHelp)
	case "p":
		m.mode, m.from = toggled(m.mode, showPools), 0
	case "enter":
		m.mode = toggled(m.mode, showDomain)
	case "s", "right":
		m.sort = m.nextSort(1)
	case "S", "left":
		m.sort = m.nextSort(-1)
	case "r":
		m.reversed = !m.reversed
	case "/":
		m.typing, m.filter = true, ""
	case "space":
		m.paused = !m.paused
	case "+":
		m.delay = min(m.delay*2, time.Hour)
	case "-":
		m.delay = max(m.delay/2, time.Second)
	case "down", "j":
		m.move(1)
	case "up", "k":
		m.move(-1)
	case "pgdown":
		m.move(m.page())
	case "pgup":
		m.move(-m.page())
	case "home", "g":
		m.move(-len(m.lastReport))
	case "end", "G":
		m.move(len(m.lastReport))
	}
	return false
}

// toggled is the other mode, or back.
func toggled(now, other mode) mode {
	if now == other {
		return showDomains
	}
	return other
}

// typed takes a key of a filter.
func (m *Model) typed(key string) {
	switch {
	case key == "enter":
		m.typing = false
	case key == "esc":
		m.typing, m.filter = false, ""
	case key == "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	case key == "space":
		m.filter += " "
	case len([]rune(key)) == 1 && len(m.filter) < 100:
		m.filter += key
	}
	m.from = 0
}

// move sets the cursor so many rows on.
func (m *Model) move(n int) {
	if len(m.lastReport) == 0 {
		return
	}
	at := slices.IndexFunc(m.lastReport, func(r row) bool { return r.key == m.chosen })
	if at < 0 {
		at = 0
		n = max(n-1, 0) // the first step chooses a row
	}
	at = min(max(at+n, 0), len(m.lastReport)-1)
	m.chosen = m.lastReport[at].key
	if at < m.from {
		m.from = at
	}
	if last := m.from + m.page() - 1; at > last {
		m.from += at - last
	}
}

// nextSort is the sortable column after the present one.
func (m *Model) nextSort(step int) column {
	n := len(columns)
	at := slices.IndexFunc(columns, func(c column) bool { return c.name == m.sort.name })
	for {
		at = (at + step + n) % n
		if columns[at].order != nil {
			return columns[at]
		}
	}
}

// rowsOf are all domains, with what the snapshots alone know of them.
func (m *Model) rowsOf() []row {
	if m.cur == nil {
		return nil
	}
	rows := make([]row, len(m.report.Domains))
	for i := range m.report.Domains {
		d := &m.report.Domains[i]
		rows[i] = row{Domain: d, key: keyOf(d), cpu: cpuOf(m.prev, m.cur, d), why: m.why(d.Name)}
		rows[i].vcpus, rows[i].cpuTime = cpusOf(m.cur, d)
	}
	return rows
}

// rows are the domains to be shown, in order. Remembered, so that the cursor
// moves over what the user saw.
func (m *Model) rows() []row {
	rows := slices.DeleteFunc(m.rowsOf(), func(r row) bool {
		return m.filter != "" && !strings.Contains(strings.ToLower(r.Name), strings.ToLower(m.filter))
	})
	slices.SortStableFunc(rows, func(a, b row) int {
		order := m.sort.order(a, b)
		if m.reversed {
			return -order
		}
		return order
	})
	for i := range rows {
		rows[i].past = m.past[rows[i].key]
	}
	m.lastReport = rows
	return rows
}

// why is the worst finding on a domain, in short.
func (m *Model) why(name string) string {
	best := ""
	rank := 0
	for _, f := range m.report.Findings {
		if f.Subject == name && f.Verdict.Rank() > rank {
			best, rank = f.Seen, f.Verdict.Rank()
		}
	}
	return best
}
