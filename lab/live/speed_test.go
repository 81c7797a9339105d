//go:build xen && amd64

// Package live_test holds the sources against each other on a real Xen host: go
// test -c -tags xen ./lab/live, and run it in Dom0 as root. The lab does.
package live_test

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen/hypercall"
	"xtm/xen/xl"
)

// price is what n snapshots cost.
type price struct {
	n         int
	wall, cpu time.Duration
}

// pay adds one, with the CPU time of all programs that it started.
func (p *price) pay(t *testing.T, do func() error) {
	t.Helper()
	used := func() (sum time.Duration) {
		for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
			var u syscall.Rusage
			if err := syscall.Getrusage(who, &u); err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
		return sum
	}
	begin, before := time.Now(), used()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	p.n, p.wall, p.cpu = p.n+1, p.wall+time.Since(begin), p.cpu+used()-before
}

// TestSpeed is the price of a snapshot by hypercalls and xenstore against the xl
// source's and against one xentop, in turns in one process.
// XTM_LIVE_SNAPSHOTS is how many of each, 5 otherwise.
func TestSpeed(t *testing.T) {
	n := 5
	if v, err := strconv.Atoi(os.Getenv("XTM_LIVE_SNAPSHOTS")); err == nil {
		n = v
	}
	s := seams(t)
	calls, programs := hypercall.New(s.Calls, s.Store, s.Files), xl.New(run.New(os.Environ()), hostfs.Host)
	var byCall, byXL, byTop price
	for range n {
		byCall.pay(t, func() error { _, err := calls.Snapshot(t.Context()); return err })
		byXL.pay(t, func() error { _, err := programs.Snapshot(t.Context()); return err })
		byTop.pay(t, func() error { return exec.CommandContext(t.Context(), "xentop", "-b", "-i", "1").Run() })
	}
	each := func(name string, p price) (wall, cpu float64) {
		wall, cpu = float64(p.wall)/float64(byCall.wall), float64(p.cpu)/float64(byCall.cpu)
		t.Logf("%-9s %d snapshots, each %v, CPU %v: %v times, CPU %v times", name, p.n,
			(p.wall / time.Duration(p.n)).Round(10*time.Microsecond), (p.cpu / time.Duration(p.n)).Round(10*time.Microsecond), round(wall), round(cpu))
		return wall, cpu
	}
	each("hypercall", byCall)
	wall, cpu := each("xl", byXL)
	each("xentop", byTop)
	if wall < 20 || cpu < 20 {
		t.Errorf("the xl source costs %v times, CPU %v times: want 20", round(wall), round(cpu))
	}
}
