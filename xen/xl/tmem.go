package xl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

var (
	listAllCmd = run.Cmd{Name: "xl", Args: []string{"tmem-list", "-l", "-a"}}
	// Captures of other hands may hold the short form only.
	listAllShortCmd = run.Cmd{Name: "xl", Args: []string{"tmem-list", "-a"}}
	freeableCmd     = run.Cmd{Name: "xl", Args: []string{"tmem-freeable"}}
)

const (
	// manyClients is how many may be in one listing before each is asked for by
	// itself: 75 of them can fill xl's 32 KiB.
	manyClients = 60
	// oneByOneBudget bounds that; the others stay as the whole listing has them.
	oneByOneBudget = 60 * time.Second
)

// tmem reads the listing, unless the release has none.
func (r *reader) tmem() tmem.ListAnswer {
	v := r.snap.Host.Version
	f := tmem.For(v)
	if f.Removed {
		r.gap("tmem listing", fmt.Errorf("not asked for: tmem was removed in Xen 4.13 and this is %s: %w", v, cause.ErrNotSupported))
		return tmem.ListAnswer{}
	}
	answer, err := r.listAll(listAllCmd)
	if errors.Is(err, cause.ErrNoData) {
		if short, errShort := r.listAll(listAllShortCmd); errShort == nil {
			r.gap("pool counters of tmem", err)
			answer, err = short, nil
		}
	}
	if err != nil {
		r.gap("tmem listing", err)
		return answer
	}
	if l := &answer.Listing; l.Truncated != "" || len(l.Clients) > manyClients {
		r.oneByOne(l)
	}
	r.snap.Tmem = opt.Of(answer.Listing)
	if f.XLFreeableTrue {
		freeable, err := read(r, freeableCmd, parseFreeable)
		r.gap("freeable memory", err)
		r.snap.Host.Freeable = freeable
	}
	return answer
}

// listAll asks for all clients.
func (r *reader) listAll(c run.Cmd) (tmem.ListAnswer, error) {
	res, err := r.output(c)
	if err == nil {
		l, err := tmem.ParseBytes(res.Stdout)
		if err != nil {
			return tmem.ListAnswer{Outcome: tmem.ListFailed}, &parseError{c.String(), err}
		}
		r.snap.ListedAt = res.Start
		return tmem.ListAnswer{Outcome: tmem.ListOK, Listing: l}, nil
	}
	answer := tmem.ListAnswer{Outcome: tmem.ListFailed}
	for text, outcome := range map[string]tmem.ListOutcome{
		"command not implemented":  tmem.ListNoCommand,
		"Function not implemented": tmem.ListNoCall,
		"No such device":           tmem.ListNoDevice,
	} {
		if strings.Contains(string(res.Stderr), text) {
			answer.Outcome = outcome
		}
	}
	if answer.Outcome == tmem.ListNoDevice {
		err = fmt.Errorf("%w: %w", err, cause.ErrNotSupported)
	}
	return answer, err
}

// oneByOne asks for each domain by itself and takes the G line and the shared
// pools, which stand first and are whole, from the listing of all. A domain
// that is no client answers "Operation not permitted".
func (r *reader) oneByOne(l *xen.Listing) {
	all := map[units.DomID]xen.TmemClient{}
	var ids []units.DomID
	for _, c := range l.Clients {
		all[c.ID] = c
		ids = append(ids, c.ID)
	}
	r.each(func(_ *xen.Domain, id int) { ids = append(ids, units.DomID(id)) })
	slices.Sort(ids)
	ids = slices.Compact(ids)

	start := r.snap.End
	clients := make([]xen.TmemClient, 0, len(ids))
	var failed []string //nolint:prealloc // stays empty on a sound host
	var first error
	for _, id := range ids {
		one, err := xen.Listing{}, fmt.Errorf("xl tmem-list took more than %s for the others: %w", oneByOneBudget, errBudget)
		if r.ctx.Err() == nil && r.snap.End.Sub(start) < oneByOneBudget {
			one, err = read(r, run.Cmd{Name: "xl", Args: []string{"tmem-list", "-l", strconv.Itoa(int(id))}}, tmem.ParseBytes)
		}
		switch {
		case err == nil && one.Truncated == "":
			clients = append(clients, one.Clients...)
			continue
		case err == nil:
			err = errors.New(one.Truncated)
		case strings.Contains(err.Error(), "Operation not permitted"):
			continue
		}
		if c, ok := all[id]; ok {
			clients = append(clients, c)
		}
		failed = append(failed, strconv.Itoa(int(id)))
		if first == nil {
			first = err
		}
	}
	slices.SortStableFunc(clients, func(a, b xen.TmemClient) int { return cmp.Compare(a.ID, b.ID) })
	l.Clients = clients
	if first != nil {
		r.gap("tmem listing of domain "+some(failed), first)
		return
	}
	why := fmt.Sprintf("it has %d clients", len(clients))
	if l.Truncated != "" {
		why = l.Truncated
	}
	l.Truncated = ""
	l.Notes = append(l.Notes, fmt.Sprintf("the tmem listing of all domains may not be whole (%s), so each was asked for by itself, within %s: "+
		"sums of theirs are later than the host's", why, r.snap.End.Sub(start).Round(time.Millisecond)))
}

// parseFreeable reads xl tmem-freeable of 4.1 to 4.7: whole MiB, or a negative
// number for a failure.
func parseFreeable(b []byte) (opt.Value[units.KiB], error) {
	text := strings.TrimSpace(string(b[:min(len(b), 64)]))
	n, err := strconv.ParseInt(text, 10, 40)
	if err != nil || n < 0 {
		return opt.Value[units.KiB]{}, fmt.Errorf("want a size in MiB: %q", text)
	}
	return opt.Of(units.MiB(n).KiB()), nil
}

// state concludes whether tmem stands behind the guests.
func (r *reader) state(answer tmem.ListAnswer) {
	r.snap.TmemState = tmem.State(r.snap.Host, answer)
}
