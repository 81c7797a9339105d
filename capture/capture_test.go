package capture_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/capture"
	"xtm/capture/importtest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/xl"
)

// world is a machine made of tables.
type world struct {
	files map[string]any    // string: content, []string: listing, error
	links map[string]string // targets
	runs  map[string][]ran  // by command line, one after the other
	asked []string
}

type ran struct {
	res run.Result
	err error
}

func (w *world) seams() capture.Seams { return capture.Seams{Files: w, Run: w.run} }

func (w *world) run(_ context.Context, c run.Cmd) (run.Result, error) {
	w.asked = append(w.asked, c.String())
	rest := w.runs[c.String()]
	if len(rest) == 0 {
		return run.Result{ExitCode: -1}, fmt.Errorf("run %s: not installed or not in PATH: %w", c, cause.ErrNoData)
	}
	if len(rest) > 1 {
		w.runs[c.String()] = rest[1:]
	}
	return rest[0].res, rest[0].err
}

func (w *world) get(op, p string) (any, error) {
	w.asked = append(w.asked, op+" "+p)
	v, ok := w.files[p]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: p, Err: syscall.ENOENT}
	}
	if err, bad := v.(error); bad {
		return nil, err
	}
	return v, nil
}

func (w *world) ReadFile(p string) ([]byte, error) {
	v, err := w.get("open", p)
	if s, ok := v.(string); ok {
		return []byte(s), nil
	}
	if err == nil {
		err = &fs.PathError{Op: "read", Path: p, Err: syscall.EISDIR}
	}
	return nil, err
}

func (w *world) ReadDir(p string) ([]string, error) {
	v, err := w.get("open", p)
	if names, ok := v.([]string); ok {
		return names, nil
	}
	if err == nil {
		err = &fs.PathError{Op: "readdirent", Path: p, Err: syscall.ENOTDIR}
	}
	return nil, err
}

func (w *world) Readlink(p string) (string, error) {
	if t, ok := w.links[p]; ok {
		return t, nil
	}
	return "", &fs.PathError{Op: "readlink", Path: p, Err: syscall.EINVAL}
}

func (w *world) Exists(p string) (bool, error) {
	switch _, err := w.get("stat", p); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// reopened writes a capture in both forms and opens it again; the two must be
// equal.
func reopened(t *testing.T, c *capture.Capture) *capture.Capture {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c")
	var opened []*capture.Capture
	for _, name := range []string{dir, dir + ".tar.gz"} {
		if err := c.Write(name); err != nil {
			t.Fatal(err)
		}
		o, err := capture.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, o)
	}
	if diff := capture.Diff(opened[0], opened[1]); diff != "" {
		t.Errorf("folder (-) and packed file (+) differ:\n%s", diff)
	}
	if diff := capture.Diff(c, opened[0]); diff != "" {
		t.Errorf("written (-) and opened (+) differ:\n%s", diff)
	}
	return opened[0]
}

