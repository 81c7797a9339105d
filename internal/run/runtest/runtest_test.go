package runtest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
)

func TestFake(t *testing.T) {
	begin := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	f := runtest.New(begin).Lacks("xentop").
		On("xl info", runtest.Answer{Stdout: "host : h\n", Takes: 2 * time.Second}).
		On("xl list", runtest.Answer{Stderr: "no\n", ExitCode: 1}).
		Else(func(c run.Cmd) (runtest.Answer, bool) { return runtest.Answer{Stdout: "else"}, c.Name == "xenstore-ls" })
	var _ run.Func = f.Run
	var stream bytes.Buffer
	r, err := f.Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"info"}, Stream: &stream})
	if err != nil || string(r.Stdout) != "host : h\n" || stream.String() != "host : h\n" || r.Start != begin || r.Duration != 2*time.Second {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = f.Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"list"}})
	if err != nil || r.ExitCode != 1 || r.Start != begin.Add(2*time.Second) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = f.Run(t.Context(), run.Cmd{Name: "xenstore-ls"}); err != nil || string(r.Stdout) != "else" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err = f.Run(t.Context(), run.Cmd{Name: "xentop"}); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("a missing program: %v", err)
	}
	if _, err = f.Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"dmesg"}}); err == nil || !strings.Contains(err.Error(), `"xl dmesg"`) {
		t.Errorf("unscripted: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = f.Run(ctx, run.Cmd{Name: "xl", Args: []string{"info"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	want := []string{"xl info", "xl list", "xenstore-ls", "xentop", "xl dmesg", "xl info"}
	if !slices.Equal(f.Calls(), want) {
		t.Errorf("calls %q", f.Calls())
	}
}
