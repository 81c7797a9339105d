package periodic

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
)

// machine is a running system with these folders, and what systemctl was asked.
func machine(t *testing.T, folders ...string) (Machine, *runtest.Fake) {
	t.Helper()
	root := hostfs.Root(t.TempDir())
	for _, f := range append(folders, "/var/lib") {
		if err := os.MkdirAll(filepath.Join(string(root), f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	active := false
	systemctl := runtest.New(time.Time{}).Else(func(c run.Cmd) (runtest.Answer, bool) {
		switch {
		case c.Name != "systemctl":
			return runtest.Answer{}, false
		case c.Args[0] == "is-active" && !active:
			return runtest.Answer{ExitCode: 3}, true
		case c.Args[0] == "restart":
			active = true
		case c.Args[0] == "stop":
			active = false
		}
		return runtest.Answer{}, true
	})
	return Machine{Files: root, Root: &root, Run: systemctl.Run}, systemctl
}

var withSystemd = []string{"/etc/systemd/system/timers.target.wants", "/run/systemd/system", "/etc/cron.d"}

// tree is all that is in a root: paths with modes and contents.
func tree(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(string(root), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			text, err = os.Readlink(p)
		case info.Mode().IsRegular():
			var b []byte
			b, err = os.ReadFile(p)
			text = string(b)
		}
		out[strings.TrimPrefix(p, string(root))] = info.Mode().String() + " " + text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func options() Options {
	return Options{Every: time.Hour, Keep: DefaultKeep, Program: "/usr/bin/xtm"}
}

func install(t *testing.T, m Machine, o Options) Plan {
	t.Helper()
	p, err := PlanInstall(t.Context(), m, o)
	if err == nil {
		err = Apply(t.Context(), m, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestUndoneExactly: installed twice it is the same, and removed nothing is left.
func TestUndoneExactly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		folders []string
		change  func(*Options)
		calls   string
	}{
		{
			"timer", withSystemd, func(*Options) {},
			"systemctl daemon-reload, systemctl restart xtm-periodic.timer, systemctl is-active --quiet xtm-periodic.timer, " +
				"systemctl is-active --quiet xtm-periodic.timer, systemctl stop xtm-periodic.timer, systemctl daemon-reload",
		},
		{
			"timer, no wants folder",
			[]string{"/etc/systemd/system", "/run/systemd/system"},
			func(o *Options) { o.MailTo, o.Every = []string{"root"}, 24*time.Hour },
			"systemctl daemon-reload, systemctl restart xtm-periodic.timer, systemctl is-active --quiet xtm-periodic.timer, " +
				"systemctl is-active --quiet xtm-periodic.timer, systemctl stop xtm-periodic.timer, systemctl daemon-reload",
		},
		{"cron", []string{"/etc/cron.d"}, func(o *Options) { o.Out = "/srv" }, ""},
		{"cron by choice, a folder", withSystemd, func(o *Options) { o.Scheduler, o.Out = Cron, "/var/lib/reports" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, systemctl := machine(t, append(tt.folders, "/srv")...)
			sendmail(t, *m.Root)
			if tt.name == "timer" { // as on any machine, there is another one
				if err := os.Symlink("/lib/systemd/system/fstrim.timer", filepath.Join(string(*m.Root), withSystemd[0], "fstrim.timer")); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, *m.Root)
			if tt.name == "cron" { // /srv, which is empty and was ours to use, must stay
				if err := os.WriteFile(filepath.Join(string(*m.Root), "srv/else"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				before = tree(t, *m.Root)
			}
			o := options()
			tt.change(&o)
			if p := install(t, m, o); p.Diff() == "" {
				t.Fatal("nothing to install")
			}
			installed := tree(t, *m.Root)
			if cmp.Equal(before, installed) {
				t.Fatal("nothing was installed")
			}
			if p := install(t, m, o); !p.Done() {
				t.Errorf("a second time there is to do:\n%s", p.Diff())
			}
			if diff := cmp.Diff(installed, tree(t, *m.Root)); diff != "" {
				t.Errorf("a second time:\n%s", diff)
			}
			p, err := PlanRemove(t.Context(), m)
			if err == nil {
				err = Apply(t.Context(), m, p)
			}
			if diff := cmp.Diff(before, tree(t, *m.Root)); diff != "" || err != nil {
				t.Errorf("removed: %v\n%s", err, diff)
			}
			if p, err := PlanRemove(t.Context(), m); err != nil || !p.Done() {
				t.Errorf("removed twice: %v, %s", err, p.Diff())
			}
			if calls := strings.Join(systemctl.Calls(), ", "); calls != tt.calls {
				t.Errorf("calls %s", calls)
			}
		})
	}
}

// sendmail puts one there.
func sendmail(t *testing.T, root hostfs.Root) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(string(root), "usr/sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(root), "usr/sbin/sendmail"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestSwitches: another pace changes the timer, another scheduler takes the
// first one away, and a timer that somebody stopped is started again.
func TestSwitches(t *testing.T) {
	m, systemctl := machine(t, withSystemd...)
	install(t, m, options())
	o := options()
	o.Every = 6 * time.Hour
	if p := install(t, m, o); !strings.Contains(p.Diff(), "+OnCalendar=*-*-* 00/6:07:00") || strings.Contains(p.Diff(), ".service") {
		t.Errorf("another pace:\n%s", p.Diff())
	}
	if _, err := systemctl.Run(t.Context(), run.Cmd{Name: "systemctl", Args: []string{"stop", timer}}); err != nil {
		t.Fatal(err)
	}
	if p := install(t, m, o); p.Diff() != "run: systemctl restart xtm-periodic.timer\n" {
		t.Errorf("a stopped timer: %q", p.Diff())
	}
	o.Scheduler = Cron
	if p := install(t, m, o); !strings.Contains(p.Diff(), "run: systemctl stop xtm-periodic.timer\nrun: systemctl daemon-reload\n") {
		t.Errorf("another scheduler:\n%s", p.Diff())
	}
	for path, want := range map[string]bool{servicePath: false, timerPath: false, cronPath: true} {
		if found, err := m.Root.Exists(path); found != want || err != nil {
			t.Errorf("%s is there: %v, %v", path, found, err)
		}
	}
	if _, err := m.Root.Readlink(wantedPath); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is there: %v", err)
	}
}

// TestRestored: when systemctl fails everything is as before.
func TestRestored(t *testing.T) {
	for _, fails := range []string{"systemctl daemon-reload", "systemctl restart xtm-periodic.timer"} {
		m, _ := machine(t, withSystemd...)
		install(t, m, options())
		before := tree(t, *m.Root)
		o := options()
		o.Every, o.Out = 30*time.Minute, "/var/reports"
		times := 0
		m.Run = runtest.New(time.Time{}).Else(func(c run.Cmd) (runtest.Answer, bool) {
			if c.String() == fails {
				times++
				return runtest.Answer{ExitCode: 1, Stderr: "no bus"}, true
			}
			return runtest.Answer{}, true
		}).Run
		p, err := PlanInstall(t.Context(), m, o)
		if err != nil {
			t.Fatal(err)
		}
		err = Apply(t.Context(), m, p)
		if err == nil || !strings.Contains(err.Error(), "no bus") || times == 0 {
			t.Errorf("%s fails: %v", fails, err)
		}
		if diff := cmp.Diff(before, tree(t, *m.Root)); diff != "" {
			t.Errorf("%s fails:\n%s", fails, diff)
		}
	}
}

// TestRefusals: what stands in the way is named, and nothing is written.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name    string
		folders []string
		change  func(*Options)
		want    string
	}{
		{"nothing starts it", nil, func(*Options) {}, "neither runs systemd"},
		{"no systemd", []string{"/etc/cron.d"}, func(o *Options) { o.Scheduler = Systemd }, "does not run systemd"},
		{"no cron", []string{"/run/systemd/system"}, func(o *Options) { o.Scheduler = Cron }, "/etc/cron.d"},
		{"a program of somebody's", withSystemd, func(o *Options) { o.Program = "/home/me/xtm" }, "/home/me/xtm"},
		{"no sendmail", withSystemd, func(o *Options) { o.MailTo = []string{"root"} }, "sendmail"},
		{"a pace", withSystemd, func(o *Options) { o.Every = 7 * time.Minute }, "every 7m0s"},
		{"an address", withSystemd, func(o *Options) { o.MailTo = []string{"-oQ/tmp"} }, "-oQ/tmp"},
		{"a folder", withSystemd, func(o *Options) { o.Out = "/srv/100%" }, "/srv/100%"},
	} {
		m, _ := machine(t, tt.folders...)
		before := tree(t, *m.Root)
		o := options()
		tt.change(&o)
		if _, err := PlanInstall(t.Context(), m, o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(before, tree(t, *m.Root)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	m, _ := machine(t, withSystemd...)
	if err := os.WriteFile(filepath.Join(string(*m.Root), cronPath), []byte("0 * * * * root mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := PlanRemove(t.Context(), m); err == nil || !strings.Contains(err.Error(), "xtm did not write it") {
		t.Errorf("somebody else's file: %v", err)
	}
}

// TestEdited: a file that changed after it was shown is not overwritten.
func TestEdited(t *testing.T) {
	m, _ := machine(t, withSystemd...)
	p, err := PlanInstall(t.Context(), m, options())
	if err != nil {
		t.Fatal(err)
	}
	install(t, m, Options{Every: 15 * time.Minute, Keep: 1, Program: "/usr/bin/xtm"})
	before := tree(t, *m.Root)
	if err := Apply(context.Background(), m, p); !errors.Is(err, edit.ErrChanged) {
		t.Errorf("applied over another: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, *m.Root)); diff != "" {
		t.Error(diff)
	}
}

// TestPlainWords: no option that is accepted has a character that sh, systemd
// or cron would act upon.
func TestPlainWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options()
		o.MailTo, o.Out = []string{rapid.String().Draw(t, "address")}, "/"+rapid.String().Draw(t, "folder")
		if o.Check() != nil {
			return
		}
		for _, line := range []string{strings.Join(o.arguments(), " "), crontab(o, times{cron: "7 * * * *"})} {
			if strings.ContainsAny(strings.TrimSuffix(line, " >/dev/null\n"), "%$'\"\\;|<>(){}[]!~#") && !strings.HasPrefix(line, mark) {
				t.Fatalf("%q", line)
			}
		}
		if strings.HasPrefix(o.MailTo[0], "-") {
			t.Fatalf("%q", o.MailTo[0])
		}
	})
}
