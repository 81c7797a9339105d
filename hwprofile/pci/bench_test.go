package pci_test

import (
	"os"
	"path/filepath"
	"testing"

	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"
)

// largeHost is 150 functions behind root ports and switches.
func largeHost(b *testing.B) pcitest.Dir {
	b.Helper()
	pcitest.InMemory(b)
	return pcitest.Large(150).Write(b)
}

// BenchmarkReadTree reads everything of 150 functions, all names, and draws
// the tree.
func BenchmarkReadTree(b *testing.B) {
	dir := largeHost(b)
	for b.Loop() {
		devices, _, err := pci.Read(dir)
		if err != nil {
			b.Fatal(err)
		}
		names, _ := pci.LoadIDs(hostfs.Host)
		pci.NewTopology(devices).LspciTree(names, pci.PerDomain)
	}
}

// BenchmarkLspci is the same host through lspci: the tree, then everything.
func BenchmarkLspci(b *testing.B) {
	needs.Program(b, "lspci")
	dir := largeHost(b)
	start := run.New(os.Environ())
	for b.Loop() {
		for _, how := range []string{"-tv", "-vvv"} {
			c := run.Cmd{Name: "lspci", Args: []string{"-O", "sysfs.path=" + filepath.Join(string(dir), "sys/bus/pci"), how}}
			r, err := start(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Check(c); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	dir := largeHost(b)
	for b.Loop() {
		if _, _, err := pci.Read(dir); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIDs(b *testing.B) {
	for b.Loop() {
		pci.LoadIDs(hostfs.Host)
	}
}

func BenchmarkGroups(b *testing.B) {
	devices, err := pci.ParseDump(pcitest.Large(150).Dump())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		topology := pci.NewTopology(devices)
		if _, err := topology.ComputedGroups(pci.Rules{}); err != nil {
			b.Fatal(err)
		}
		topology.XenGroups()
	}
}
