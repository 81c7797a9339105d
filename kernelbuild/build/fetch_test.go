package build_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xtm/internal/needs"
	"xtm/internal/run"
	"xtm/kernelbuild/build"
)

// must runs a program of the test's own.
func must(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.Command(needs.Program(t, name), args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// tarball packs a tree as linux-source has it.
func tarball(t *testing.T, tree string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "linux-source-4.19.tar.xz")
	must(t, "", "tar", "-C", filepath.Dir(tree), "-cJf", path, filepath.Base(tree))
	return path
}

// sourceDeb packs a tarball as the package linux-source-4.19.
func sourceDeb(t *testing.T, tarball string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "p")
	write(t, dir+"/DEBIAN/control", "Package: linux-source-4.19\nVersion: 4.19.67-2\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: test\n")
	write(t, dir+"/usr/src/linux-source-4.19.tar.xz", read(t, tarball))
	path := filepath.Join(t.TempDir(), "linux-source-4.19_4.19.67-2_all.deb")
	must(t, "", "dpkg-deb", "-Znone", "--build", dir, path)
	return path
}

// sourcePackage packs a tree as a Debian source package and returns its folder.
func sourcePackage(t *testing.T, tree string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, "", "cp", "-a", tree, dir+"/linux")
	write(t, dir+"/linux/debian/control", "Source: linux\nMaintainer: x <x@localhost>\n\nPackage: x\nArchitecture: all\n")
	write(t, dir+"/linux/debian/changelog", "linux (4.19.67-2) unstable; urgency=low\n\n  * x\n\n -- x <x@localhost>  Mon, 01 Jan 2024 00:00:00 +0000\n")
	write(t, dir+"/linux/debian/rules", "#!/bin/sh\n")
	write(t, dir+"/linux/debian/source/format", "1.0\n")
	must(t, dir, "dpkg-source", "--build", "linux")
	if err := os.RemoveAll(dir + "/linux"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// apt plays apt-get: it lets "download" and "source" bring these files, and
// refuses where there are none.
func apt(t *testing.T, calls *[]string, deb string, source []string) func(run.Cmd) (run.Result, error) {
	t.Helper()
	return func(c run.Cmd) (run.Result, error) {
		*calls = append(*calls, strings.Join(c.Args[3:], " "))
		files := map[string][]string{"download": {deb}, "source": source}[c.Args[3]]
		if c.Args[3] != "update" && (len(files) == 0 || files[0] == "") {
			return run.Result{ExitCode: 100, Stderr: []byte("E: Failed to fetch http://deb.example.org/x  404  Not Found")}, nil
		}
		for _, f := range files {
			write(t, filepath.Join(c.Dir, filepath.Base(f)), read(t, f))
		}
		return run.Result{}, nil
	}
}

func TestEveryWayToTheSource(t *testing.T) {
	tree := fakeTree(t, "4.19", "67")
	tar := tarball(t, tree)
	deb := sourceDeb(t, tar)
	files, err := filepath.Glob(sourcePackage(t, tree) + "/linux_*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	dsc := files[slices.IndexFunc(files, func(f string) bool { return strings.HasSuffix(f, ".dsc") })]
	for name, way := range map[string]func(j *build.Job, calls *[]string){
		"source":       func(j *build.Job, _ *[]string) { j.Options.Source = tar },
		"a .dsc":       func(j *build.Job, _ *[]string) { j.Options.Source = dsc },
		"a .deb":       func(j *build.Job, _ *[]string) { j.Options.Source = deb },
		"linux-source": func(j *build.Job, calls *[]string) { j.Machine = builder(apt(t, calls, deb, nil)) },
		"deb-src":      func(j *build.Job, calls *[]string) { j.Machine = builder(apt(t, calls, "", files)) },
		"snapshot": func(j *build.Job, calls *[]string) {
			j.Machine = builder(apt(t, calls, "", nil))
			j.Options.SnapshotURL = snapshots(t, files, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			j := job(t, "")
			way(&j, &calls)
			r, err := j.Build(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if name != "a .dsc" && name != "a .deb" && r.Inputs.Route != name {
				t.Errorf("the record says %s", r.Inputs.Route)
			}
			if _, err := os.Stat(j.Dir + "/src/linux/debian/rules"); err == nil {
				t.Error("the folder debian is where packing would overwrite it")
			}
		})
	}
}

// snapshots is an archive of old versions; the file named broken is sent with
// another byte, as what its own list says.
func snapshots(t *testing.T, files []string, broken string) string {
	t.Helper()
	type info struct {
		Name string `json:"name"`
		Size int    `json:"size"`
	}
	var result []map[string]string
	infos, bodies := map[string][]info{}, map[string]string{}
	busy := true
	for _, f := range files {
		body := read(t, f)
		if broken != "" && strings.HasSuffix(f, broken) {
			body += "x"
		}
		sum := sha1.Sum([]byte(body))
		h := hex.EncodeToString(sum[:])
		result = append(result, map[string]string{"hash": h})
		infos[h] = []info{{filepath.Base(f), len(body)}}
		bodies["/file/"+h] = body
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case busy:
			busy = false // the archive limits how much anyone may ask for
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Path == "/mr/package/linux/4.19.67-2/srcfiles" && r.URL.Query().Get("fileinfo") == "1":
			_ = json.NewEncoder(w).Encode(map[string]any{"result": result, "fileinfo": infos, "package": "linux"})
		case bodies[r.URL.Path] != "":
			_, _ = fmt.Fprint(w, bodies[r.URL.Path])
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestNoWayToTheSource: all that was tried is in the message, with the addresses.
func TestNoWayToTheSource(t *testing.T) {
	j := job(t, "")
	_, err := j.Build(t.Context())
	for _, want := range []string{
		"linux-source: linux-source-4.19=4.19.67-2: ", "deb-src: linux=4.19.67-2: ", "http://deb.example.org/debian/dists/buster",
		"Temporary failure resolving", "snapshot: no archive of old versions was named",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestSnapshotMismatch(t *testing.T) {
	files, err := filepath.Glob(sourcePackage(t, fakeTree(t, "4.19", "67")) + "/linux_*")
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	j := job(t, "")
	j.Machine = builder(apt(t, &calls, "", nil))
	j.Options.SnapshotURL = snapshots(t, files, ".tar.gz")
	if _, err = j.Build(t.Context()); err == nil || !strings.Contains(err.Error(), "against the .dsc: the checksum differs") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(j.Dir + "/fetch/*.tar.gz"); len(left) > 0 {
		t.Errorf("left %s", left)
	}
}

// TestHostileTarball has a name that climbs out of the folder.
func TestHostileTarball(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/evil", "x")
	write(t, dir+"/linux/Makefile", "VERSION = 4\nPATCHLEVEL = 19\n")
	path := dir + "/hostile.tar"
	must(t, dir, "tar", "-cPf", path, "--transform", "s#^evil#../../escaped#", "linux", "evil")
	j := job(t, path)
	if _, err := j.Build(t.Context()); err == nil {
		t.Error("it was taken")
	}
	if _, err := os.Stat(filepath.Dir(j.Dir) + "/escaped"); err == nil {
		t.Error("a file was written outside")
	}
}
