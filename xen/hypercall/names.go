package hypercall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xenstore/domkeys"
)

// xenstore adds what the hypervisor does not know of domains: their names, what
// the toolstack wants of them, and what guests say of themselves. A key that is
// not there is absent. After a failure of xenstore itself it is not asked again.
func (r *reader) xenstore() {
	k := &keys{r: r, known: map[string]known{}}
	k.fetch()
	var nameless []string
	for i := range r.snap.Domains {
		d := &r.snap.Domains[i]
		id := d.ID.Or(0)
		k.domain(d, id)
		if k.err != nil {
			r.gap(fmt.Sprintf("names and targets of domains from %d on", id), k.err)
			break
		}
		if d.Name == "" {
			nameless = append(nameless, strconv.Itoa(int(id)))
		}
	}
	if n := len(nameless); n > 0 {
		what := "name of domain " + strings.Join(nameless[:min(n, 5)], ", ")
		if n > 5 {
			what += fmt.Sprintf(" and %d more", n-5)
		}
		r.gap(what, fmt.Errorf("xenstore has none: %w", fs.ErrNotExist))
	}
	up, err := r.src.files.ReadFile("/proc/uptime")
	r.gap("uptime of Dom0", err)
	for i := range r.snap.Domains {
		if d := &r.snap.Domains[i]; d.IsDom0() && err == nil {
			d.Uptime = parseUptime(string(up))
		}
	}
}

// readTimeout bounds one read, fetchTimeout many; xenstored answers one within a
// millisecond.
const readTimeout, fetchTimeout = 5 * time.Second, 15 * time.Second

// keys reads xenstore until it fails.
type keys struct {
	r     *reader
	known map[string]known
	err   error
}

// known is a key that was read with others.
type known struct {
	value string
	err   error
}

// fetch reads what will be asked for at once, where the store can: one key after
// the other takes longer than all hypercalls together.
func (k *keys) fetch() {
	store, ok := k.r.src.store.(interface {
		ReadEach(ctx context.Context, paths []string) ([]string, []error)
	})
	if !ok {
		return
	}
	var paths []string
	for _, d := range k.r.snap.Domains {
		id := d.ID.Or(0)
		home := home(id)
		paths = append(paths, home+"name", home+"memory/target", home+"memory/static-max", devices(id))
		if id == 0 {
			continue
		}
		paths = append(paths, home+"vm", "/vm/"+d.UUID+startTime,
			home+domkeys.Meminfo, home+domkeys.MeminfoFree, home+domkeys.MeminfoTotal, home+domkeys.Updated)
		if d.Type == "" {
			paths = append(paths, kindOf(id))
		}
	}
	ctx, cancel := context.WithTimeout(k.r.ctx, fetchTimeout)
	defer cancel()
	values, errs := store.ReadEach(ctx, paths)
	for i, p := range paths {
		k.known[p] = known{values[i], errs[i]}
	}
}

// The keys of a domain.
func home(id units.DomID) string { return fmt.Sprintf("/local/domain/%d/", id) }

func devices(id units.DomID) string {
	return fmt.Sprintf("/local/domain/0/backend/pci/%d/0/num_devs", id)
}

func kindOf(id units.DomID) string { return fmt.Sprintf("/libxl/%d/type", id) }

const startTime = "/start_time"

// get returns a value; "" where there is none.
func (k *keys) get(path string) string {
	if k.err != nil {
		return ""
	}
	was, ok := k.known[path]
	s, err := was.value, was.err
	if !ok {
		ctx, cancel := context.WithTimeout(k.r.ctx, readTimeout)
		defer cancel()
		s, err = k.r.src.store.Read(ctx, path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.err = err
	}
	return s
}

func (k *keys) domain(d *xen.Domain, id units.DomID) {
	home := home(id)
	d.Name = domkeys.Name(k.get(home + "name"))
	d.Target = domkeys.KiB(k.get(home + "memory/target"))
	d.StaticMax = domkeys.KiB(k.get(home + "memory/static-max"))
	// Both PV and HVM guests have their devices listed with the PV backend
	// (X:tools/libs/light/libxl_pci.c, libxl__create_pci_backend).
	count := k.get(devices(id))
	if n, err := strconv.ParseUint(count, 10, 16); err == nil || count == "" && k.err == nil {
		d.PCI = opt.Of(int(n))
	}
	if id == 0 {
		return
	}
	d.Guest = domkeys.Guest(func(key string) string { return k.get(home + key) }, k.r.hv.begin)
	if d.Type == "" {
		d.Type = domainType(k.get(kindOf(id)))
	}
	// The path comes from the toolstack; "/vm/" keeps to where it writes.
	if vm := k.get(home + "vm"); strings.HasPrefix(vm, "/vm/") {
		d.Uptime = since(k.get(vm+startTime), k.r.hv.begin)
	}
}

// domainType keeps the types that xen.Domain knows.
func domainType(s string) string {
	switch s {
	case "pv", "hvm", "pvh":
		return s
	}
	return ""
}

// since reads a start_time such as "1795354329.15" and returns the whole seconds
// from its second to now, as xl uptime does. A time to come is absent.
func since(start string, now time.Time) opt.Value[time.Duration] {
	whole, _, _ := strings.Cut(start, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		return opt.Value[time.Duration]{}
	}
	return seconds(now.Unix() - n)
}

// parseUptime reads /proc/uptime: "66.27 103.94\n".
func parseUptime(s string) opt.Value[time.Duration] {
	whole, _, ok := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if !ok || err != nil {
		return opt.Value[time.Duration]{}
	}
	return seconds(n)
}

// seconds is a span of up to 136 years; any other is absent.
func seconds(n int64) opt.Value[time.Duration] {
	if n < 0 || n >= 1<<32 {
		return opt.Value[time.Duration]{}
	}
	return opt.Of(time.Duration(n) * time.Second)
}
