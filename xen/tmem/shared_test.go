package tmem_test

import (
	"fmt"
	"strings"
	"testing"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

// What the rest of the listing says of each S line, in short.
type sharedPool struct {
	ID      int
	UUID    [2]uint64
	Sharers []units.DomID
	Lost    bool
	Puts    xen.Count
}

func sharedPools(l xen.Listing) []sharedPool {
	var out []sharedPool
	for _, p := range l.Shared {
		out = append(out, sharedPool{p.ID, p.UUID, p.Sharers, p.IdentityLost, p.Puts})
	}
	return out
}

// Three pools with sharers of their own: all are found again, the slots of two
// are not.
func TestSharedRecovered(t *testing.T) {
	l := parse(t, samples(t, "synthetic")["4.7-shared-long.txt"])
	same(t, sharedPools(l), []sharedPool{
		{0, [2]uint64{0x1f2e3d4c5b6a7988, 0x8a9bacbdcedfe0f1}, []units.DomID{3, 5}, false, opt.Of[int64](3000)},
		{-1, [2]uint64{0x0a2e3d4c5b6a7988, 0x1a9bacbdcedfe0f1}, []units.DomID{3, 7, 9}, false, opt.Of[int64](6000)},
		{-1, [2]uint64{0x7f2e3d4c5b6a7988, 0x009bacbdcedfe0f1}, []units.DomID{5}, false, opt.Of[int64](9000)},
	})
	if notes := append(tmem.Check(l), l.Notes...); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
}

// Three pools of the same two domains: who shares them is clear, which of the
// later ones is which is not.
func TestSharedAmbiguous(t *testing.T) {
	l := parse(t, samples(t, "synthetic")["4.12-shared-short.txt"])
	both := []units.DomID{3, 5}
	same(t, sharedPools(l), []sharedPool{
		{0, [2]uint64{0x1f2e3d4c5b6a7988, 0x8a9bacbdcedfe0f1}, both, false, xen.Count{}},
		{-1, [2]uint64{}, both, true, xen.Count{}},
		{-1, [2]uint64{}, both, true, xen.Count{}},
	})
	want := []string{"2 of 3 shared pools cannot be told apart: Xen repeats the first one's uuid in their lines"}
	same(t, l.Notes, want)
}

// The texts are what Xen's loop makes of such pools.
func TestSharedOddities(t *testing.T) {
	const g = "G=Tt:1,Te:0,Cf:0,Af:0,Pf:0,Ta:0,Lm:0,Et:0,Ea:0,Rt:0,Ra:0,Rx:0,Fp:0\n"
	one, three, seven, eight := []units.DomID{1}, []units.DomID{3}, []units.DomID{7}, []units.DomID{8}
	tests := map[string]struct {
		text string
		want []sharedPool
	}{
		// A line shorter than the next pool's name is printed twice; the rest
		// of the name comes on a line of its own.
		"short names": {
			g + "S=SI:0,PT:ES,U0:0,U1:0,SC:3\nS=SI:0,PT:ES,U0:0,U1:0,SC:3\nS=SI:1,PT:ES,U0:8a3f1122,SC:7\nS=SI:0,PT:ES,U0:0,U1:0,SC:8\nT\n",
			[]sharedPool{{0, [2]uint64{}, three, false, xen.Count{}}, {ID: -1, Lost: true}, {ID: -1, Lost: true}},
		},
		// The same in the long form takes counters of the line before along.
		"counters of the line before": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:0,U1:0,SC:3,Pc:1000,Pm:1010,Oc:2,Om:3,ps:3000\n" +
				"S=SI:0,PT:ES,U0:0,U1:0,SC:3,Pc:1000,Pm:1010,Oc:2,Om:,SC:7,Pc:2000,Pm:2010,Oc:2,Om:3,ps:6000\n" +
				"C=CI:3\nP=CI:3,PI:0,PT:ES,U0:0,U1:0,Pc:1000\n" +
				"C=CI:7\nP=CI:7,PI:0,PT:ES,U0:8a3f112233445566,U1:9900aabbccddeeff,Pc:2000\nT\n",
			[]sharedPool{
				{0, [2]uint64{}, three, false, opt.Of[int64](3000)},
				{-1, [2]uint64{0x8a3f112233445566, 0x9900aabbccddeeff}, seven, false, opt.Of[int64](6000)},
			},
		},
		// 4.5 forgets the domain that made a pool. The second line is of uuid 2,
		// which domain 1 made and 2 joined; by its sharers it could be 3.
		"makers missing": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:2\nS=SI:0,PT:ES,U0:1,U1:0,SC:2\nS=SI:0,PT:ES,U0:1,U1:0\n" +
				"C=CI:1\nP=CI:1,PI:0,PT:ES,U0:1,U1:0\nP=CI:1,PI:1,PT:ES,U0:2,U1:0\n" +
				"C=CI:2\nP=CI:2,PI:0,PT:ES,U0:1,U1:0\nP=CI:2,PI:1,PT:ES,U0:2,U1:0\nP=CI:2,PI:2,PT:ES,U0:3,U1:0\nT\n",
			[]sharedPool{{0, [2]uint64{1, 0}, []units.DomID{2}, false, xen.Count{}}, {ID: -1, Lost: true}, {ID: -1, Lost: true}},
		},
		"no sharers": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0\nS=SI:0,PT:ES,U0:1,U1:0\n" +
				"C=CI:1\nP=CI:1,PI:0,PT:ES,U0:1,U1:0\nP=CI:1,PI:1,PT:ES,U0:2,U1:0\nT\n",
			[]sharedPool{{0, [2]uint64{1, 0}, nil, false, xen.Count{}}, {ID: -1, Lost: true}},
		},
		// A hypervisor in which somebody mended the loop.
		"mended": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:1\nS=SI:4,PT:ES,U0:2,U1:0,SC:8\nT\n",
			[]sharedPool{{0, [2]uint64{1, 0}, one, false, xen.Count{}}, {4, [2]uint64{2, 0}, eight, false, xen.Count{}}},
		},
		// More uuids than Xen has slots: then nothing is known of any.
		"too many": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:1\n" + manyPools(17) + "T\n",
			[]sharedPool{{0, [2]uint64{1, 0}, one, false, xen.Count{}}, {ID: -1, Lost: true}},
		},
		// Sharers that cannot be read fit no pool.
		"sharers that are none": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:x\n" + manyPools(3) + "T\n",
			[]sharedPool{{0, [2]uint64{1, 0}, one, false, xen.Count{}}, {ID: -1, Lost: true}},
		},
		// A name that is longer by ",SC:1" hides a sharer or is hidden by one:
		// the first of these is of domain 2 alone, the other of both.
		"one sharer or two": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:1,SC:1,SC:2\nS=SI:0,PT:ES,U0:1,U1:1,SC:1,SC:2\nS=SI:0,PT:ES,U0:1,U1:1,SC:1,SC:2\n" +
				"C=CI:1\nP=CI:1,PI:0,PT:ES,U0:1,U1:1\nP=CI:1,PI:1,PT:ES,U0:2,U1:1\n" +
				"C=CI:2\nP=CI:2,PI:0,PT:ES,U0:1,U1:1\nP=CI:2,PI:1,PT:ES,U0:2,U1:1\nP=CI:2,PI:2,PT:ES,U0:123456,U1:1\nT\n",
			[]sharedPool{{0, [2]uint64{1, 1}, []units.DomID{1, 2}, false, xen.Count{}}, {ID: -1, Lost: true}, {ID: -1, Lost: true}},
		},
		// Without all P lines a match proves nothing.
		"truncated": {
			"G=Tt:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:1\nS=SI:0,PT:ES,U0:1,U1:0,SC:8\nC=CI:8\nP=CI:8,PI:0,PT:ES,U0:2,U1:0\n",
			[]sharedPool{{0, [2]uint64{1, 0}, one, false, xen.Count{}}, {ID: -1, Lost: true}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			same(t, sharedPools(parse(t, []byte(tt.text))), tt.want)
		})
	}
}