// What was seen while recording is seen again, errors with their kind and text.
func TestReplayGivesWhatWasRecorded(t *testing.T) {
	start := time.Date(2026, 11, 22, 14, 35, 0, 123456789, time.FixedZone("", 3600))
	w := &world{
		files: map[string]any{
			"/proc/version": "Linux\n", "/empty": "", "/bytes": "\x00\xff\n", "/dir": []string{"a", "b\tc"},
			"/no":   &fs.PathError{Op: "open", Path: "/no", Err: syscall.EACCES},
			"/perm": &fs.PathError{Op: "open", Path: "/perm", Err: syscall.EPERM},
			"/pmu":  &fs.PathError{Op: "read", Path: "/pmu", Err: syscall.EOPNOTSUPP},
			"/big":  fmt.Errorf("read /big: more than 5 bytes: %w", hostfs.ErrTooLarge),
			"/odd":  errors.New("something else"),
		},
		links: map[string]string{"/link": "../dir"},
		runs: map[string][]ran{
			"xl list": {
				{res: run.Result{Stdout: []byte("one\n"), Start: start, Duration: 150 * time.Millisecond}},
				{res: run.Result{Stdout: []byte("two\n"), Stderr: []byte("hm\n"), ExitCode: 3, Start: start.Add(time.Second), Duration: time.Microsecond}},
			},
			"xl slow":    {{err: fmt.Errorf("run xl slow: after 1m0s: %w", context.DeadlineExceeded)}},
			"xl mighty":  {{err: fmt.Errorf("run xl mighty: more than 9 bytes: %w", run.ErrTooMuchOutput), res: run.Result{Stdout: []byte("123456789")}}},
			"/sbin/gone": {{err: &fs.PathError{Op: "fork/exec", Path: "/sbin/gone", Err: syscall.ENOENT}}},
			"xl 'a\tb'":  {{}},
		},
	}
	type seen struct {
		Value any
		Text  string
		Is    []bool
	}
	observe := func(v any, err error) seen {
		s := seen{Value: v}
		if err != nil {
			s.Text = err.Error()
		}
		for _, e := range []error{
			fs.ErrNotExist, fs.ErrPermission, cause.ErrNoData, context.DeadlineExceeded, run.ErrTooMuchOutput,
			hostfs.ErrTooLarge, syscall.EOPNOTSUPP,
		} {
			s.Is = append(s.Is, errors.Is(err, e))
		}
		return s
	}
	look := func(s capture.Seams) map[string]seen {
		all := map[string]seen{}
		for _, p := range []string{
			"/proc/version", "/proc//version/", "/empty", "/bytes", "/dir", "/no", "/perm", "/pmu", "/big", "/odd", "/absent", "/link", "/dir/x",
		} {
			b, err := s.Files.ReadFile(p)
			all["read "+p] = observe(string(b), err)
			names, err := s.Files.ReadDir(p)
			all["list "+p] = observe(names, err)
			target, err := s.Files.Readlink(p)
			all["link "+p] = observe(target, err)
			exists, err := s.Files.Exists(p)
			all["exists "+p] = observe(exists, err)
		}
		for _, argv := range [][]string{{"xl", "list"}, {"xl", "slow"}, {"xl", "mighty"}, {"/sbin/gone"}, {"xl", "a\tb"}, {"xl", "list"}, {"not-there"}} {
			r, err := s.Run(t.Context(), run.Cmd{Name: argv[0], Args: argv[1:]})
			all[fmt.Sprintf("run %q %d", argv, len(all))] = observe([]any{string(r.Stdout), string(r.Stderr), r.ExitCode, r.Start, r.Duration}, err)
		}
		return all
	}
	rec := capture.Record(w.seams(), capture.Meta{XTM: "test", Role: capture.Host, Begin: start, Recorded: "a test"})
	live := look(rec.Seams())
	c := reopened(t, rec.Capture(start.Add(time.Minute), capture.Options{}))
	if diff := cmp.Diff(live, look(c.Seams())); diff != "" {
		t.Errorf("recorded (-) and replayed (+) differ:\n%s", diff)
	}
	want := capture.Meta{Schema: capture.Schema, XTM: "test", Role: capture.Host, Recorded: "a test", Begin: start.UTC(), End: start.Add(time.Minute).UTC()}
	if diff := cmp.Diff(want, c.Meta); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
}

