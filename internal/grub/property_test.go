package grub

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xtm/internal/hostfs"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The property of the editor: whatever the files, sh sees the old words and the
// new one, nothing else in its environment changes, a second edit changes
// nothing, and taking the word back gives the same bytes as before; or the edit
// is refused. The shells are real.

var (
	aName = rapid.SampledFrom([]string{xenDefault, xenDefault, xenDefault, "GRUB_CMDLINE_XEN", "GRUB_CMDLINE_LINUX", "GRUB_TIMEOUT", "BASE"})
	aText = rapid.SampledFrom([]string{"", "a", "dom0_mem=1G", "a b", " a", "a  b ", "x=\"1 2\"", "tmem_compress", "loglvl=all"})
)

// aValue writes a value in one of the ways of sh.
func aValue(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		text := aText.Draw(t, "text")
		switch rapid.IntRange(0, 7).Draw(t, "quoting") {
		case 0, 1, 2:
			b.WriteString(`"` + strings.NewReplacer(`"`, `\"`, "$", `\$`).Replace(text) + `"`)
		case 3:
			b.WriteString("'" + text + "'")
		case 4:
			b.WriteString(strings.NewReplacer(" ", `\ `, `"`, `\"`).Replace(text))
		case 5:
			fmt.Fprintf(&b, `"$%s %s"`, aName.Draw(t, "of"), strings.ReplaceAll(text, `"`, `\"`))
		case 6:
			fmt.Fprintf(&b, `"${%s}"`, aName.Draw(t, "of"))
		case 7:
			b.WriteString("\"" + strings.ReplaceAll(strings.ReplaceAll(text, `"`, `\"`), " ", " \\\n") + "\"")
		}
	}
	return b.String()
}

// aLine is a statement or a comment, with its line end.
func aLine(t *rapid.T, deep int) string {
	name := aName.Draw(t, "name")
	end := rapid.SampledFrom([]string{"\n", "\n", " # why\n", "\t# \"\\\n", " ;\n"}).Draw(t, "end")
	kind := rapid.IntRange(0, 15).Draw(t, "kind")
	if deep > 1 {
		kind = 0
	}
	switch kind {
	case 4:
		return rapid.SampledFrom([]string{
			"case \"$" + aName.Draw(t, "of") + "\" in\n*a*) " + aLine(t, 2) + ";;\nesac\n",
			"if [ -e / ]; then\n g() {\n" + aLine(t, 2) + "}\nelse\n g() {\n" + aLine(t, 2) + "}\nfi\ng\n",
			"until " + aLine(t, 2) + "do :; done\n",
			"! " + aLine(t, 2),
		}).Draw(t, "nested")
	case 7:
		return "#" + name + "=\"a \\\n"
	case 8:
		return "export " + name + "=" + rapid.SampledFrom([]string{`"a b"`, "a", "'x'", `"$BASE c"`, "$BASE"}).Draw(t, "exported") + end
	case 9:
		return "if [ -n \"$" + aName.Draw(t, "of") + "\" ]; then\n" + aLine(t, deep+1) + "fi\n"
	case 10:
		return "[ -z \"$" + aName.Draw(t, "of") + "\" ] && " + name + "=" + aValue(t) + "\n"
	case 11:
		return "{ " + aLine(t, deep+1) + "}\n"
	case 12:
		return name + "=\"$(printf %s subst)\"" + end
	case 13:
		return rapid.SampledFrom([]string{
			": \"${" + name + ":=a}\"\n", "unset " + name + "\n", "\n", "  \n", "f() {\n" + name + "=f\n}\n", "f\n",
			"( " + name + "=b )\n", "for " + name + " in a; do :; done\n", "eval \"" + name + "=e\"\n", "return\n",
			"cat <<E >/dev/null\n" + name + "=h\nE\n", "[ -n \"$BASE\" ] && return\n", "readonly " + name + "\n",
		}).Draw(t, "other")
	default:
		return name + "=" + aValue(t) + end
	}
}

func aFile(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 5).Draw(t, "lines") {
		b.WriteString(aLine(t, 0))
	}
	text := b.String()
	if rapid.IntRange(0, 4).Draw(t, "final newline") == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func TestEditsAreWhatShellsSee(t *testing.T) {
	needShells(t)
	edits, refusals := 0, 0
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		root := hostfs.Root(filepath.Join(top, fmt.Sprint(n)))
		files := map[string]string{
			"usr/sbin/grub-mkconfig":      "default/grub.d",
			"etc/default/grub":            aFile(rt),
			"etc/default/grub.d/50-a.cfg": aFile(rt),
		}
		if rapid.Bool().Draw(rt, "a later drop-in") {
			files["etc/default/grub.d/zz.cfg"] = aFile(rt)
		}
		for name, text := range files {
			at := filepath.Join(string(root), name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				rt.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				rt.Fatal(err)
			}
		}
		before, err := Load(root)
		if err != nil {
			refusals++
			return
		}
		after, err := before.AddWord(xenDefault, "tmem")
		if err != nil {
			refusals++
			return
		}
		if _, ok := environment(t, shells[0], root, true); !ok {
			return // sh ends within the old files, and grub-mkconfig with it
		}
		edits++
		edited := copyTree(t, string(root))
		write(t, edited, after.Changes())
		if err := agrees(t, root, edited, true, xenDefault, "tmem"); err != nil {
			rt.Fatalf("%v\n%s", err, after.Diff())
		}
		again, err := Load(edited)
		if err != nil {
			rt.Fatal(err)
		}
		if second, err := again.AddWord(xenDefault, "tmem"); err != nil || len(second.Changes()) != 0 {
			rt.Fatalf("a second time: %v\n%s", err, second.Diff())
		}
		undone, err := again.RemoveWord(xenDefault, "tmem")
		if err != nil {
			rt.Fatalf("take it back: %v\n%s", err, after.Diff())
		}
		write(t, edited, undone.Changes())
		if diff := cmp.Diff(settings(t, root), settings(t, edited)); diff != "" {
			rt.Fatalf("taken back, the files differ: %s\n%s", diff, after.Diff())
		}
	})
	t.Logf("%d edits, %d refusals", edits, refusals)
	if edits < refusals {
		t.Errorf("%d edits, %d refusals: the files are too hostile to show anything", edits, refusals)
	}
}
