package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/hwtest"
	"xtm/internal/cli"
	"xtm/internal/hostfs"
)

// detect runs xtm on a machine and returns what it printed.
func detect(t *testing.T, m *hwtest.Machine, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), cli.Env{
		Args: append([]string{"xtm", "detect"}, args...), Stdout: &out, Stderr: &errs, Root: true,
		Files: hostfs.Root(m.Write(t)), Run: m.XL.Run, Now: time.Now,
	})
	return out.String(), errs.String(), code
}

// TestDetectPublishedTree: the 20 lines that the owner of the X10SAE host
// published in 2014, byte for byte, with the names of then.
func TestDetectPublishedTree(t *testing.T) {
	published, err := os.ReadFile("../../hwprofile/pci/testdata/x10sae-lspci-tv.txt")
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code := detect(t, hwtest.X10SAE(), "--format", "lspci-tree", "--pci-ids", "../../hwprofile/pci/testdata/ids-2014.txt")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if diff := cmp.Diff(string(published), out); diff != "" {
		t.Errorf("(-published +xtm):\n%s", diff)
	}
	if n := strings.Count(out, "\n"); n != 20 {
		t.Errorf("%d lines", n)
	}
}

// golden compares with a file of testdata/detect; XTM_UPDATE writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/detect/" + name
	if os.Getenv("XTM_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestDetectGolden(t *testing.T) {
	for name, of := range map[string]struct {
		args []string
		code int
	}{
		"x10sae.txt":                   {nil, 0},
		"x10sae.md":                    {[]string{"--format", "markdown"}, 0},
		"x10sae-passthrough.txt":       {[]string{"passthrough"}, 0},
		"x10sae-sas2008.txt":           {[]string{"passthrough", "01:00.0"}, 0},
		"x10sae-boot-controller.txt":   {[]string{"passthrough", "00:1f.2"}, 3},
		"x10sae-default-route.txt":     {[]string{"passthrough", "00:19.0"}, 3},
		"x10sae-firewire.txt":          {[]string{"passthrough", "05:03.0"}, 3},
		"x10sae-forced-controller.txt": {[]string{"passthrough", "--force", "boot-disk", "--force", "disk", "--force", "group", "00:1f.2"}, 0},
		"x10sae-forced-usb.txt":        {[]string{"passthrough", "--force", "rmrr-shared", "00:14.0"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := detect(t, hwtest.X10SAE(), withNames(of.args)...)
			if code != of.code || errs != "" {
				t.Fatalf("exit %d: %s\n%s", code, errs, out)
			}
			golden(t, name, out)
		})
	}
}

// withNames puts the names of 2014 before the arguments.
func withNames(args []string) []string {
	names := []string{"--pci-ids", "../../hwprofile/pci/testdata/ids-2014.txt"}
	if len(args) > 0 && args[0] == "passthrough" {
		return append(append([]string{"passthrough"}, names...), args[1:]...)
	}
	return append(names, args...)
}

// TestDetectJSON: the stable form holds what the tables show.
func TestDetectJSON(t *testing.T) {
	out, errs, code := detect(t, hwtest.X10SAE(), "--format", "json")
	var p struct {
		Schema      int
		CPU         struct{ Cores, Threads int }
		IOMMU       struct{ State string }
		Passthrough []struct{ Address, Answer string }
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 {
		t.Fatalf("exit %d: %s: %v", code, errs, err)
	}
	if p.Schema != 1 || p.CPU.Cores != 4 || p.CPU.Threads != 8 || p.IOMMU.State != "on" || len(p.Passthrough) != 26 {
		t.Errorf("%+v", p)
	}
}

// TestDetectSave: saved, compared, and a second time nothing to do. Nothing
// else is written, whatever is asked.
func TestDetectSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	for i, want := range []string{"16 devices were saved", "says so already"} {
		_, errs, code := detect(t, hwtest.X10SAE(), "passthrough", "--save", file)
		if code != 0 || !strings.Contains(errs, want) {
			t.Fatalf("run %d: exit %d: %s", i, code, errs)
		}
	}
	out, errs, code := detect(t, hwtest.X10SAE(), "passthrough", "--compare", file)
	if code != 0 || strings.Count(out, "it is where it was") != 16 {
		t.Errorf("exit %d: %s%s", code, errs, out)
	}
	moved := hwtest.X10SAE()
	moved.PCI = slices.Clone(moved.PCI)
	for i := range moved.PCI {
		if moved.PCI[i].At == "06:00.0" {
			moved.PCI[i].ID, moved.PCI[i].Sub = "8086:1533", "15d9:1533" // another card in its slot
		}
	}
	out, errs, code = detect(t, moved, "passthrough", "--compare", file)
	if code != 3 || !strings.Contains(out, "DANGEROUS  0000:06:00.0: it is gone, and its address is now that of") {
		t.Errorf("exit %d: %s%s", code, errs, out)
	}
}

// TestDetectUser: a named device that only root can judge.
func TestDetectUser(t *testing.T) {
	m := hwtest.X10SAE()
	for i := range m.PCI {
		m.PCI[i].ConfigSize = 64
	}
	dir := m.Write(t)
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), cli.Env{
		Args: []string{"xtm", "detect", "passthrough", "01:00.0"}, Stdout: &out, Stderr: &errs, Files: hostfs.Root(dir), Run: m.XL.Run, Now: time.Now,
	})
	if code != 5 || !strings.Contains(out.String(), "could not tell") || strings.Contains(out.String(), "pciback") {
		t.Errorf("exit %d: %s%s", code, errs.String(), out.String())
	}
}
