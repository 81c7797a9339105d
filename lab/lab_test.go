package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScenarios(t *testing.T) {
	all, err := scenarios()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Errorf("%d scenarios", len(all))
	}
	for _, s := range all {
		for _, n := range s.needs {
			if versionNeed.MatchString(n) {
				continue
			}
			switch word := strings.TrimPrefix(n, "no-"); {
			case slices.Contains([]string{"tmem", "guest-tmem", "guest-package", "libvirt", needNightly}, word), strings.HasPrefix(word, "xtm:"):
			default:
				t.Errorf("%s needs %q, which no host has", s.name, n)
			}
		}
	}
}

func TestBoots(t *testing.T) {
	all := []scenario{
		{name: "10-a", boot: mainBoot},
		{name: "20-b", boot: "linux intel_iommu=on"},
		{name: "30-c", boot: "xen iommu=0", needs: []string{"xtm:detect", needNightly}},
		{name: "40-d", boot: "linux intel_iommu=on"},
	}
	for _, c := range []struct {
		match   string
		nightly bool
		want    []bootName
	}{
		{"", false, []bootName{"xen", "linux intel_iommu=on"}},
		{"", true, []bootName{"xen", "linux intel_iommu=on", "xen iommu=0"}},
		{"d$", true, []bootName{"linux intel_iommu=on"}},
		{"nothing", true, nil},
	} {
		if got := bootsOf(all, regexp.MustCompile(c.match), c.nightly); !slices.Equal(got, c.want) {
			t.Errorf("%q, nightly %t: got %q", c.match, c.nightly, got)
		}
	}
	all, err := scenarios()
	if err != nil {
		t.Fatal(err)
	}
	if got := bootsOf(all, regexp.MustCompile(""), true); len(got) > maxBoots || got[0] != mainBoot {
		t.Errorf("boots: %q, want %d at most, the one with the guests first", got, maxBoots)
	}
}

