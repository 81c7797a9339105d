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

	"xtm/hwprofile"
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

// TestDetectFrom: what a capture recorded is profiled as the machine itself was,
// but for the names of devices, which are those of here.
func TestDetectFrom(t *testing.T) {
	m := hwtest.X10SAE()
	m.Files["/sys/firmware/dmi/tables/DMI"] = "\x10\x17\x00\x00\x03\x03\x06\x00\x00\x00\x02\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x04\x00\x00\x00\x00"
	root := hostfs.Root(m.Write(t))
	dir := t.TempDir()
	xtm := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), cli.Env{
			Args: append([]string{"xtm"}, args...), Stdout: &out, Stderr: &errs, Root: true, Files: root, Run: m.XL.Run, Now: time.Now,
		})
		return out.String(), errs.String(), code
	}
	live, _, _ := xtm("detect", "--format", "json")
	for _, as := range []string{"host", "host.tar.gz", "redacted"} {
		file := filepath.Join(dir, as)
		args := []string{"capture", "--label", "the X10SAE", file}
		if as == "redacted" {
			args = slices.Insert(args, 1, "--redact")
		}
		if _, errs, code := xtm(args...); code != 0 || strings.Contains(errs, "/sys/bus/pci") {
			t.Fatalf("%s: exit %d: %s", as, code, errs)
		}
		got, errs, code := xtm("detect", "--from", file, "--format", "json")
		if code != 0 {
			t.Fatalf("%s: exit %d: %s", as, code, errs)
		}
		if as == "redacted" {
			for _, s := range []string{"root_crypt", "192.168", "xenbr0"} {
				if strings.Contains(got, s) {
					t.Errorf("%s is in the redacted profile", s)
				}
			}
			var p struct {
				Devices, Groups []any
				IOMMU           struct {
					State hwprofile.IOMMUState
					DMAR  any
				}
				Passthrough []hwprofile.Readiness
			}
			if err := json.Unmarshal([]byte(got), &p); err != nil || len(p.Devices) != 26 || p.IOMMU.State != hwprofile.IOMMUOn || p.IOMMU.DMAR == nil || len(p.Groups) != 20 {
				t.Errorf("redacted: %v, %d devices, IOMMU %s, %d groups", err, len(p.Devices), p.IOMMU.State, len(p.Groups))
			}
			// What says how disks and networks are connected is not there: all are guarded.
			for _, r := range p.Passthrough {
				if r.Address.String() == "0000:01:00.0" && (r.Answer != hwprofile.NotReady || !slices.Contains(r.Blocks, hwprofile.GuardBootDisk)) {
					t.Errorf("redacted: %+v", r)
				}
			}
			continue
		}
		want := strings.Replace(live, `"role_seen"`, `"recorded": "the X10SAE",`+"\n  "+`"role_seen"`, 1)
		if diff := cmp.Diff(profile(t, want), profile(t, got)); diff != "" {
			t.Errorf("%s (-live +recorded):\n%s", as, diff)
		}
		if text, _, _ := xtm("detect", "--from", file); !strings.Contains(text, "RECORDED  ") || !strings.Contains(text, "the X10SAE; not live") {
			t.Errorf("%s: it is not said to be recorded:\n%s", as, text)
		}
		if text, _, code := xtm("detect", "passthrough", "--from", file, "01:00.0"); code != 0 || !strings.Contains(text, "pci = [ '0000:01:00.0' ]") {
			t.Errorf("%s: exit %d:\n%s", as, code, text)
		}
	}
}

func profile(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDetectGuest is scenario 15: a configuration that xl would refuse is
// refused before.
func TestDetectGuest(t *testing.T) {
	cfg := filepath.Join(t.TempDir(), "web1.cfg")
	for text, want := range map[string]struct {
		code      int
		says, not string
	}{
		"name = \"web1\"\ntype = \"hvm\"\nmemory = 1024\nmaxmem = 2048\n": {3, "No commands: the guest cannot have a device: memory (1024) is less than maxmem (2048)", "pci = ["},
		"name = \"web1\"\ntype = \"hvm\"\nmemory = 2048\n":                {0, "good  web1: memory and maxmem are equal, as they have to be", "Memory of a guest"},
		"name = \"web1\"\nmemory = 1024\nmaxmem = 2048\ne820_host = 1\n":  {0, "note  web1: a PV guest with devices may grow from 1024 to 2048 MiB", "Memory of a guest"},
	} {
		if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := detect(t, hwtest.X10SAE(), "passthrough", "--guest", cfg, "01:00.0")
		if code != want.code || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want.says), " ")) || strings.Contains(out, want.not) {
			t.Errorf("%q: exit %d: %s%s", text, code, errs, out)
		}
	}
}
