package hwprofile_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/run"
)

const (
	modprobeFile = "/etc/modprobe.d/xtm-pciback.conf"
	grubFile     = "/etc/default/grub.d/xtm-pciback.cfg"
	initramfs    = "/etc/initramfs-tools/modules"
)

// booting is the X10SAE with another distribution and kernel.
func booting(release string, files map[string]string) *hwtest.Machine {
	m := hwtest.X10SAE()
	m.Files["/etc/os-release"] = release
	maps.Copy(m.Files, files)
	return m
}

var pcibackBuiltIn = map[string]string{"/lib/modules/3.14.0/modules.builtin": "kernel/drivers/xen/xen-pciback/xen-pciback.ko\n"}

// TestHide: the lines for each way to boot.
func TestHide(t *testing.T) {
	for name, c := range map[string]struct {
		m          *hwtest.Machine
		do, undo   string // what stands in the lines
		note, line string
	}{
		"ubuntu": {booting("ID=ubuntu\nID_LIKE=debian\n", nil), "softdep mpt3sas pre: xen-pciback", "rm " + modprobeFile, "", "[ '0000:01:00.0' ]"},
		"rocky":  {booting("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", nil), "dracut -f --regenerate-all", "rm /etc/dracut.conf.d/xtm-pciback.conf", "", ""},
		"arch":   {booting("ID=arch\n", nil), "mkinitcpio -P", "", "", ""},
		"alpine": {booting("ID=alpine\n", nil), "mkinitfs", "", "", ""},
		"xcp-ng": {booting("ID=\"xenenterprise\"\n", nil), `--set-dom0 "xen-pciback.hide=(0000:01:00.0)"`, "--delete-dom0 xen-pciback.hide", "", ""},
		"xcp-ng, one more": {
			booting("ID=\"xenenterprise\"\n", map[string]string{"/proc/cmdline": "ro xen-pciback.hide=(0000:03:00.0)(06:00.*) quiet\n"}),
			`"xen-pciback.hide=(0000:03:00.0)(06:00.*)(0000:01:00.0)"`, `--set-dom0 "xen-pciback.hide=(0000:03:00.0)(06:00.*)"`, "", "",
		},
		"debian, built in":            {booting("ID=debian\n", pcibackBuiltIn), "GRUB_CMDLINE_LINUX xen-pciback.hide=(0000:01:00.0)", "rm " + grubFile, "", ""},
		"debian, built in, by config": {booting("ID=debian\n", map[string]string{"/boot/config-3.14.0": "CONFIG_XEN_PCIDEV_BACKEND=y\n"}), "update-grub", "", "", ""},
		"fedora, built in":            {booting("ID=fedora\n", pcibackBuiltIn), `--args "xen-pciback.hide=(0000:01:00.0)"`, "--remove-args", "", ""},
		"arch, built in":              {booting("ID=arch\n", pcibackBuiltIn), "", "", "not known: the option is hide=(0000:01:00.0) of xen-pciback", ""},
		"slackware":                   {booting("ID=slackware\n", nil), "", "", "not known", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := read(t, c.m)
			got, err := p.Commands([]pci.Address{address(t, "01:00.0")}, nil)
			do, undo := strings.Join(got.Hide, "\n"), strings.Join(got.HideUndo, "\n")
			if err != nil || (c.do == "") != (do == "") || (do == "") != (undo == "") || (do == "") != (got.HideNote != "") {
				t.Errorf("do %q, undo %q, %q, %v", do, undo, got.HideNote, err)
			}
			if !strings.Contains(do, c.do) || !strings.Contains(undo, c.undo) || !strings.Contains(got.HideNote, c.note) || !strings.Contains(got.Guest, c.line) {
				t.Errorf("do %s\nundo %s\nnote %s\nguest %s", do, undo, got.HideNote, got.Guest)
			}
			if slices.Contains(got.Now, "modprobe xen-pciback") != !strings.Contains(name, "built in") {
				t.Errorf("now: %q", got.Now)
			}
		})
	}
}

// TestLateDriver: a driver that is part of the kernel comes before a module, and
// nothing that is printed may pretend otherwise.
func TestLateDriver(t *testing.T) {
	m := hwtest.X10SAE()
	delete(m.Links, "/sys/bus/pci/drivers/mpt3sas/module")
	delete(m.Files, "/sys/module/igb/initstate") // built in, with parameters
	p := read(t, m)
	for _, at := range []string{"01:00.0", "03:00.0"} {
		r := readiness(t, p, at)
		if f := reason(r, "driver"); r.Answer != hwprofile.Conditional || f.Verdict != finding.Warning || !strings.Contains(f.Seen, "part of the kernel") {
			t.Errorf("%s is %s: %+v", at, r.Answer, f)
		}
	}
	c, err := p.Commands([]pci.Address{address(t, "01:00.0"), address(t, "06:00.0")}, nil)
	if err != nil || c.Guest != "pci = [ '0000:01:00.0,seize=1', '0000:06:00.0' ]" || !strings.HasPrefix(c.HideNote, "nothing hides 0000:01:00.0 at boot") {
		t.Errorf("%+v, %v", c, err)
	}
	if text := strings.Join(c.Hide, "\n"); strings.Contains(text, "01:00.0") || !strings.Contains(text, "hide=(0000:06:00.0)") {
		t.Errorf("hide: %s", text)
	}
	// A pciback that is part of the kernel itself comes first.
	maps.Copy(m.Files, pcibackBuiltIn)
	p = read(t, m)
	if r := readiness(t, p, "01:00.0"); r.Answer != hwprofile.Ready {
		t.Errorf("with pciback built in: %+v", r.Reasons)
	}
	if c, err = p.Commands([]pci.Address{address(t, "01:00.0")}, nil); err != nil || c.Guest != "pci = [ '0000:01:00.0' ]" || c.HideNote != "" {
		t.Errorf("with pciback built in: %+v, %v", c, err)
	}
}

