package guest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

func gz(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestParseConfig(t *testing.T) {
	set, err := guest.ParseConfig(strings.NewReader(`#
# Linux/x86 4.19.0 Kernel Configuration
#
CONFIG_CLEANCACHE=y
# CONFIG_XEN_512GB is not set
CONFIG_XEN_TMEM=m
CONFIG_DEFAULT_HOSTNAME="a=b"
CONFIG_HZ=250
CONFIG_ODD=n`))
	want := map[string]string{"CLEANCACHE": "y", "XEN_TMEM": "m", "DEFAULT_HOSTNAME": `"a=b"`, "HZ": "250"}
	if diff := cmp.Diff(want, set); diff != "" || err != nil {
		t.Error(err, diff)
	}
	_, err = guest.ParseConfig(strings.NewReader("CONFIG_A=y\n\n<html>\n"))
	if err == nil || !strings.Contains(err.Error(), `line 3: "<html>"`) {
		t.Errorf("error %v", err)
	}
}

func TestReadConfigOrder(t *testing.T) {
	m := fstest.MapFS{}
	files := hostfs.FromFS(m)
	if _, err := guest.ReadConfig(files, "4.19.0", true); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("none: %v", err)
	}
	guesttest.Put(m, "/lib/modules/4.19.0/config", "CONFIG_A=y\n")
	for _, tt := range []struct{ put, text, want string }{
		{"/lib/modules/4.19.0/config", "CONFIG_A=y\n", "/lib/modules/4.19.0/config"},
		{"/boot/config-4.19.0", "CONFIG_B=y\n", "/boot/config-4.19.0"},
		{"/proc/config.gz", gz(t, "CONFIG_C=y\n"), "/proc/config.gz"},
	} {
		guesttest.Put(m, tt.put, tt.text)
		if c, err := guest.ReadConfig(files, "4.19.0", true); err != nil || c.Source != tt.want || len(c.Symbols) != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	if c, err := guest.ReadConfig(files, "4.19.0", false); err != nil || c.Source != "/boot/config-4.19.0" {
		t.Errorf("another kernel's: %+v, %v", c, err)
	}
}

func TestReadConfigDamaged(t *testing.T) {
	whole := gz(t, "CONFIG_A=y\n"+strings.Repeat("# a comment\n", 1000))
	for name, text := range map[string]string{
		"cut":        whole[:len(whole)/2],
		"no stream":  "\x1f\x8b",
		"a bomb":     gz(t, strings.Repeat("# a comment\n", 2<<20)),
		"a web page": "<!doctype html>",
		"long line":  "CONFIG_A=" + strings.Repeat("y", 2<<20),
	} {
		m := fstest.MapFS{}
		guesttest.Put(m, "/boot/config-4.19.0", text)
		_, err := guest.ReadConfig(hostfs.FromFS(m), "4.19.0", false)
		if err == nil || !strings.Contains(err.Error(), "read /boot/config-4.19.0: ") || cause.Of(err) != cause.Failed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := guest.ReadConfig(denied{}, "4.19.0", false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

// denied refuses everything.
type denied struct{}

func (denied) ReadFile(p string) ([]byte, error)  { return nil, refusal(p) }
func (denied) ReadDir(p string) ([]string, error) { return nil, refusal(p) }
func (denied) Readlink(p string) (string, error)  { return "", refusal(p) }
func (denied) Exists(p string) (bool, error)      { return false, refusal(p) }

func refusal(p string) error { return &fs.PathError{Op: "open", Path: p, Err: fs.ErrPermission} }

func TestReadDenied(t *testing.T) {
	s := guest.Read(denied{}, nil)
	if len(s.Gaps) != 10 {
		t.Errorf("%d gaps: %v", len(s.Gaps), s.Gaps)
	}
	for _, g := range s.Gaps {
		if g.Cause != cause.NeedsRoot {
			t.Errorf("%s: %s (%s)", g.What, g.Cause, g.Why)
		}
	}
}
