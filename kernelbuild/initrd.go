package kernelbuild

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/kernelbuild/kconfig"
)

// initrdSymbols are what a kernel needs to unpack what each compressor wrote
// (initramfs-tools 0.142, mkinitramfs).
var initrdSymbols = map[string]string{
	"gzip": "RD_GZIP", "bzip2": "RD_BZIP2", "lzma": "RD_LZMA", "xz": "RD_XZ", "lzop": "RD_LZO", "lz4": "RD_LZ4", "zstd": "RD_ZSTD",
}

// initrdRequests are the wishes of a machine that boots with an initrd, beside
// those of the profile, which win. The tree may be nil.
func initrdRequests(compressor string, tree *kconfig.Tree, profile []kconfig.Request) []kconfig.Request {
	if compressor == "" {
		return nil
	}
	has := func(symbol string) bool { return tree == nil || tree.Symbols[symbol] != nil }
	symbol := initrdSymbols[compressor]
	if symbol == "" || !has(symbol) {
		symbol = initrdSymbols["gzip"]
	}
	var out []kconfig.Request
	for _, s := range []string{"BLK_DEV_INITRD", symbol} {
		asked := slices.ContainsFunc(profile, func(r kconfig.Request) bool { return r.Symbol == s })
		if !asked && has(s) {
			out = append(out, kconfig.Request{Symbol: s, Value: "y", Why: "the target boots with an initrd of " + compressor})
		}
	}
	return out
}

// gzipInstead is the first version of initramfs-tools whose mkinitramfs takes gzip
// where the kernel cannot unpack what the configured compressor writes; those
// before it write an initrd with which that kernel does not boot.
const gzipInstead = "0.141"

// InitrdReadable tells whether a kernel of this configuration can unpack what
// the target's initramfs-tools write for it. The finding, where it cannot, says
// what lacks: such a kernel finds no root file system.
func (t Target) InitrdReadable(c *kconfig.Config) (finding.Finding, bool) {
	if t.Initrd == "" {
		return finding.Finding{}, true
	}
	const gzip = "RD_GZIP"
	symbols := []string{gzip}
	if s := initrdSymbols[t.Initrd]; s != "" && s != gzip {
		symbols[0] = s
		if atLeast(t.InitramfsTools, gzipInstead) {
			symbols = append(symbols, gzip)
		}
	}
	unpacks := slices.ContainsFunc(symbols, func(s string) bool { return c.Text(s) == "y" })
	if unpacks && c.Text("BLK_DEV_INITRD") == "y" {
		return finding.Finding{}, true
	}
	f := finding.Finding{
		Check: "initrd-unreadable", Subject: "CONFIG_" + symbols[0], Verdict: finding.Bad,
		Seen:   "the target's initramfs-tools compress by " + t.Initrd + ", and this kernel could not unpack that: it would find no root file system",
		Advice: "Ask for CONFIG_BLK_DEV_INITRD=y and CONFIG_" + symbols[0] + "=y.",
	}
	if symbols[0] != gzip && c.Text(gzip) == "y" {
		f.Advice += " Or set COMPRESS=gzip in the target's /etc/initramfs-tools/initramfs.conf and export it anew."
	}
	for _, s := range append([]string{"BLK_DEV_INITRD"}, symbols...) {
		value := c.Text(s)
		if value == "" {
			value = "absent"
		}
		f.Evidence = append(f.Evidence, finding.Evidence{Name: s, Value: value, Source: ".config"})
	}
	return f, false
}

var compressorLine = regexp.MustCompile(`^\s*(?:export\s+)?COMPRESS=["']?([a-z0-9]+)["']?\s*(?:#.*)?$`)

// FindInitrd tells by what the initramfs-tools of a machine compress: the last
// COMPRESS= of their files, gzip where there is none, and "" where there are no
// initramfs-tools.
//
// Of Debian 12's /etc/initramfs-tools/initramfs.conf:
//
//	# COMPRESS: [ gzip | bzip2 | lz4 | lzma | lzop | xz | zstd ]
//	COMPRESS=zstd
func FindInitrd(files hostfs.Files) string {
	const main, etc, usr = "/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d", "/usr/share/initramfs-tools/conf.d"
	text, err := files.ReadFile(main)
	if err != nil {
		return ""
	}
	compressor := "gzip"
	last := func(text []byte) {
		for line := range strings.Lines(string(text)) {
			if m := compressorLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
				compressor = m[1]
			}
		}
	}
	last(text)
	own := names(files, etc)
	for _, name := range names(files, usr) {
		if !slices.Contains(own, name) { // those in /etc mask it
			if b, err := files.ReadFile(path.Join(usr, name)); err == nil {
				last(b)
			}
		}
	}
	for _, name := range own {
		if b, err := files.ReadFile(path.Join(etc, name)); err == nil {
			last(b)
		}
	}
	return compressor
}

// names are the files of a folder that count, in their order; none where it is not there.
func names(files hostfs.Files, dir string) []string {
	list, err := files.ReadDir(dir)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list, func(n string) bool { return strings.Contains(n, ".dpkg-") })
}
