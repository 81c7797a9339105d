package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report/history/block"
)

// Query says what to read of a history.
type Query struct {
	// From and To bound the times of the snapshots, both included.
	From, To time.Time
	// Domains are names, numbers or uuids; none is all. With any, the host's
	// sums over the domains are absent.
	Domains []string
	// HostOnly leaves the domains out of the answer.
	HostOnly bool
	// Points is the most that the host or a domain gets: the step between them
	// is chosen for it. 0 is one for each snapshot where they are kept, else
	// one for each hour.
	Points int
}

// Range is a stretch of a history.
type Range struct {
	From, To time.Time
	// Step is the time that a point stands for; 0 is one for each snapshot.
	Step time.Duration
	// Hours tells that the points are made of whole hours: either they suffice,
	// or the single snapshots are no longer kept.
	Hours bool
	Host  []HostPoint
	// Domains by number of their latest life, Dom0 first.
	Domains []Series
	// Gaps are the times without snapshots within the range, longer than three
	// of the usual steps.
	Gaps []Gap
	// Notes are parts of the file that could not be read.
	Notes []string
}

// Gap is a time without snapshots: from the last one before it to the first
// one behind it.
type Gap struct{ From, To time.Time }

// Series is one domain over time. Its lives, which a reboot or a migration ends,
// follow each other.
type Series struct {
	// ID, Name and Type are those of the latest life in the range.
	ID   opt.Value[units.DomID]
	UUID string
	Name string
	Type string
	Dom0 bool
	// Lives is how often the domain was made within the range.
	Lives  int
	Points []DomainPoint

	guestPath string
}

// Label is how to speak of the domain.
func (s *Series) Label() string {
	id, ok := s.ID.Get()
	switch {
	case s.Name != "":
		return s.Name
	case ok:
		return "domain " + strconv.Itoa(int(id))
	default:
		return "(unnamed)"
	}
}

// Range reads points. An empty range is no error: it has no points.
func (db *DB) Range(ctx context.Context, q Query) (Range, error) {
	r, err := db.rangeOf(ctx, q)
	if err != nil {
		return Range{}, explain("read", db.path, err)
	}
	return r, nil
}

func (db *DB) rangeOf(ctx context.Context, q Query) (Range, error) {
	if !q.From.Before(q.To) {
		return Range{}, fmt.Errorf("nothing lies from %s to %s: %w", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339), cause.ErrNoData)
	}
	var step time.Duration
	if q.Points > 0 {
		// From and To are both included: one point more would begin at To.
		step = (q.To.Sub(q.From) / time.Duration(q.Points)).Truncate(time.Millisecond) + time.Millisecond
	}
	hours := step >= time.Hour
	if !hours {
		kept, err := db.keptSince(ctx, q.From)
		if err != nil {
			return Range{}, err
		}
		hours = !kept
	}
	if hours {
		step = max(time.Hour, (step + time.Hour - 1).Truncate(time.Hour))
	}
	return db.read(ctx, q, step, hours)
}

// read reads points of a step, of whole hours or of snapshots.
func (db *DB) read(ctx context.Context, q Query, step time.Duration, hours bool) (Range, error) {
	db.overlooked = nil
	lives, err := db.livesNamed(ctx, q.Domains)
	if err != nil {
		return Range{}, err
	}
	b := newBuilder(q, lives)
	b.step, b.hours = step, hours
	if hours {
		err = db.readHours(ctx, b)
	} else {
		err = db.readSnapshots(ctx, b)
	}
	if err != nil {
		return Range{}, err
	}
	return b.finish(db.overlooked), nil
}

// keptSince tells whether every snapshot since a time is kept, as far as there
// was any.
func (db *DB) keptSince(ctx context.Context, t time.Time) (bool, error) {
	missing, err := db.numbers(ctx, `SELECT count(*) FROM (SELECT 1 FROM host_hour
		WHERE hour >= ? AND hour < coalesce((SELECT min(hour) FROM host_block), hour + 1) LIMIT 1)`, hourOf(t.UnixMilli()))
	return err == nil && missing[0] == 0, err
}

// builder puts points into steps.
type builder struct {
	Query
	step  time.Duration
	hours bool
	lives map[int64]life
	// dom are the points of each life, host those of the host.
	dom  map[int64]*track[Column]
	host track[HostColumn]
	// hostAt is where the host's point of a step is.
	hostAt map[int]int
	// steps are the times from each snapshot to the next.
	steps []Gap
	// missing are hours of which there is nothing.
	missing []Gap
}