// manyPools are n shared pools of domain 1, of uuids 1, 2, 3, ….
func manyPools(n int) string {
	var b strings.Builder
	b.WriteString("C=CI:1\n")
	for i := range n {
		fmt.Fprintf(&b, "P=CI:1,PI:%d,PT:ES,U0:%x,U1:0\n", i, i+1)
	}
	return b.String()
}

func TestSixteenSharedPools(t *testing.T) {
	l := xen.Listing{Host: opt.Of(xen.TmemHost{Calls: opt.Of[int64](1)})}
	for i := range 16 {
		id := units.DomID(i + 1)
		p := xen.TmemPool{Client: opt.Of(id), Shared: true, UUID: [2]uint64{1<<60 + uint64(i), 1 << 63}}
		l.Clients = append(l.Clients, xen.TmemClient{ID: id, Pools: []xen.TmemPool{p}})
		p.ID, p.Sharers = i, []units.DomID{id}
		l.Shared = append(l.Shared, p)
	}
	text := tmemtest.Render(l)
	if n := strings.Count(string(text), "S=SI:0,PT:ES,U0:1000000000000000,U1:8000000000000000"); n != 16 {
		t.Fatalf("%d S lines begin as the first one, want 16:\n%s", n, text)
	}
	for i, p := range parse(t, text).Shared {
		if p.IdentityLost || p.UUID != l.Shared[i].UUID || len(p.Sharers) != 1 || p.Sharers[0] != units.DomID(i+1) {
			t.Errorf("pool %d: %+v", i, p)
		}
	}
}
