package build_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/opt"
	"xtm/internal/run"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

// fakeTree makes a kernel tree whose Kconfig files are those of a series.
func fakeTree(t *testing.T, series, sublevel string) string {
	t.Helper()
	for _, p := range []string{"make", "bash", "dpkg-deb", "flock"} {
		needs.Program(t, p)
	}
	dir := filepath.Join(t.TempDir(), "linux-"+series+"."+sublevel)
	for _, from := range []string{"testdata/fake", "../kconfig/testdata/linux-" + series} {
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	makefile := read(t, dir+"/Makefile")
	major, minor, _ := strings.Cut(series, ".")
	makefile = strings.NewReplacer("@VERSION@", major, "@PATCHLEVEL@", minor, "@SUBLEVEL@", sublevel).Replace(makefile)
	write(t, dir+"/Makefile", makefile)
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// buster is a Debian 10 whose kernel shall get tmem.
func buster(t *testing.T) kernelbuild.Export {
	t.Helper()
	return kernelbuild.Export{
		Schema: kernelbuild.ExportSchema,
		Target: kernelbuild.Target{
			Release: "4.19.0-6-amd64", Architecture: "amd64", Distribution: "debian", ConfigPath: "/boot/config-4.19.0-6-amd64", DpkgVersion: "1.19.7",
			Owner: opt.Of(kernelbuild.Owner{
				Package: "linux-image-4.19.0-6-amd64", Version: "4.19.67-2", Source: "linux-signed-amd64", SourceVersion: "4.19.67+2", BuiltUsing: "linux (= 4.19.67-2)",
			}),
		},
		Config: read(t, "../kconfig/testdata/config-4.19.0-6-amd64"), Modules: []string{"xen_netfront"},
	}
}

// builder is a machine that has all that a build needs; apt-get is what the test
// says it is.
func builder(aptGet func(run.Cmd) (run.Result, error)) build.Machine {
	real := run.New([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"})
	return build.Machine{
		Files: hostfs.FromFS(fstest.MapFS{
			"proc/meminfo":         {Data: []byte("MemTotal: 8000000 kB\nMemAvailable: 8000000 kB\n")},
			"usr/bin/gcc":          {},
			"etc/apt/sources.list": {Data: []byte("deb http://deb.example.org/debian buster main\n")},
		}),
		Run: func(ctx context.Context, c run.Cmd) (run.Result, error) {
			answer := func(text string) (run.Result, error) { return run.Result{Stdout: []byte(text)}, nil }
			switch line := c.String(); {
			case strings.HasPrefix(line, "dpkg-query --show --showformat='${db:Status"):
				var b strings.Builder
				for p := range strings.FieldsSeq("bc bison build-essential cpio debhelper fakeroot flex kmod libelf-dev libssl-dev rsync xz-utils") {
					b.WriteString("installed " + p + " 1\n")
				}
				return answer(b.String() + "installed dpkg 1.21.22\n")
			case c.Name == "nproc":
				return answer("2\n")
			case c.Name == "gcc":
				return answer("12.2.0\n")
			case c.Name == "ccache":
				return run.Result{ExitCode: -1}, errors.New("run ccache: not installed")
			case c.Name == "apt-cache":
				return answer("")
			case c.Name == "apt-get" && aptGet != nil:
				return aptGet(c)
			case c.Name == "apt-get":
				return run.Result{ExitCode: 100, Stderr: []byte("E: Temporary failure resolving 'deb.example.org'")}, nil
			}
			return real(ctx, c)
		},
	}
}

// job builds the profile tmem from a tree, in a folder of its own.
func job(t *testing.T, source string) build.Job {
	t.Helper()
	p, err := kernelbuild.ProfileNamed("tmem")
	if err != nil {
		t.Fatal(err)
	}
	return build.Job{
		Machine: builder(nil), Dir: t.TempDir(), Export: buster(t), Now: time.Now,
		Options: kernelbuild.Options{Profile: p, Source: source}, Patience: time.Millisecond,
	}
}

// watch collects what a job says, one line for each phase that ran or was kept.
func watch(j *build.Job) *[]string {
	var lines []string
	j.Report = func(e build.Event) {
		switch e.Kind {
		case build.Began:
			lines = append(lines, string(e.Phase))
		case build.Kept:
			lines = append(lines, string(e.Phase)+" kept")
		case build.Noted:
			lines = append(lines, e.Text)
		case build.Advanced, build.Ended:
		}
	}
	return &lines
}
