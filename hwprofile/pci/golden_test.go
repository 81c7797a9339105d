package pci_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/hostfs"
)

// readX10SAE reads the board through the file system, links resolved.
func readX10SAE(t *testing.T) []pci.Device {
	t.Helper()
	devices, gaps, err := pci.Read(hostfs.Root(pcitest.X10SAE().Write(t)))
	if err != nil || len(gaps) != 0 {
		t.Fatalf("%v, gaps %v", err, gaps)
	}
	return devices
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ids2014(t *testing.T) *pci.IDs {
	t.Helper()
	ids, err := pci.ParseIDs([]byte(readFile(t, "ids-2014.txt")))
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestRootBusOfTheKernel: a bridge claims bus 40, the kernel knows better. A
// tree that was saved flat says nothing of root buses.
func TestRootBusOfTheKernel(t *testing.T) {
	pcitest.InMemory(t)
	h := pcitest.Host{
		{At: "00:01.0", ID: "abcd:0001", Class: 0x060400, Header: 1, Secondary: 1, Subordinate: 0x7f},
		{At: "40:00.0", ID: "abcd:0002", Class: 0x020000, Parent: "root"},
	}
	const claimed = "-[0000:00]---01.0-[01-7f]--+-[0000:01]-\n                           \\-[0000:40]---00.0\n"
	const root = "-+-[0000:00]---01.0-[01-7f]--\n \\-[0000:40]---00.0\n"
	dir := h.Write(t)
	draw := func() string {
		devices, gaps, err := pci.Read(dir)
		if err != nil || len(gaps) != 0 {
			t.Fatalf("%v, gaps %v", err, gaps)
		}
		return string(pci.NewTopology(devices).LspciTree(nil, pci.PerDomain))
	}
	if got := draw(); got != root {
		t.Errorf("got\n%swant\n%s", got, root)
	}
	entry := string(dir) + "/sys/bus/pci/devices/0000:40:00.0"
	flat := string(dir) + "/sys/devices/pci0000:00/0000:40:00.0"
	if err := errors.Join(os.Remove(entry), os.Rename(string(dir)+"/sys/devices/pci0000:40/0000:40:00.0", flat),
		os.Symlink("../../../devices/pci0000:00/0000:40:00.0", entry)); err != nil {
		t.Fatal(err)
	}
	if got := draw(); got != claimed {
		t.Errorf("flat: got\n%swant\n%s", got, claimed)
	}
}

func TestGoldenX10SAE(t *testing.T) {
	pcitest.InMemory(t)
	topology := pci.NewTopology(readX10SAE(t))
	published := readFile(t, "x10sae-lspci-tv.txt")
	names := pci.EmbeddedIDs().Overlay(ids2014(t))
	for _, layout := range []pci.Layout{pci.PerDomain, pci.Forest} {
		if diff := cmp.Diff(published, string(topology.LspciTree(names, layout))); diff != "" {
			t.Errorf("layout %d (-published +xtm):\n%s", layout, diff)
		}
	}

	// As pasted it has no-break spaces and an empty line.
	raw := strings.ReplaceAll(readFile(t, "x10sae-lspci-tv.raw.txt"), "\u00a0", " ")
	raw = strings.Join(strings.FieldsFunc(raw, func(r rune) bool { return r == '\n' }), "\n") + "\n"
	if diff := cmp.Diff(published, raw); diff != "" {
		t.Errorf("the published tree and its cleaned form differ:\n%s", diff)
	}

	// Newer lists renamed three makers and parts; nothing else may differ.
	var changed []string
	now := strings.Split(string(topology.LspciTree(pci.EmbeddedIDs(), pci.PerDomain)), "\n")
	for i, line := range strings.Split(published, "\n") {
		if line != now[i] {
			changed = append(changed, now[i][strings.LastIndex(now[i], "  ")+2:])
		}
	}
	want := []string{
		"Broadcom / LSI SAS2008 PCI-Express Fusion-MPT SAS-2 [Falcon]",
		"Renesas Electronics Corp. uPD720202 USB 3.0 Host Controller",
		"ASMedia Technology Inc. ASM1061/ASM1062 Serial ATA Controller",
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("lines that newer names change:\n%s", diff)
	}
}