func TestParseScenario(t *testing.T) {
	s, err := parseScenario("scenarios/40-x.sh", []byte("#!/bin/sh\n# what: a: b\n# needs: tmem xen<4.13\n# boot: xen  iommu=0\n# timeout: 90\necho\n# timeout: bad\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s.name != "40-x" || s.boot != "xen iommu=0" || s.what != "a: b" || s.timeout != 90*time.Second || !slices.Equal(s.needs, []string{"tmem", "xen<4.13"}) {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"#!/bin/sh\necho\n", "# what: x\n# timeout: 0\n", "# what: x\n# need: tmem\n", "# what: x\n# boot: windows\n"} {
		if _, err := parseScenario("x.sh", []byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestLacks(t *testing.T) {
	f := facts{4, 12, map[string]bool{"tmem": true}}
	for needs, want := range map[string]string{
		"":                "",
		"tmem xen>=4.12":  "",
		"xen<4.13":        "",
		"xen<5.0":         "",
		"xen<4.12":        "needs xen<4.12, this is Xen 4.12",
		"xen>=4.13 tmem":  "needs xen>=4.13, this is Xen 4.12",
		"no-tmem":         "needs no-tmem",
		"no-libvirt":      "",
		"tmem xtm:status": "needs xtm:status",
	} {
		if got := f.lacks(strings.Fields(needs)); got != want {
			t.Errorf("%q: got %q, want %q", needs, got, want)
		}
	}
}

func TestParseURIs(t *testing.T) {
	// As apt 2.6 printed them: the second has no sum.
	got, err := parseURIs(strings.NewReader(
		"'http://h/debian/pool/main/j/jq/jq_1.6-2.1_amd64.deb' jq_1.6-2.1_amd64.deb 64432 MD5Sum:5d1c\n" +
			"'http://h/s/pool/p/libpcre2-8-0_10.42-1%2bdeb12u2_amd64.deb' libpcre2-8-0_10.42-1+deb12u2_amd64.deb 261628 \n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []deb{{"jq_1.6-2.1_amd64.deb", "64432"}, {"libpcre2-8-0_10.42-1+deb12u2_amd64.deb", "261628"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if _, err := parseURIs(strings.NewReader("'http://h/x' ../x.deb 1 \n")); err == nil {
		t.Error("a file outside the folder: no error")
	}
}

func TestKeep(t *testing.T) {
	for name, want := range map[string]bool{
		"usr/sbin/libvirtd": true,
		"usr/share/doc/jq/": false,
		"usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_libxl.so": true,
		"usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so":  false,
		"lib/modules/6.1.0-1-amd64/kernel/fs/ext4/ext4.ko":                           true,
		"lib/modules/6.1.0-1-amd64/kernel/fs/ext4extra/x.ko":                         false,
		"lib/modules/6.1.0-1-amd64/kernel/drivers/net/e1000.ko":                      false,
	} {
		if keep(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

func TestUnwrapKernel(t *testing.T) {
	elf := []byte("\x7fELF and so on")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(elf)
	_ = w.Close()
	payload := z.Bytes()

	image := make([]byte, 1024)
	image[0x1f1] = 1 // one setup sector beside the boot sector
	copy(image[0x202:], "HdrS\x0c\x02")
	binary.LittleEndian.PutUint32(image[0x248:], 16)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(payload)))
	image = append(image, make([]byte, 16)...)
	image = append(image, payload...)

	got, err := unwrapKernel(image)
	if err != nil || !bytes.Equal(got, elf) {
		t.Errorf("got %q, %v", got, err)
	}
	cut := image[:len(image)-8]
	if got, err := unwrapKernel(cut); err != nil || !bytes.Equal(got, cut) {
		t.Errorf("a truncated image is left as it is: got %d bytes, %v", len(got), err)
	}
}

func TestModuleDeps(t *testing.T) {
	// Of Debian's ext4.ko, Linux 6.1, shortened.
	info := []byte("license=GPL\x00softdep=pre: crc32c\x00alias=ext3\x00depends=jbd2,mbcache,crc16\x00retpoline=Y\x00")
	if got := moduleDeps(info); !slices.Equal(got, []string{"jbd2", "mbcache", "crc16"}) {
		t.Errorf("got %v", got)
	}
	if got := moduleDeps([]byte("depends=\x00")); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestCpioIsReadByCpio(t *testing.T) {
	var c cpio
	c.entry("dir", modeDir, 0, 0, nil)
	c.file("dir/odd", []byte("12345"))
	c.entry("link", modeLink, 0, 0, []byte("dir/odd"))
	cmd := exec.Command("cpio", "-t", "--quiet")
	cmd.Stdin = bytes.NewReader(c.bytes())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio (package cpio): %v %s", err, out)
	}
	if string(out) != "dir\ndir/odd\nlink\n" {
		t.Errorf("got %q", out)
	}
}

func TestQEMUArgs(t *testing.T) {
	m := machine{xen: "/c/xen", kernel: "/c/vmlinux", initrd: "/c/initrd", root: "r", payload: "p", results: "o"}
	args := qemuArgs(m, config{accel: "tcg", xenArgs: "tmem"}, "xen iommu=0")
	after := func(flag string) string { return args[slices.Index(args, flag)+1] }
	if got := after("-append"); !strings.HasSuffix(got, " tmem iommu=0") || !strings.Contains(got, "pv-l1tf=no") {
		t.Errorf("Xen's command line: %s", got)
	}
	// QEMU takes a comma in -initrd as the start of the next module.
	if got := after("-initrd"); strings.Count(got, ",") != 1 {
		t.Errorf("modules: %s", got)
	}
	if got := after("-initrd"); !strings.Contains(got, " lab.boot=xen-iommu=0,") {
		t.Errorf("Dom0 does not know its boot: %s", got)
	}
	args = qemuArgs(m, config{accel: "tcg", xenArgs: "tmem"}, "linux intel_iommu=on")
	if got := after("-append"); after("-kernel") != m.kernel || !strings.HasSuffix(got, " intel_iommu=on") || strings.Contains(got, "tmem") {
		t.Errorf("bare Linux: %s %s", after("-kernel"), got)
	}
	kvm := qemuArgs(m, config{accel: "kvm", shell: mainBoot}, mainBoot)
	if s := strings.Join(kvm, " "); strings.Contains(s, "xpti") || !strings.Contains(s, "mon:stdio") {
		t.Errorf("kvm: %s", s)
	}
}

func TestParseAnswer(t *testing.T) {
	text := "[   12.3] a message of the kernel\r\nLAB-OUT 7\r\naGVs\r\nbG8K\r\nLAB-ERR 7\r\nb29wcwo=\r\nLAB-END 7 3\r\n"
	a, err := parseAnswer("7", text)
	if err != nil || string(a.stdout) != "hello\n" || string(a.stderr) != "oops\n" || a.code != 3 {
		t.Errorf("%q %q %d, %v", a.stdout, a.stderr, a.code, err)
	}
	for _, bad := range []string{"", strings.Replace(text, "aGVs", "a", 1), strings.ReplaceAll(text, " 7", " 8"), text[:len(text)-6]} {
		if a, err := parseAnswer("7", bad); err == nil {
			t.Errorf("%q: %+v", bad, a)
		}
	}
}

func TestGuests(t *testing.T) {
	per, loops := disks()
	if len(loops) > 16 {
		t.Errorf("%d loop devices", len(loops))
	}
	promised := 0
	for _, g := range guests {
		promised += g.maxmem
		cfg, xml := g.xlConfig(per[g.name]), g.libvirtXML(per[g.name])
		for _, d := range per[g.name] {
			if !strings.Contains(cfg, d.dev+","+d.guestDev) || !strings.Contains(xml, d.dev) {
				t.Errorf("%s: %v is missing", g.name, d)
			}
		}
	}
	if free := memoryMiB - dom0MiB; promised <= free {
		t.Errorf("guests are promised %d of %d MiB: no overcommitment", promised, free)
	}
}

func TestOutcome(t *testing.T) {
	var o outcome
	for _, l := range []string{"LAB step 1s x\r\n", "LAB pass 10-x 1s\r\n", "(XEN) LAB fail\n", "LAB fail 20-y\n", "LAB skip 30-z: why\n", "LAB end\n"} {
		o.line(l)
	}
	if got := o.String(); got != "1 passed, 1 failed, 1 skipped" || !o.ended {
		t.Errorf("got %s", got)
	}
}

func TestConfig(t *testing.T) {
	env := map[string]string{"LAB_SLOW": "3", "XTM_LAB_CACHE": "/c"}
	look := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	c, err := configFromEnv(look)
	if err != nil || c.cache != "/c" || c.accel != "tcg" || c.stretch(2*time.Second) != 6*time.Second {
		t.Errorf("%+v %v", c, err)
	}
	delete(env, "XTM_LAB_CACHE")
	if c, _ := configFromEnv(look); !strings.HasSuffix(c.cache, filepath.Join(".cache", "lab")) {
		t.Errorf("cache: %s", c.cache)
	}
	for _, bad := range []string{"0", "-1", "2.5", "fast"} {
		env["LAB_SLOW"] = bad
		if _, err := configFromEnv(look); err == nil {
			t.Errorf("LAB_SLOW=%s: no error", bad)
		}
	}
}

func TestNeedsModules(t *testing.T) {
	builtin := "kernel/fs/ext4/ext4.ko\nkernel/drivers/block/xen-blkfront.ko\n"
	if got := needsModules(builtin, "crc32c_generic", "ext4", "xen_blkfront"); !slices.Equal(got, []string{"crc32c_generic"}) {
		t.Errorf("got %q", got)
	}
}
