package kernelbuild

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/kernelbuild/kconfig"
)

// packagesFor lists the packages that a build needs, sorted. Origin: the Build-
// Depends that the kernel's mkdebian writes, 4.19 to 7.2, and linux-source's
// Recommends. value tells what a symbol of the configuration will be.
func packagesFor(series Series, tree *Tree, value func(symbol string) string) []string {
	need := []string{"bc", "bison", "build-essential", "cpio", "flex", "kmod", "libelf-dev", "libssl-dev", "rsync", "xz-utils"}
	if tree != nil && tree.Debhelper || tree == nil && !series.Before(Series{6, 3}) {
		need = append(need, "debhelper")
	}
	if series.Before(Series{5, 10}) { // its rules want to be root
		need = append(need, "fakeroot")
	}
	if !series.Before(Series{7, 0}) {
		need = append(need, "libdw-dev", "python3")
	}
	for symbol, name := range map[string]string{
		"KERNEL_ZSTD": "zstd", "MODULE_COMPRESS_ZSTD": "zstd", "KERNEL_LZ4": "lz4", "KERNEL_LZO": "lzop", "DEBUG_INFO_BTF": "pahole",
	} {
		if value(symbol) == "y" {
			need = append(need, name)
		}
	}
	slices.Sort(need)
	return slices.Compact(need)
}

// missing lists what is needed and not installed.
func missing(need []string, installed map[string]bool) []string {
	var out []string
	for _, p := range need {
		if !installed[p] {
			out = append(out, p)
		}
	}
	return out
}

// Toolchain is the compiler of a build, with what make must be told for its sake.
type Toolchain struct {
	Compiler Compiler `json:"compiler"`
	MakeArgs []string `json:"make_args,omitempty"`
}

// chooseCompiler takes the first compiler that the tree is known to accept; where
// there is none, the findings are those of the first.
func chooseCompiler(series Series, tree *Tree, config *kconfig.Config, compilers []Compiler) (Toolchain, []finding.Finding) {
	if len(compilers) == 0 {
		return Toolchain{}, []finding.Finding{{
			Check: "compiler-missing", Subject: "gcc", Verdict: finding.Bad,
			Seen: "no compiler is installed", Advice: "Install the packages below.",
		}}
	}
	var first []finding.Finding
	for i, c := range compilers {
		t, fs := judgeCompiler(series, tree, config, c)
		if finding.Worst(fs) != finding.Bad {
			return t, fs
		}
		if i == 0 {
			first = fs
		}
	}
	return Toolchain{Compiler: compilers[0]}, first
}

// judgeCompiler holds one compiler against the tree. What can only be tried is
// left to "make prepare".
func judgeCompiler(series Series, tree *Tree, config *kconfig.Config, c Compiler) (Toolchain, []finding.Finding) {
	t := Toolchain{Compiler: c}
	head, _, _ := strings.Cut(c.Version, ".")
	major, err := strconv.Atoi(head)
	if err != nil {
		return t, []finding.Finding{{
			Check: "compiler-unknown", Subject: c.Name, Verdict: finding.CouldNotTell,
			Seen: fmt.Sprintf("its version %q is no number", c.Version),
		}}
	}
	f := finding.Finding{Subject: c.Name + " " + c.Version, Verdict: finding.Bad}
	switch {
	case tree != nil && len(tree.GCCHeaders) > 0 && !slices.Contains(tree.GCCHeaders, major):
		f.Check = "compiler-too-new"
		f.Seen = fmt.Sprintf("the tree has include/linux/compiler-gccN.h for gcc %s only; it also expects "+
			"compilers that do not make position independent code by themselves, and its host programs need -fcommon", numbers(tree.GCCHeaders))
		f.Advice = "Build in a Debian of the kernel's own age: --chroot. A link in the header's name compiles and proves nothing."
	case tree != nil && tree.DefinedTwice && major >= 10 && config != nil && config.Text("RANDOMIZE_BASE") == "y":
		f.Check = "compiler-too-new"
		f.Seen = kaslrFile + " defines __force_order a second time; gcc 10 and later do not merge the two, and the build fails when all is compiled, as it links bzImage"
		f.Advice = "Build with gcc 9 or older (--cc gcc-9), which --chroot bullseye has; or turn RANDOMIZE_BASE off by --fragment and add --any-compiler."
	case tree != nil && tree.GCCMinimum != "" && !atLeast(c.Version, tree.GCCMinimum):
		f.Check = "compiler-too-old"
		f.Seen = "the tree wants gcc " + tree.GCCMinimum + " at least (scripts/min-tool-version.sh)"
		f.Advice = "Install a newer gcc, or build in a newer Debian: --chroot."
	case major >= 15 && series.Before(Series{6, 7}):
		f.Check, f.Verdict = "compiler-newer", finding.Warning
		f.Seen = "gcc 15 takes C23 for granted, in which bool and false are keywords; older kernels define them"
		f.Advice = "If the probe fails, build with gcc 14 or older, or in an older Debian: --chroot."
	case major >= 12 && !series.Before(Series{4, 14}) && series.Before(Series{5, 14}):
		t.MakeArgs = []string{"WERROR=0"}
		f.Check, f.Verdict = "compiler-newer", finding.Note
		f.Seen = "its warnings are errors in this kernel's own tools; the build passes WERROR=0"
	default:
		return t, nil
	}
	return t, []finding.Finding{f}
}

// numbers writes 3, 4 and 5.
func numbers(ns []int) string {
	words := make([]string, len(ns))
	for i, n := range ns {
		words[i] = strconv.Itoa(n)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
