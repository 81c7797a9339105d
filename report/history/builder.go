package history

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

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
