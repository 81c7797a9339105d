package cli_test

import (
	"bytes"
	"os"
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
