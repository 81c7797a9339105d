//go:build xen && amd64

// Package live_test holds the sources against each other on a real Xen host: go
// test -c -tags xen ./lab/live, and run it in Dom0 as root. The lab does.
package live_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen/hypercall"
	"xtm/xen/xl"
)

// prices are what single snapshots cost.
type prices struct{ wall, cpu []float64 }

// pay adds one, with the CPU time of all programs that it started.
func (p *prices) pay(t *testing.T, do func() error) {
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
	p.wall, p.cpu = append(p.wall, time.Since(begin).Seconds()), append(p.cpu, (used()-before).Seconds())
}

// TestSpeed is the price of a snapshot by hypercalls and xenstore against the xl
// source's and against one xentop, in turns in one process. Medians, because the
// emulated machine stands still whenever the outer one has other work.
// XTM_LIVE_SNAPSHOTS is how many of each, 5 otherwise; XTM_LIVE_TIMES how many
// times as dear the xl source has to be at least.
func TestSpeed(t *testing.T) {
	n, least := setting(t, "XTM_LIVE_SNAPSHOTS", 5), float64(setting(t, "XTM_LIVE_TIMES", 20))
	s := seams(t)
	calls, programs := hypercall.New(s.Calls, s.Store, s.Files), xl.New(run.New(os.Environ()), hostfs.Host)
	var byCall, byXL, byTop prices
	for range n {
		byCall.pay(t, func() error { _, err := calls.Snapshot(t.Context()); return err })
		byXL.pay(t, func() error { _, err := programs.Snapshot(t.Context()); return err })
		byTop.pay(t, func() error { return exec.CommandContext(t.Context(), "xentop", "-b", "-i", "1").Run() })
	}
	each := func(name string, p prices) (wall, cpu float64) {
		wall, cpu = median(p.wall)/median(byCall.wall), median(p.cpu)/median(byCall.cpu)
		t.Logf("%-9s %d snapshots, each %.4g s, CPU %.4g s: %v times, CPU %v times; all together %.4g s, CPU %.4g s", name, n,
			median(p.wall), median(p.cpu), round(wall), round(cpu), sum(p.wall), sum(p.cpu))
		return wall, cpu
	}
	each("hypercall", byCall)
	wall, cpu := each("xl", byXL)
	each("xentop", byTop)
	if wall < least || cpu < least {
		t.Errorf("the xl source costs %v times, CPU %v times: want %v", round(wall), round(cpu), least)
	}
}

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		t.Fatalf("%s=%s: a number above 0 is expected", name, text)
	}
	return v
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

func sum(v []float64) (all float64) {
	for _, one := range v {
		all += one
	}
	return all
}
