// Package xltest is an xl for tests: its tmem commands do to a fake hypervisor
// what xl of that release does, and say as much of it.
package xltest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem/tmemtest"
)

// XL is the toolstack of a host. Its clients are those of Xen's Listing.
type XL struct {
	Xen *hypercalltest.Xen
	// Deaf makes its tmem commands do nothing and say nothing.
	Deaf bool
	// Xend makes it refuse what changes something, as 4.2 to 4.4 do beside a
	// running xend.
	Xend bool
	// Else answers other commands; nil is a failure that names them.
	Else run.Func
	// Calls are the command lines so far.
	Calls []string
}

// answer is what a command prints, and its exit status.
type answer struct {
	out, err string
	code     int
}

// Run is the run.Func.
func (x *XL) Run(ctx context.Context, c run.Cmd) (run.Result, error) {
	x.Calls = append(x.Calls, c.String())
	if err := ctx.Err(); err != nil {
		return run.Result{ExitCode: -1}, fmt.Errorf("run %s: %w", c, err)
	}
	if c.Name != "xl" || len(c.Args) == 0 || !strings.HasPrefix(c.Args[0], "tmem-") {
		if x.Else == nil {
			return run.Result{ExitCode: -1}, fmt.Errorf("xltest: no answer to %q", c.String())
		}
		return x.Else(ctx, c)
	}
	a := x.tmem(c.Args[0], c.Args[1:])
	return run.Result{Stdout: []byte(a.out), Stderr: []byte(a.err), ExitCode: a.code, Duration: time.Millisecond}, nil
}

// options are those of a command, as getopt reads them.
type options struct {
	all, long        bool
	weight, compress string
	domain           string
}

func (x *XL) tmem(sub string, args []string) answer {
	v := x.Xen.Version
	patch, _ := v.Patch()
	if v.AtLeast(4, 13) || v.Before(4, 1) && patch == 0 {
		return answer{err: "command not implemented\n", code: 1}
	}
	var o options
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "-a":
			o.all = true
		case a == "-l":
			o.long = true
		case (a == "-w" || a == "-p") && len(args) > 1:
			args = args[1:]
			if a == "-w" {
				o.weight = args[0]
			} else {
				o.compress = args[0]
			}
		case strings.HasPrefix(a, "-"):
			return answer{err: fmt.Sprintf("option `%s' not supported.\n", a[1:]), code: 2}
		default:
			o.domain = a
		}
		args = args[1:]
	}
	if sub == "tmem-freeable" {
		if v.AtLeast(4, 8) {
			return answer{out: "0\n"}
		}
		return answer{out: fmt.Sprintf("%d\n", x.Xen.FreeableMB)}
	}
	if !o.all && o.domain == "" {
		return answer{err: "You must specify -a or a domain id.\n\n", code: 1}
	}
	if x.Xend && sub != "tmem-list" && v.AtLeast(4, 2) && v.Before(4, 5) {
		return answer{err: "xend is running, which would cause unpredictable results when using\nthis xl command.\n", code: 1}
	}
	if x.Deaf && sub != "tmem-list" {
		return answer{}
	}
	switch sub {
	case "tmem-list":
		return x.list(o)
	case "tmem-freeze":
		return x.each(o, "freeze", "Can not freeze tmem pools", func(c *xen.TmemClient) { c.Frozen = opt.Of[int64](1) })
	case "tmem-thaw":
		return x.each(o, "thaw", "Can not thaw tmem pools", func(c *xen.TmemClient) { c.Frozen = opt.Of[int64](0) })
	case "tmem-set":
		return x.set(o)
	}
	return answer{err: "command not implemented\n", code: 1}
}

// number is strtol: what is no number is 0.
func number(s string) int64 {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64)
	return int64(int32(n)) //nolint:gosec // Xen prints a uint32 with %d
}

func (x *XL) set(o options) answer {
	if o.weight == "" && o.compress == "" {
		return answer{err: "No set value specified.\n\n", code: 1}
	}
	late := x.Xen.Version.AtLeast(4, 8)
	var a answer
	if o.weight != "" {
		a = x.each(o, "set", "Can not set tmem weight", func(c *xen.TmemClient) {
			c.Weight = opt.Of(number(o.weight))
			if late && o.all {
				c.Compress = opt.Of[int64](0)
			}
		})
	}
	if o.compress != "" {
		a = x.each(o, "set", "Can not set tmem compress", func(c *xen.TmemClient) {
			if !late && x.Xen.Dedup {
				return // Xen refuses it with a message of its own and says 0
			}
			c.Compress = opt.Of(min(1, number(o.compress)))
			if late && o.all {
				c.Weight = opt.Of[int64](0)
			}
		})
	}
	return a
}

// each changes the clients that were named.
func (x *XL) each(o options, verb, complaint string, change func(*xen.TmemClient)) answer {
	found := false
	for i := range x.Xen.Listing.Clients {
		if c := &x.Xen.Listing.Clients[i]; o.all || int64(c.ID) == number(o.domain) {
			change(c)
			found = true
		}
	}
	if found || o.all {
		return answer{}
	}
	text := "Operation not permitted"
	if verb == "set" && x.Xen.Version.AtLeast(4, 8) {
		text = "No such file or directory"
	}
	return x.refused("libxl_tmem_"+verb, number(o.domain), complaint, text)
}

// refused is what xl says of a failed hypercall, and the status that it ends
// with: before 4.8 it does not look.
func (x *XL) refused(function string, id int64, complaint, text string) answer {
	v := x.Xen.Version
	switch {
	case v.AtLeast(4, 9):
		return answer{err: fmt.Sprintf("libxl: error: libxl_tmem.c:45:%s: Domain %d:%s: %s\n", function, id, complaint, text), code: 1}
	case v.AtLeast(4, 8):
		return answer{err: fmt.Sprintf("libxl: error: libxl_tmem.c:45:%s: %s: %s\n", function, complaint, text), code: 1}
	}
	return answer{err: fmt.Sprintf("libxl: error: libxl.c:6205:%s: %s: %s\n", function, complaint, text)}
}

func (x *XL) list(o options) answer {
	l := x.Xen.Listing
	if !o.all {
		l = xen.Listing{}
		for _, c := range x.Xen.Listing.Clients {
			if int64(c.ID) == number(o.domain) {
				l.Clients = append(l.Clients, c)
			}
		}
		if len(l.Clients) == 0 {
			a := x.refused("libxl_tmem_list", number(o.domain), "Can not get tmem list", "Operation not permitted")
			if a.code == 0 {
				a.code = 255
			}
			return a
		}
	}
	return answer{out: string(tmemtest.Render(l)) + "\n"}
}