func TestRunsAreReplayedInOrder(t *testing.T) {
	w := &world{runs: map[string][]ran{"xl list": {{res: run.Result{Stdout: []byte("1")}}, {res: run.Result{Stdout: []byte("2")}}}}}
	rec := capture.Record(w.seams(), capture.Meta{})
	list := run.Cmd{Name: "xl", Args: []string{"list"}}
	for range 2 {
		if _, err := rec.Seams().Run(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	c := rec.Capture(time.Time{}, capture.Options{})
	for range 2 { // each call of Seams starts again
		s := c.Seams()
		for _, want := range []string{"1", "2", "2"} {
			if r, err := s.Run(t.Context(), list); err != nil || string(r.Stdout) != want {
				t.Errorf("got %q, %v, want %q", r.Stdout, err, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Seams().Run(ctx, list); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	var stream strings.Builder
	if _, err := c.Seams().Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"list"}, Stream: &stream}); err != nil || stream.String() != "1" {
		t.Errorf("streamed %q, %v", stream.String(), err)
	}
}

// A capture is one moment: the second look costs nothing and sees the same.
func TestRecorderLooksOnce(t *testing.T) {
	w := &world{files: map[string]any{"/f": "old"}}
	rec := capture.Record(w.seams(), capture.Meta{})
	for range 2 {
		if b, err := rec.Seams().Files.ReadFile("/f"); err != nil || string(b) != "old" {
			t.Fatalf("%q, %v", b, err)
		}
		w.files["/f"] = "new"
	}
	if diff := cmp.Diff([]string{"open /f"}, w.asked); diff != "" {
		t.Error(diff)
	}
}

// What was not asked while recording is absent with its name, unless another
// answer implies it.
func TestNotInThisCapture(t *testing.T) {
	w := &world{files: map[string]any{"/d": []string{"f"}, "/d/f": "x", "/e": "y"}}
	rec := capture.Record(w.seams(), capture.Meta{})
	f := rec.Seams().Files
	for _, p := range []string{"/d", "/gone"} {
		_, _ = f.ReadDir(p)
	}
	_, _ = f.ReadFile("/d/f")
	_, _ = f.Exists("/never")
	s := rec.Capture(time.Time{}, capture.Options{}).Seams()
	for _, p := range []string{"/d/other", "/gone/x/y", "/never", "/never/x"} {
		if _, err := s.Files.ReadFile(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was proved absent: got %v", p, err)
		}
		if ok, err := s.Files.Exists(p); ok || err != nil {
			t.Errorf("%s was proved absent: got %v, %v", p, ok, err)
		}
	}
	if ok, err := s.Files.Exists("/d/f"); !ok || err != nil {
		t.Errorf("/d/f was read: got %v, %v", ok, err)
	}
	for _, p := range []string{"/e", "/d/f/under", "/dd"} {
		_, err := s.Files.ReadFile(p)
		if want := "not in this capture: " + p + ": no data"; !errors.Is(err, cause.ErrNoData) || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	_, err := s.Run(t.Context(), run.Cmd{Name: "xl", Args: []string{"uptime"}})
	if want := "not in this capture: xl uptime: no data"; !errors.Is(err, cause.ErrNoData) || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// The real source sees the same through the recorder, from the capture, and
// from the file that it was written to.
func TestSourceOnEveryPhase(t *testing.T) {
	for _, name := range importtest.Phases() {
		t.Run(name, func(t *testing.T) {
			phase := importtest.Phase(t, name)
			live := snapshot(t, phase.Seams())
			if len(live.Domains) < 5 {
				t.Fatalf("%d domains", len(live.Domains))
			}
			rec := capture.Record(phase.Seams(), phase.Meta)
			recorded := snapshot(t, rec.Seams())
			if err := rec.Extras(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := reopened(t, rec.Capture(phase.Meta.End, capture.Options{}))
			for what, snap := range map[string]xen.Snapshot{"while recording": recorded, "from the capture": snapshot(t, c.Seams())} {
				if diff := cmp.Diff(live, snap, options); diff != "" {
					t.Errorf("live (-) and %s (+) differ:\n%s", what, diff)
				}
			}
		})
	}
}

// options compare absent values too: opt.Value keeps its fields to itself.
var options = cmp.Exporter(func(reflect.Type) bool { return true })

func snapshot(tb testing.TB, s capture.Seams) xen.Snapshot {
	tb.Helper()
	snap, err := xl.New(s.Run, s.Files).Snapshot(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return snap
}