func newBuilder(q Query, lives []life) *builder {
	b := &builder{
		Query: q, lives: make(map[int64]life, len(lives)), dom: map[int64]*track[Column]{},
		host: track[HostColumn]{chain: chain{table: hostTable}}, hostAt: map[int]int{},
	}
	for _, l := range lives {
		b.lives[l.number] = l
	}
	return b
}

func (b *builder) track(life int64) *track[Column] {
	t := b.dom[life]
	if t == nil {
		t = &track[Column]{chain: chain{table: domainTable}}
		b.dom[life] = t
	}
	return t
}

// index is the step of a time; without steps each time has its own.
func (b *builder) index(ms int64) int {
	from := b.From.UnixMilli()
	if b.step == 0 {
		return int(ms - from)
	}
	if b.hours { // a point counts where its hour begins
		return int(max(0, hourOf(ms)-hourOf(from)) / int64(b.step/time.Hour))
	}
	return int((ms - from) / b.step.Milliseconds())
}

func (b *builder) within(ms int64) bool { return ms >= b.From.UnixMilli() && ms <= b.To.UnixMilli() }

// addHost and addDomain go one row on.
func (b *builder) addHost(r row, t moment) {
	if t.before != 0 {
		b.steps = append(b.steps, Gap{milli(t.before), milli(t.end)})
	}
	index := b.index(t.end)
	b.host.add(r, t, false, index)
	b.hostAt[index] = len(b.host.points) - 1
}

func (b *builder) addDomain(life int64, r row, t moment, first bool) {
	index := b.index(t.end)
	rise := b.track(life).add(r, t, first && wasBorn(r, t), index)
	addRises(&b.host.points[b.hostAt[index]], rise)
}

// readSnapshots takes every snapshot of the range.
func (db *DB) readSnapshots(ctx context.Context, b *builder) error {
	hours, err := db.numbers(ctx, `SELECT hour FROM host_block WHERE hour BETWEEN ? AND ?
		UNION SELECT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 BETWEEN ? AND ? ORDER BY 1`,
		hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli()), hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli()))
	if err != nil {
		return err
	}
	for _, hour := range hours {
		if err := db.readHour(ctx, b, hour); err != nil {
			return err
		}
	}
	return nil
}

// readHour takes the snapshots of an hour that lie in the range.
func (db *DB) readHour(ctx context.Context, b *builder, hour int64) error {
	hosts, err := db.hostSamples(ctx, db.sql, hour)
	if err != nil {
		return err
	}
	hosts = slices.DeleteFunc(hosts, func(s block.Sample) bool { return !b.within(s.Row[EndMilli]) })
	times := momentsOf(hosts, b.host.chain.until)
	for _, s := range hosts {
		b.addHost(s.Row, times[s.Snap])
	}
	var wanted []int64
	if len(b.Domains) > 0 {
		wanted = slices.Collect(maps.Keys(b.lives))
	}
	groups, err := db.domainSamples(ctx, db.sql, hour, wanted...)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, s := range g.samples {
			if t, ok := times[s.Snap]; ok {
				b.addDomain(g.life, s.Row, t, s.Snap == g.first && g.first > 1)
			}
		}
	}
	return nil
}

// readHours takes the rows of whole hours, and makes those of the hour that is
// not closed.
func (db *DB) readHours(ctx context.Context, b *builder) error {
	from, to := hourOf(b.From.UnixMilli()), hourOf(b.To.UnixMilli())
	err := eachHour(ctx, db, hostTable, `hour`, `hour BETWEEN ? AND ? ORDER BY hour`, []any{from, to},
		func(_, hour int64, r row) error {
			if before := b.host.chain.until; before != 0 && hourOf(before) < hour-1 {
				b.missing = append(b.missing, Gap{milli(before), milli(hour * hourMilli)})
			}
			b.host.goOn(b.place(hour), pointOf[HostColumn](hostTable, r))
			b.hostAt[b.place(hour)] = len(b.host.points) - 1
			return nil
		})
	if err != nil {
		return err
	}
	condition, args := `hour BETWEEN ? AND ? ORDER BY life, hour`, []any{from, to}
	switch {
	case b.HostOnly: // the hour's row has the sums
		condition = ``
	case len(b.Domains) > 0:
		marks := make([]string, 0, len(b.lives))
		args = nil
		for n := range b.lives {
			marks, args = append(marks, "?"), append(args, n)
		}
		condition, args = `life IN (`+strings.Join(marks, ", ")+`) AND `+condition, append(args, from, to)
	default: // life by life, as the table is ordered
		condition = `life IN (SELECT life FROM life) AND ` + condition
	}
	if condition != "" {
		err := eachHour(ctx, db, domainTable, `life`, condition, args, func(life, hour int64, r row) error {
			b.track(life).goOn(b.place(hour), pointOf[Column](domainTable, r))
			return nil
		})
		if err != nil {
			return err
		}
	}
	open, err := db.numbers(ctx, `SELECT DISTINCT end_ms / 3600000 FROM host_row WHERE end_ms / 3600000 BETWEEN ? AND ? ORDER BY 1`, from, to)
	if err != nil {
		return err
	}
	for _, hour := range open {
		if err := db.readHour(ctx, b, hour); err != nil {
			return err
		}
	}
	return nil
}

