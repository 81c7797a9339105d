package grub

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/run"
)

// shells are the two that are /bin/sh on the distributions that have Xen.
var shells = [][]string{{"dash"}, {"bash", "--posix"}}

// sourceAll does what grub-mkconfig does with the settings, in a root, and then
// prints all variables. What the files print goes away.
const sourceAll = `
grub_warn() { :; }
cd "$1" || exit 9
if test -f etc/default/grub; then . ./etc/default/grub; fi >/dev/null 2>&1
if [ "$2" = drop-ins ]; then
	for x in etc/default/grub.d/*.cfg; do
		if [ -e "$x" ]; then . "./$x"; fi >/dev/null 2>&1
	done
fi
set`

// shellsOwn are variables that are never the same twice.
var shellsOwn = []string{
	"_", "x", "PWD", "OLDPWD", "PPID", "RANDOM", "SECONDS", "EPOCHSECONDS", "EPOCHREALTIME", "SRANDOM", "PIPESTATUS", "LINENO",
}

// environment is what a shell has in its variables after the files. ok is false
// where the shell did not come to the end.
func environment(tb testing.TB, shell []string, root hostfs.Root, dropIns bool) (vars map[string]string, ok bool) {
	tb.Helper()
	which := "none"
	if dropIns {
		which = "drop-ins"
	}
	args := append(append([]string{}, shell[1:]...), "-c", sourceAll, "sh", string(root), which)
	r, err := run.New([]string{"PATH=" + os.Getenv("PATH")})(tb.Context(), run.Cmd{Name: shell[0], Args: args})
	if err != nil {
		tb.Fatal(err)
	}
	vars = map[string]string{}
	// NAME=value or NAME='value', where ' is written '\'' or, by dash, '"'"'.
	name := ""
	for line := range strings.SplitSeq(string(r.Stdout), "\n") {
		if n, v, found := strings.Cut(line, "="); found && !strings.ContainsAny(n, " '\"\t(){}:/-.") && n != "" {
			name = n
			vars[name] = v
		} else if name != "" {
			vars[name] += "\n" + line
		}
	}
	for n := range vars {
		if strings.HasPrefix(n, "BASH") || slices.Contains(shellsOwn, n) {
			delete(vars, n)
		}
	}
	return vars, r.ExitCode == 0 && len(vars) > 0
}

// printed is the value of a variable, printed by the shell itself.
func printed(tb testing.TB, shell []string, root hostfs.Root, dropIns bool, name string) string {
	tb.Helper()
	which := "none"
	if dropIns {
		which = "drop-ins"
	}
	script := strings.TrimSuffix(sourceAll, "set") + `printf %s "${` + name + `-}"`
	args := append(append([]string{}, shell[1:]...), "-c", script, "sh", string(root), which)
	r, err := run.New([]string{"PATH=" + os.Getenv("PATH")})(tb.Context(), run.Cmd{Name: shell[0], Args: args})
	if err != nil || r.ExitCode != 0 {
		tb.Fatalf("%v: exit %d: %s", err, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout)
}

// write makes the changes on disk, in a test's own root.
func write(tb testing.TB, root hostfs.Root, changes []edit.Change) {
	tb.Helper()
	for _, ch := range changes {
		at, err := root.Path(ch.Path)
		if err != nil {
			tb.Fatal(err)
		}
		if ch.New == nil {
			err = os.Remove(at)
		} else if err = os.MkdirAll(filepath.Dir(at), 0o755); err == nil {
			err = os.WriteFile(at, ch.New, 0o644)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// agrees checks an edit with real shells: the variable has the old value and
// the word, and nothing else has changed.
func agrees(tb testing.TB, before, after hostfs.Root, dropIns bool, name, word string) error {
	tb.Helper()
	for _, shell := range shells {
		was, ok := environment(tb, shell, before, dropIns)
		if !ok {
			return fmt.Errorf("%s does not come to the end of the old files", shell[0])
		}
		is, ok := environment(tb, shell, after, dropIns)
		if !ok {
			return fmt.Errorf("%s does not come to the end of the new files", shell[0])
		}
		old := printed(tb, shell, before, dropIns, name)
		got := printed(tb, shell, after, dropIns, name)
		if !isOneMore(got, old, word) {
			return fmt.Errorf("%s: %s is %q, was %q", shell[0], name, got, old)
		}
		delete(was, name)
		delete(is, name)
		for n, v := range was {
			if is[n] != v {
				return fmt.Errorf("%s: %s was %s and is %s", shell[0], n, v, is[n])
			}
		}
		for n, v := range is {
			if _, ok := was[n]; !ok {
				return fmt.Errorf("%s: %s is new: %s", shell[0], n, v)
			}
		}
	}
	return nil
}

// isOneMore tells whether a value is another with a word put in somewhere.
func isOneMore(got, old, word string) bool {
	if old == "" && got == word {
		return true
	}
	for i := range got {
		if rest, ok := strings.CutPrefix(got[i:], " "+word); ok && got[:i]+rest == old {
			return true
		}
	}
	return false
}

func needShells(t *testing.T) {
	t.Helper()
	for _, s := range shells {
		r, err := run.New(os.Environ())(t.Context(), run.Cmd{Name: s[0], Args: append(append([]string{}, s[1:]...), "-c", "echo ok")})
		if err != nil || !bytes.Equal(r.Stdout, []byte("ok\n")) {
			needs.Unmet(t, "%s is needed: %v", s[0], err)
		}
	}
}

// copyTree copies a root with its links.
func copyTree(tb testing.TB, from string) hostfs.Root {
	tb.Helper()
	to := tb.TempDir()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(at, 0o755)
		case d.Type()&os.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			// What leads into the root from "/" must lead a shell there too.
			if filepath.IsAbs(link) {
				if link, err = filepath.Rel(filepath.Dir(at), filepath.Join(to, link)); err != nil {
					return err
				}
			}
			return os.Symlink(link, at)
		default:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(at, b, 0o644)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return hostfs.Root(to)
}
