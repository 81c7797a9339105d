package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/run"
)

// kernelConfig is what a 4.19 with tmem has, and a Dom0 needs.
const kernelConfig = "CONFIG_RD_GZIP=y\nCONFIG_XEN=y\nCONFIG_XEN_DOM0=y\nCONFIG_SWAP=y\nCONFIG_CLEANCACHE=y\nCONFIG_FRONTSWAP=y\nCONFIG_XEN_TMEM=m\n"

// build makes packages and their record, and returns the packages: the image,
// the headers, linux-libc-dev.
func build(t *testing.T, release, version, config string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	mkdebs, err := filepath.Abs("testdata/mkdebs")
	if err != nil {
		t.Fatal(err)
	}
	c := run.Cmd{Name: mkdebs, Args: []string{dir, release, version}, Timeout: time.Minute}
	if _, err := run.New(os.Environ()).Checked(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range []string{"linux-image-" + release, "linux-headers-" + release, "linux-libc-dev"} {
		out = append(out, filepath.Join(dir, name+"_"+version+"_amd64.deb"))
	}
	return out
}

// installAll does what the command does, without its questions.
func installAll(ctx context.Context, m Machine, paths []string, o Options) (Plan, Outcome, error) {
	if _, err := Recover(ctx, m); err != nil {
		return Plan{}, Outcome{}, err
	}
	debs, err := ReadDebs(ctx, m.Run, paths, false)
	if err != nil {
		return Plan{}, Outcome{}, err
	}
	p, err := PlanInstall(ctx, m, debs, o)
	if err != nil || p.Done() {
		return p, Outcome{InDom0: p.InDom0(m)}, err
	}
	out, err := Install(ctx, m, p)
	return p, out, err
}

func removeOne(ctx context.Context, m Machine, release string) error {
	if removed, err := Recover(ctx, m); err != nil || removed == release {
		return err
	}
	r, err := PlanRemove(m, release, "")
	if err != nil {
		return err
	}
	_, err = Remove(ctx, m, r)
	return err
}

func confirmIt(ctx context.Context, m Machine) error {
	if _, err := Recover(ctx, m); err != nil {
		return err
	}
	c, err := PlanConfirm(m, "", "")
	if err != nil || c.Done() {
		return err
	}
	_, err = Confirm(ctx, m, c)
	return err
}

// lines joins a list of kernels, a line each: release, status, and what is true.
func lines(l List) string {
	var b strings.Builder
	for _, k := range l.Kernels {
		fmt.Fprintf(&b, "%s %s", k.Release, k.Status)
		for _, f := range []struct {
			name string
			is   bool
		}{
			{"running", k.Running.Or(false)},
			{"default", k.Default.Or(false)},
			{"next", k.Next.Or(false)},
			{"held", k.Held},
			{"own", k.Own},
			{"confirmed", k.Confirmed},
		} {
			if f.is {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func itoa(n int64) string { return fmt.Sprint(n) }