// TestNoPciback: a kernel whose modules lack it cannot give a device away.
func TestNoPciback(t *testing.T) {
	m := hwtest.X10SAE()
	m.Files["/lib/modules/3.14.0/modules.builtin"] = "kernel/drivers/tty/serial/8250/8250_pci.ko\n"
	m.Files["/lib/modules/3.14.0/kernel/drivers/scsi/mpt3sas/mpt3sas.ko"] = ""
	if r := readiness(t, read(t, m), "01:00.0"); !r.Impossible || reason(r, "pciback").Verdict != finding.Bad {
		t.Errorf("%s: %+v", r.Answer, r.Reasons)
	}
	m.Files["/lib/modules/3.14.0/kernel/drivers/xen/xen-pciback/xen-pciback.ko"] = ""
	if r := readiness(t, read(t, m), "01:00.0"); r.Answer != hwprofile.Ready {
		t.Errorf("with the module: %s: %+v", r.Answer, r.Reasons)
	}
}

// TestHideLinesRun gives the lines to a shell: what they write hides the device
// and whatever was hidden before, twice the same; the undo leaves each file as
// it was.
func TestHideLinesRun(t *testing.T) {
	earlier := "options xen-pciback hide=(0000:03:00.0)\nsoftdep igb pre: xen-pciback\n"
	for name, m := range map[string]*hwtest.Machine{
		"debian":                   booting("ID=debian\n", map[string]string{initramfs: "# List of modules\next4\n"}),
		"debian, one more":         booting("ID=debian\n", map[string]string{initramfs: "xen-pciback\n", modprobeFile: earlier}),
		"debian, wanted by itself": booting("ID=debian\n", map[string]string{initramfs: "ext4\nxen-pciback\n"}),
		"debian, odd words":        booting("ID=debian\n", map[string]string{initramfs: "ext4\n", modprobeFile: "# it's $HOME \\n\n" + earlier}),
		"fedora":                   booting("ID=fedora\n", nil),
		"fedora, one more":         booting("ID=fedora\n", map[string]string{modprobeFile: earlier}),
		"arch":                     booting("ID=arch\n", nil),
		"alpine":                   booting("ID=alpine\n", nil),
		"built in":                 booting("ID=debian\n", pcibackBuiltIn),
		"built in, one more": booting("ID=debian\n", map[string]string{
			"/lib/modules/3.14.0/modules.builtin": pcibackBuiltIn["/lib/modules/3.14.0/modules.builtin"],
			grubFile:                              "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX xen-pciback.hide=(0000:03:00.0)\"\n",
		}),
	} {
		t.Run(name, func(t *testing.T) {
			p := read(t, m)
			c, err := p.Commands([]pci.Address{address(t, "01:00.0")}, nil)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			for _, d := range []string{"modprobe.d", "default/grub.d", "dracut.conf.d", "mkinitcpio.conf.d", "modules-load.d"} {
				if err := os.MkdirAll(filepath.Join(root, "etc", d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for file, text := range m.Files {
				if strings.HasPrefix(file, "/etc/") {
					at := filepath.Join(root, file)
					if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := etc(t, root)
			shell(t, root, c.Hide)
			once := etc(t, root)
			shell(t, root, c.Hide)
			if diff := cmp.Diff(once, etc(t, root)); diff != "" {
				t.Errorf("a second time (-once +twice):\n%s", diff)
			}
			wrote := once[modprobeFile] + once[grubFile]
			hides := []string{"(0000:01:00.0)"}
			if strings.Contains(name, "one more") {
				hides = []string{"(0000:03:00.0)", "(0000:01:00.0)"}
			}
			if got := regexp.MustCompile(`hide=(\S*\))`).FindStringSubmatch(wrote); got == nil || !strings.HasSuffix(got[1], strings.Join(hides, "")) || strings.Count(wrote, "hide=") != 1 {
				t.Errorf("what hides is %q", wrote)
			}
			shell(t, root, c.HideUndo)
			if diff := cmp.Diff(before, etc(t, root)); diff != "" {
				t.Errorf("after the undo (-before +after):\n%s", diff)
			}
		})
	}
}

// shell runs lines with another folder as /etc; the programs that write the boot
// files do nothing.
func shell(t *testing.T, root string, lines []string) {
	t.Helper()
	script := "set -eu\n"
	for _, l := range lines {
		if word, _, _ := strings.Cut(l, " "); slices.Contains([]string{"update-initramfs", "update-grub", "dracut", "mkinitcpio", "mkinitfs"}, word) {
			continue
		}
		script += strings.ReplaceAll(l, " /etc/", " "+root+"/etc/") + "\n"
	}
	c := run.Cmd{Name: "sh", Args: []string{"-c", script}}
	if _, err := run.New(os.Environ()).Checked(t.Context(), c); err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
}

// etc is every file below /etc.
func etc(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), "etc", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		files["/"+name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
