package xl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
)

// t0 is when the replayed hosts were read, near enough.
var t0 = time.Date(2026, 11, 22, 13, 35, 0, 0, time.UTC)

// recorded are the files of a phase by the command that wrote them. The hosts
// were recorded with xentop -b -i 1 -f -x -n -v, whose extra lines change no
// row.
var recorded = map[string]string{
	"xl list": "xl-list", "xl list -v": "xl-list-v", "xl list -l": "xl-list-l", "xl info": "xl-info",
	"xl uptime": "xl-uptime", "xl dmesg": "xl-dmesg", "xentop -b -f -i 1": "xentop-b-i1-full",
	"xl tmem-list -l -a": "xl-tmem-list-l-a", "xl tmem-list -a": "xl-tmem-list-a", "xl tmem-freeable": "xl-tmem-freeable",
}

func testdata(tb testing.TB, parts ...string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, parts...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// phase replays a recorded host. What was not recorded is missing, as in a
// capture.
func phase(tb testing.TB, name string) (*runtest.Fake, fstest.MapFS) {
	tb.Helper()
	fake := runtest.New(t0)
	dir := filepath.Join("testdata", name)
	fake.Else(func(c run.Cmd) (runtest.Answer, bool) {
		if c.Name == "xenstore-ls" {
			return subtreeOf(filepath.Join(dir, "xenstore-ls-f.txt"), c)
		}
		stem, ok := recorded[c.String()]
		if id, one := strings.CutPrefix(c.String(), "xl tmem-list -l "); one && !ok {
			stem, ok = "xl-tmem-list-l-"+id, true
		}
		if !ok {
			return runtest.Answer{}, false
		}
		out, err := os.ReadFile(filepath.Join(dir, stem+".txt"))
		if err != nil {
			return runtest.Answer{Err: fmt.Errorf("run %s: not recorded: %w", c, cause.ErrNoData)}, true
		}
		a := runtest.Answer{Stdout: string(out), Takes: 100 * time.Millisecond}
		if errText, err := os.ReadFile(filepath.Join(dir, stem+".err.txt")); err == nil {
			a.Stderr, a.ExitCode = string(errText), 1 // so it was in each of these
		}
		return a, true
	})
	files := fstest.MapFS{}
	if b, err := os.ReadFile(filepath.Join(dir, "proc-xen-capabilities.txt")); err == nil {
		files["proc/xen/capabilities"] = &fstest.MapFile{Data: b}
	}
	return fake, files
}

// subtreeOf answers xenstore-ls -f PATH from the listing of the whole store.
func subtreeOf(file string, c run.Cmd) (runtest.Answer, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return runtest.Answer{Err: fmt.Errorf("run %s: not recorded: %w", c, cause.ErrNoData)}, true
	}
	a := runtest.Answer{Takes: 10 * time.Millisecond}
	below := c.Args[len(c.Args)-1] + "/"
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, below) {
			a.Stdout += line
		}
	}
	if a.Stdout == "" {
		return absentPath(c), true
	}
	return a, true
}

// absentPath is what xenstore-ls says of a path that is not there.
func absentPath(c run.Cmd) runtest.Answer {
	return runtest.Answer{ExitCode: 1, Stderr: fmt.Sprintf("xenstore-ls: xs_directory (%s): No such file or directory\n", c.Args[len(c.Args)-1]), Takes: 10 * time.Millisecond}
}

var noFiles = hostfs.FromFS(fstest.MapFS{})