// place is the step that an hour's point stands in.
func (b *builder) place(hour int64) int { return b.index(hour * hourMilli) }

// goOn adds an hour's point; what comes behind it is compared with it.
func (t *track[C]) goOn(index int, p Point[C]) {
	p.Index = index
	t.chain.begun, t.chain.last, t.chain.until = true, slices.Clone(p.last), p.Until.UnixMilli()
	if n := len(t.points); n > 0 && t.points[n-1].Index == p.Index {
		t.points[n-1].Join(p)
		return
	}
	t.points = append(t.points, p)
}

// finish puts the lives of each domain together and adds up for the host.
func (b *builder) finish(notes []string) Range {
	r := Range{From: b.From, To: b.To, Step: b.step, Hours: b.hours, Gaps: b.gaps(), Notes: notes, Host: b.host.points}
	slices.SortStableFunc(r.Host, byIndex[HostColumn])
	if len(b.Domains) > 0 {
		for i := range r.Host {
			for _, s := range hostSums {
				r.Host[i].rise[s[0]] = absent
			}
		}
	}
	if !b.HostOnly {
		r.Domains = b.series()
	}
	if b.step == 0 { // each snapshot has a place of its own: count them
		places := map[int]int{}
		for i := range r.Host {
			places[r.Host[i].Index] = i
			r.Host[i].Index = i
		}
		for _, s := range r.Domains {
			for i := range s.Points {
				s.Points[i].Index = places[s.Points[i].Index]
			}
		}
	}
	return r
}

// gaps are the steps that are far longer than most.
func (b *builder) gaps() []Gap {
	lengths := make([]time.Duration, len(b.steps))
	for i, s := range b.steps {
		lengths[i] = s.To.Sub(s.From)
	}
	slices.Sort(lengths)
	out := b.missing
	for _, s := range b.steps {
		if s.To.Sub(s.From) > 3*lengths[len(lengths)/2] {
			out = append(out, s)
		}
	}
	return out
}

// series joins lives of one identity, the earlier first.
func (b *builder) series() []Series {
	numbers := make([]int64, 0, len(b.dom))
	for n := range b.dom {
		if _, ok := b.lives[n]; ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	at := map[string]int{}
	var out []Series
	for _, n := range numbers {
		l := b.lives[n]
		key := l.identity().name
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key], out = i, append(out, Series{UUID: l.uuid})
		}
		s := &out[i]
		s.ID, s.Name, s.Type, s.guestPath, s.Lives = l.id, l.name, l.kind, l.guestPath, s.Lives+1
		s.Dom0 = l.id.Or(1) == 0 || !l.id.Has() && l.name == "Domain-0"
		s.Points = append(s.Points, b.dom[n].points...)
	}
	for i := range out {
		out[i].Points = joined(out[i].Points)
	}
	slices.SortStableFunc(out, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.ID.Or(0), b.ID.Or(0)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func byIndex[C ~int](a, b Point[C]) int { return cmp.Compare(a.Index, b.Index) }

// joined are points in their order, those of one step together: a life that
// began within it, or a clock that went back.
func joined(points []DomainPoint) []DomainPoint {
	slices.SortStableFunc(points, byIndex[Column])
	out := points[:0]
	for _, p := range points {
		if n := len(out); n > 0 && out[n-1].Index == p.Index {
			out[n-1].Join(p)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// errNoDomain means that history knows no domain of that name.
var errNoDomain = errors.New("history knows no such domain")
