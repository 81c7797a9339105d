package pci_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"
)

// lspci is the installed program, the oracle of these tests.
type lspci struct {
	run     run.Func
	version string
	layout  pci.Layout
	names   []string // arguments that pick the file of names
	ids     *pci.IDs
}

// idFile has what libpci must cut or make up: a long name, a vendor without
// this part, capital digits, a block that is reserved.
var idFile = `# Version: 2026.01.01
1000  Broadcom / LSI
	0072  SAS2008 PCI-Express Fusion-MPT SAS-2 [Falcon]
104C  Texas Instruments
	8023  TSB43AB22A IEEE-1394a-2000 Controller (PHY/Link) [iOHCI-Lynx]
		103c 088c  NC8000 laptop
10e3  Tundra Semiconductor Corp.
1b21  ASMedia Technology Inc.
	0612  ` + longName + `
8086  Intel Corporation
	0c08  Xeon E3-1200 v3 Processor DRAM Controller
	1533  I210 Gigabit Network Connection – “naïve”
	8c10  8 Series/C220 Series Chipset Family PCI Express Root Port #1
Q  Something to come
	0001  Reserved
C 02  Network controller
	00  Ethernet controller
`

var longName = strings.Repeat("A very long name ", 20)

func newLspci(t *testing.T) lspci {
	t.Helper()
	needs.Program(t, "lspci")
	l := lspci{run: run.New(os.Environ())}
	out, err := l.output(t.Context(), "--version")
	if err != nil {
		t.Fatal(err)
	}
	l.version = strings.TrimPrefix(strings.TrimSpace(out), "lspci version ")
	var major, minor int
	if _, err := fmt.Sscanf(l.version, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("version %q: %v", out, err)
	}
	if major == 3 && minor < 10 {
		l.layout = pci.Forest
	}
	file := filepath.Join(t.TempDir(), "pci.ids")
	if err := os.WriteFile(file, []byte(idFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if l.ids, err = pci.ParseIDs([]byte(idFile)); err != nil {
		t.Fatal(err)
	}
	l.names = []string{"-i", file}
	// Debian's build asks udev too before it gives up on a name; other builds
	// do not know the parameter and refuse it.
	if help, err := l.output(t.Context(), "-O", "help"); err == nil && strings.Contains(help, "hwdb.disable") {
		l.names = append(l.names, "-O", "hwdb.disable=1")
	}
	return l
}

// errCrash means that lspci was ended by a signal.
var errCrash = errors.New("lspci crashed")

func (l lspci) output(ctx context.Context, args ...string) (string, error) {
	c := run.Cmd{Name: "lspci", Args: args, Timeout: 20 * time.Second}
	r, err := l.run(ctx, c)
	switch {
	case errors.Is(err, cause.ErrNoData), errors.Is(err, fs.ErrNotExist):
		return "", err
	case errors.Is(err, run.ErrTooMuchOutput), err != nil && r.ExitCode < 0:
		return "", fmt.Errorf("%w: %w", errCrash, err)
	case err != nil:
		return "", err
	}
	return string(r.Stdout), r.Check(c)
}

func (l lspci) tree(ctx context.Context, source ...string) (string, error) {
	return l.output(ctx, append(append(append([]string{}, l.names...), source...), "-tv")...)
}

// tame returns the host without what lspci is known to go wrong on, and
// whether there was any: a bridge that the firmware never configured (secondary
// bus 0) takes bus 0 of its domain for its own. lspci then loses what stands
// there, draws it in a wrong place or crashes; up to 3.9 in domains other than
// 0 only.
func (l lspci) tame(h pcitest.Host) (pcitest.Host, bool) {
	tamed := slices.Clone(h)
	found := false
	for i, d := range tamed {
		if d.Class>>16 == 6 && d.Header != 0 && d.Secondary == 0 && (l.layout == pci.PerDomain || d.Address().Domain != 0) {
			tamed[i].Class, found = 0x088000, true
		}
	}
	return tamed, found
}

// tally is what became of the drawings.
type tally struct {
	functions, equal, crashed, wrong int
}

// compare draws one host from both sources. It reports false where lspci
// crashed or differs and says how.
func (l lspci) compare(t *testing.T, h pcitest.Host, n *tally) (diffs []string) {
	t.Helper()
	dir := string(h.Write(t))
	dump := filepath.Join(dir, "dump")
	if err := os.WriteFile(dump, h.Dump(), 0o600); err != nil {
		t.Fatal(err)
	}
	fromSysfs, gaps, err := pci.Read(pcitest.Dir(dir))
	if err != nil || len(gaps) != 0 {
		t.Fatalf("%v, gaps %v", err, gaps)
	}
	fromDump, err := pci.ParseDump(h.Dump())
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []struct {
		name    string
		devices []pci.Device
		args    []string
	}{
		{"sysfs", fromSysfs, []string{"-O", "sysfs.path=" + filepath.Join(dir, "sys/bus/pci")}},
		{"dump", fromDump, []string{"-F", dump}},
	} {
		topology := pci.NewTopology(mode.devices)
		checkOnce(t, topology, len(h))
		want, err := l.tree(t.Context(), mode.args...)
		if errors.Is(err, errCrash) {
			n.crashed++
			diffs = append(diffs, fmt.Sprintf("from %s: %v", mode.name, err))
			continue
		}
		if err != nil {
			t.Fatalf("from %s: %v", mode.name, err)
		}
		if diff := cmp.Diff(want, string(topology.LspciTree(l.ids, l.layout))); diff != "" {
			n.wrong++
			diffs = append(diffs, fmt.Sprintf("from %s (-lspci +xtm):\n%s", mode.name, diff))
			continue
		}
		n.equal++
	}
	n.functions += len(h)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return diffs
}

// TestOracle draws 300 random hosts from sysfs and from a dump and compares
// with the installed lspci, byte for byte. Only where a host has what lspci is
// known to go wrong on may it differ or crash; such a host is counted, and
// drawn again without it: then it has to be equal.
func TestOracle(t *testing.T) {
	pcitest.InMemory(t)
	l := newLspci(t)
	const hosts = 300
	var first, second tally
	for i := range hosts {
		h := pcitest.Random(rand.New(rand.NewPCG(2014, uint64(i))))
		diffs := l.compare(t, h, &first)
		if len(diffs) == 0 {
			continue
		}
		tamed, found := l.tame(h)
		if found {
			diffs = l.compare(t, tamed, &second)
		}
		if len(diffs) != 0 {
			t.Fatalf("host %d differs from lspci %s: %s", i, l.version, strings.Join(diffs, "\n"))
		}
	}
	t.Logf("lspci %s: %d hosts of %d functions drawn twice: %d drawings equal at once; of the others lspci crashed on %d and erred in %d, "+
		"all equal without the bridges that were never configured", l.version, hosts, first.functions, first.equal, first.crashed, first.wrong)
	if first.equal < hosts {
		t.Errorf("%d of %d drawings could be compared: too few", first.equal, 2*hosts)
	}
}

// checkOnce fails unless each device stands in the tree exactly once.
func checkOnce(t rapid.TB, topology *pci.Topology, want int) {
	t.Helper()
	seen := map[pci.Address]int{}
	var walk func(b pci.Bus)
	walk = func(b pci.Bus) {
		for _, n := range b.Devices {
			seen[n.Address]++
			if n.Bridge != nil {
				for _, below := range n.Bridge.Buses {
					walk(below)
				}
			}
		}
	}
	for _, b := range topology.Tree().Roots {
		walk(b)
	}
	if len(seen) != want {
		t.Fatalf("%d of %d devices are in the tree", len(seen), want)
	}
	for a, n := range seen {
		if n != 1 {
			t.Fatalf("%s stands in the tree %d times", a, n)
		}
	}
}

// TestOracleDeep draws chains of bridges up to and past the length of lspci's
// line. lspci writes past its buffer in the longest: those may crash it.
func TestOracleDeep(t *testing.T) {
	pcitest.InMemory(t)
	l := newLspci(t)
	for _, length := range []int{10, 60, 61, 62, 63, 64, 65, 66, 67, 80, 120} {
		var h pcitest.Host
		for bus := range uint8(length) {
			at := pci.Address{Bus: bus, Device: bus % 3}
			h = append(h, pcitest.Device{At: at.String(), ID: "8086:8c10", Class: 0x060400, Header: 1, Primary: bus, Secondary: bus + 1, Subordinate: uint8(length)})
			at.Device = 9
			if bus%5 == 0 {
				h = append(h, pcitest.Device{At: at.String(), ID: "8086:1533", Class: 0x020000})
			}
		}
		var n tally
		if diffs := l.compare(t, h, &n); len(diffs) != 0 && (length < 70 || n.crashed == 0) {
			t.Fatalf("chain of %d: %s", length, strings.Join(diffs, "\n"))
		}
	}
}

// idLine is a vendor or a part in pci.ids.
var idLine = regexp.MustCompile(`(?m)^(?:([0-9a-f]{4})|\t([0-9a-f]{4})) `)

// TestOracleNames gives lspci and xtm the machine's own pci.ids: every hundredth
// part in it, and one that is not.
func TestOracleNames(t *testing.T) {
	pcitest.InMemory(t)
	l := newLspci(t)
	ids, gaps := pci.LoadIDs(hostfs.Host)
	if ids.Source == "embedded" {
		needs.Unmet(t, "pci.ids (Debian: package pci.ids) is not installed: its names cannot be compared")
	}
	if len(gaps) != 0 {
		t.Fatalf("%s: %v", ids.Source, gaps)
	}
	text, err := hostfs.Host.ReadFile(ids.Source)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(ids.Source, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if text, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	h := pcitest.Host{{At: "00:00.0", ID: "dead:beef", Class: 0x088000}}
	vendors, _, _ := bytes.Cut(text, []byte("\nC 00"))
	vendor := ""
	for i, m := range idLine.FindAllSubmatch(vendors, -1) {
		if len(m[1]) != 0 {
			vendor = string(m[1])
		} else if i%100 == 0 {
			n := len(h)
			at := pci.Address{Bus: uint8(n >> 8), Device: uint8(n >> 3 & 31), Function: uint8(n & 7)}
			h = append(h, pcitest.Device{At: at.String(), ID: vendor + ":" + string(m[2]), Class: 0x088000})
		}
	}
	dump := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(dump, h.Dump(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(slices.DeleteFunc(slices.Clone(l.names), func(s string) bool { return s == "-i" || filepath.IsAbs(s) }), "-F", dump, "-tv")
	want, err := l.output(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(topologyOf(t, h).LspciTree(ids, l.layout))); diff != "" {
		t.Errorf("(-lspci +xtm):\n%s", diff)
	}
	t.Logf("%d names of %s (%s) are equal", len(h), ids.Source, ids.Version)
}

// TestThisMachine draws the machine that the test runs on.
func TestThisMachine(t *testing.T) {
	l := newLspci(t)
	devices, gaps, err := pci.Read(hostfs.Host)
	if errors.Is(err, cause.ErrNoData) {
		t.Logf("nothing to compare: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gaps {
		t.Logf("gap: %+v", g)
	}
	want, err := l.tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(pci.NewTopology(devices).LspciTree(l.ids, l.layout))); diff != "" {
		t.Errorf("(-lspci +xtm):\n%s", diff)
	}
}

// TestOracleConflicts has bridges that claim the same buses: lspci takes the
// last one.
func TestOracleConflicts(t *testing.T) {
	pcitest.InMemory(t)
	l := newLspci(t)
	bridge := func(at string, secondary, last uint8) pcitest.Device {
		return pcitest.Device{At: at, ID: "8086:8c10", Class: 0x060400, Header: 1, Secondary: secondary, Subordinate: last}
	}
	var n tally
	diffs := l.compare(t, pcitest.Host{
		bridge("00:01.0", 5, 5), bridge("00:02.0", 5, 5), bridge("00:03.0", 6, 8), bridge("00:04.0", 7, 9),
		{At: "05:00.0", ID: "8086:1533", Class: 0x020000},
		{At: "05:01.0", ID: "8086:1533", Class: 0x020000},
		{At: "07:00.0", ID: "8086:1533", Class: 0x020000},
		{At: "08:00.0", ID: "8086:1533", Class: 0x020000, Parent: "00:04.0"},
	}, &n)
	if len(diffs) != 0 {
		t.Fatal(strings.Join(diffs, "\n"))
	}
}
