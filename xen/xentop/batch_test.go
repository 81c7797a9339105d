package xentop_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xentop"
)

// equal compares values that may be absent.
var equal = cmp.Exporter(func(t reflect.Type) bool { return t.PkgPath() == "xtm/internal/opt" })

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func domain(name string, s xen.State, cpu int, current, limit units.KiB, vcpus int) xen.Domain {
	d := xen.Domain{
		Name: name, State: s, CPUTime: opt.Of(time.Duration(cpu) * time.Second),
		Current: opt.Of(current), VCPUs: opt.Of(vcpus),
	}
	if limit > 0 {
		d.Limit = opt.Of(limit)
	} else {
		d.Unlimited = true
	}
	return d
}

var (
	running = xen.State{Running: true}
	blocked = xen.State{Blocked: true}
	none    = xen.State{}
)

func TestParseBatch(t *testing.T) {
	tests := []struct {
		file string
		want []xen.Domain
	}{
		{"batch-4.12-f-x-n-v.txt", []xen.Domain{
			domain("cache1", none, 35, 77864, 197632, 1),
			domain("db1", running, 36, 323448, 410624, 1),
			domain("Domain-0", running, 115, 1042668, 1048576, 2),
			domain("idle1", blocked, 10, 77864, 197632, 1),
			domain("plain1", blocked, 8, 131072, 132096, 1),
			domain("web1", none, 42, 376892, 525312, 2),
		}},
		{"batch-4.12-i2.txt", []xen.Domain{ // the second of two iterations
			domain("cache1", none, 35, 77864, 197632, 1),
			domain("db1", running, 36, 322956, 410624, 1),
			domain("Domain-0", running, 115, 1042668, 1048576, 2),
			domain("idle1", blocked, 10, 77864, 197632, 1),
			domain("plain1", blocked, 8, 131072, 132096, 1),
			domain("web1", none, 42, 375432, 525312, 2),
		}},
		{"batch-4.12-r-i2.txt", []xen.Domain{ // a header before each domain
			domain("cache1", running, 36, 77864, 197632, 1),
			domain("db1", none, 37, 324336, 410624, 1),
			domain("Domain-0", running, 116, 1042668, 1048576, 2),
			domain("idle1", blocked, 10, 77864, 197632, 1),
			domain("plain1", blocked, 8, 131072, 132096, 1),
			domain("web1", none, 44, 375956, 525312, 2),
		}},
		{"batch-4.17-i2.txt", []xen.Domain{
			domain("cache1", blocked, 27, 77864, 197632, 1),
			domain("db1", blocked, 31, 87048, 263168, 1),
			domain("Domain-0", running, 161, 1045332, 1048576, 2),
			domain("idle1", blocked, 20, 110036, 197632, 1),
			domain("plain1", blocked, 13, 131072, 132096, 1),
			domain("web1", blocked, 65, 125928, 263168, 2),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got, err := xentop.ParseBatch(testdata(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, equal); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const header = "      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID\n"

// Names, widths and words that the captures do not have.
func TestParseBatchRows(t *testing.T) {
	tests := []struct {
		name, row string
		want      xen.Domain
	}{
		{
			"no limit", "  Domain-0 -----r        115    0.0    1042668   37.9   no limit       n/a     2    0        0        0    0        0        0        0          0          0    0",
			domain("Domain-0", running, 115, 1042668, 0, 2),
		},
		{
			"blanks in the name", "my web guest 1 --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0",
			domain("my web guest 1", blocked, 10, 77864, 197632, 1),
		},
		{
			"a state in the name", "old -----r 1 0.0 --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0",
			domain("old -----r 1 0.0", blocked, 10, 77864, 197632, 1),
		},
		{
			"a detail's name", "     VBD 1 --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0",
			domain("VBD 1", blocked, 10, 77864, 197632, 1),
		},
		{
			"no name", "           ds-c--         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0",
			domain("", xen.State{Dying: true, Shutdown: true, Crashed: true}, 10, 77864, 197632, 1),
		},
		{
			"columns that grew", "    cache1 --b---   12345678901    100.0 123456789012  100.0 123456789012     100.0    64   12 147561585712 471466010011    1        0 12345678901    47176   292856820000    4827432123    7",
			domain("cache1", blocked, 0, 123456789012, 123456789012, 64),
		},
		{
			"not UTF-8", "   caf\xe9 --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0",
			domain("caf\ufffd", blocked, 10, 77864, 197632, 1),
		},
	}
	tests[5].want.CPUTime = opt.Of(time.Duration(9223372036) * time.Second) // what a Duration holds
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := xentop.ParseBatch([]byte(header + tt.row + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]xen.Domain{tt.want}, got, equal); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Extra lines that the captures do not have: networks, and VCPUs over several
// lines.
func TestParseBatchDetails(t *testing.T) {
	const row = "%s --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0\n"
	text := header + strings.Replace(row, "%s", "a", 1) +
		"VCPUs(sec):   0:         13s  1:          0s\n            2:          7s\n" +
		"Net0 RX:     2512bytes        7pkts        0err        0drop  TX:        0bytes        0pkts        0err        0drop\n" +
		"Tmem:  Curr eph pages:        0   Succ eph gets:        0   Succ pers puts:        1   Succ pers gets:        1\n" +
		strings.Replace(row, "%s", "b", 1)
	got, err := xentop.ParseBatch([]byte(text))
	if err != nil || len(got) != 2 || got[1].Name != "b" {
		t.Errorf("%v, %v", got, err)
	}
}

// Dom0 alone, twice: the rows must not add up.
func TestParseBatchOneDomain(t *testing.T) {
	const row = "Domain-0 -----r 10 0.0 77864 2.8 197632 7.2 1 0 0 0 3 0 80 27 394 222 0\n"
	for _, text := range []string{header + row + header + row, header + row + header + row + header + row} {
		got, err := xentop.ParseBatch([]byte(text))
		if err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestParseBatchRefuses(t *testing.T) {
	const row = "  Domain-0 -----r        115    0.0    1042668   37.9    1048576      38.1     2    0        0        0    0        0        0        0          0          0    0"
	for name, text := range map[string]string{
		"empty":            "",
		"header alone":     header,
		"no header":        row + "\n",
		"usage":            "Usage: xentop [OPTION]\n",
		"another table":    header + "Domain-0   0  1018  2  r-----  103.8\n",
		"cut in MAXMEM":    header + row[:60] + "\n",
		"cut before share": header + row[:64] + "\n",
		"negative":         header + strings.Replace(row, "1042668", "-042668", 1) + "\n",
		"too many digits":  header + strings.Replace(row, "1042668", strings.Repeat("9", 19), 1) + "\n",
		"long line":        header + strings.Repeat("x", 9000) + row + "\n",
		"words at the end": header + row + " x\n",
	} {
		if got, err := xentop.ParseBatch([]byte(text)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, err := xentop.ParseBatch([]byte(header + row + "\nxentop: lost\n"))
	if err == nil || !strings.Contains(err.Error(), `line 3: not a line of xentop's table: "xentop: lost"`) {
		t.Errorf("the error names neither line nor text: %v", err)
	}
}

func FuzzBatch(f *testing.F) {
	for _, name := range []string{"batch-4.12-f-x-n-v.txt", "batch-4.12-i2.txt", "batch-4.12-r-i2.txt", "batch-4.17-i2.txt", "screen-4.3.txt"} {
		f.Add(testdata(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := xentop.ParseBatch(b)
		if err != nil {
			return
		}
		for _, d := range got {
			if !d.Current.Has() || d.Limit.Has() == d.Unlimited || d.Current.Or(0) < 0 || d.Limit.Or(0) < 0 {
				t.Errorf("%+v", d)
			}
		}
		if lines := bytes.Count(b, []byte("\n")) + 1; len(got) > lines {
			t.Errorf("%d domains from %d lines", len(got), lines)
		}
	})
}

// BenchmarkBatch reads 1,000 domains.
func BenchmarkBatch(b *testing.B) {
	row := "  guest %03d --b---         10    0.0      77864    2.8     197632       7.2     1    0        0        0    3        0       80       27        394        222    0\n"
	text := []byte(header + strings.Repeat(row, 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if got, err := xentop.ParseBatch(text); err != nil || len(got) != 1000 {
			b.Fatal(len(got), err)
		}
	}
}
