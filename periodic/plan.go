package periodic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// Machine is the system that reports periodically.
type Machine struct {
	// Files are read to plan, Root is written to; nil where nothing can be.
	Files hostfs.Files
	Root  *hostfs.Root
	Run   run.Func
	// Offline tells that the system does not run: no daemon is told.
	Offline bool
}

// refuse is a plan that is not made: something stands in the way.
func refuse(seen, why string, ways ...string) error {
	return &cause.RefusalError{Kind: cause.Blocked, Seen: seen, Why: why, Ways: ways}
}

// change is that of a file, or of a link, where Old and New are its target.
type change struct {
	edit.Change

	link bool
}

// Plan is what is to be changed.
type Plan struct {
	// Scheduler is the one that will start xtm; "" where none will.
	Scheduler Scheduler
	changes   []change
	// makes is a folder for reports that is missing.
	makes string
	// before and after the files change these commands run.
	before, after [][]string
	// leaves are files that running left behind.
	leaves []string
	// Reports is the folder of reports that was installed; what is in it stays.
	Reports string
}

// Done tells that there is nothing to do.
func (p Plan) Done() bool {
	return len(p.changes) == 0 && p.makes == "" && len(p.leaves) == 0 && len(p.before) == 0 && len(p.after) == 0
}

// Diff is what would be changed, in the unified format, and which commands run.
func (p Plan) Diff() string {
	files := make([]edit.Change, len(p.changes))
	for i, c := range p.changes {
		files[i] = c.Change
		if c.link {
			files[i].Old, files[i].New = linkText(c.Old), linkText(c.New)
		}
	}
	var b strings.Builder
	b.WriteString(edit.Diff(files))
	if p.makes != "" {
		fmt.Fprintf(&b, "make folder %s\n", p.makes)
	}
	for _, f := range p.leaves {
		fmt.Fprintf(&b, "remove %s\n", f)
	}
	for _, c := range slices.Concat(p.before, p.after) {
		fmt.Fprintf(&b, "run: %s\n", strings.Join(c, " "))
	}
	return b.String()
}

func linkText(target []byte) []byte {
	if target == nil {
		return nil
	}
	return append([]byte("link to "), append(target, '\n')...)
}

// PlanInstall finds out what the machine lacks of the periodic report.
func PlanInstall(ctx context.Context, m Machine, o Options) (Plan, error) {
	if err := o.Check(); err != nil {
		return Plan{}, err
	}
	at, err := timesOf(o.Every)
	if err != nil {
		return Plan{}, err
	}
	if inHome(o.Program) || strings.HasPrefix(o.Program, "/tmp/") || strings.HasPrefix(o.Program, "/var/tmp/") {
		return Plan{}, refuse("xtm runs from "+o.Program, "a service that root runs from there runs what whoever owns the folder puts there",
			"install -m 755 "+o.Program+" /usr/local/bin/xtm, and run that one")
	}
	scheduler, err := m.scheduler(o.Scheduler)
	if err == nil && len(o.MailTo) > 0 {
		err = m.hasSendmail()
	}
	if err != nil {
		return Plan{}, err
	}
	want := map[string][]byte{}
	if scheduler == Systemd {
		want[servicePath], want[timerPath] = []byte(service(o)), []byte(timerUnit(o, at))
		want[wantedPath] = []byte(timerPath)
	} else {
		want[cronPath] = []byte(crontab(o, at))
	}
	p, err := m.plan(want)
	if err != nil {
		return p, err
	}
	p.Scheduler = scheduler
	if o.Out != "" {
		found, err := m.Files.Exists(o.Out)
		if err != nil {
			return p, err
		}
		if !found {
			p.makes = o.Out
		}
	}
	if m.Offline {
		return p, nil
	}
	touches := p.touchesSystemd()
	if touches {
		p.after = append(p.after, []string{"systemctl", "daemon-reload"})
	}
	switch {
	case scheduler == Systemd && (touches || !m.active(ctx)):
		p.after = append(p.after, []string{"systemctl", "restart", timer})
	case scheduler == Cron && touches: // it was a timer before
		p.before = [][]string{{"systemctl", "stop", timer}}
	}
	return p, nil
}

// PlanRemove finds what was installed. What is not there needs no removing.
func PlanRemove(ctx context.Context, m Machine) (Plan, error) {
	p, err := m.plan(nil)
	if err != nil {
		return p, err
	}
	for _, c := range p.changes {
		if _, rest, ok := strings.Cut(string(c.Old), " --out "); ok {
			p.Reports = strings.Fields(rest)[0]
		}
	}
	for _, f := range []string{statePath, stampPath} {
		found, err := m.Files.Exists(f)
		if err != nil {
			return p, err
		}
		if found {
			p.leaves = append(p.leaves, f)
		}
	}
	if !m.Offline && p.touchesSystemd() {
		if m.active(ctx) {
			p.before = [][]string{{"systemctl", "stop", timer}}
		}
		p.after = [][]string{{"systemctl", "daemon-reload"}}
	}
	return p, nil
}

// plan compares the files of ours with what they are to be.
func (m Machine) plan(want map[string][]byte) (Plan, error) {
	var p Plan
	for _, name := range []string{servicePath, timerPath, wantedPath, cronPath} {
		c := change{edit.Change{Path: name, New: want[name]}, name == wantedPath}
		var err error
		switch c.Old, err = c.read(m.Files); {
		case err != nil:
			return p, err
		case !c.link && c.Old != nil && !bytes.HasPrefix(c.Old, []byte(mark)):
			return p, refuse(name+" is there and xtm did not write it", "it is somebody else's",
				"move it away, if it is not needed")
		case !edit.Same(c.Old, c.New):
			p.changes = append(p.changes, c)
		}
	}
	return p, nil
}

// read is what stands there now; nil where nothing does.
func (c change) read(files hostfs.Files) ([]byte, error) {
	if !c.link {
		return edit.Read(files, c.Path)
	}
	target, err := files.Readlink(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []byte(target), nil
}

func (p Plan) touchesSystemd() bool {
	for _, c := range p.changes {
		if path.Dir(c.Path) == path.Dir(servicePath) || c.link {
			return true
		}
	}
	return false
}

// scheduler finds the one that the machine has.
func (m Machine) scheduler(said Scheduler) (Scheduler, error) {
	for _, x := range []struct {
		scheduler Scheduler
		sign      []string
	}{
		// systemd's own test of whether it is what booted, sd_booted(3).
		{Systemd, []string{"/run/systemd/system"}},
		{Cron, []string{"/etc/cron.d"}},
	} {
		sign := x.sign
		if m.Offline && x.scheduler == Systemd {
			sign = []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"}
		}
		for _, s := range sign {
			found, err := m.Files.Exists(s)
			if err != nil {
				return "", err
			}
			if found && (said == "" || said == x.scheduler) {
				return x.scheduler, nil
			}
		}
	}
	switch said {
	case Systemd:
		return "", refuse("this machine does not run systemd", "no timer would start xtm",
			"with cron: --scheduler cron")
	case Cron:
		return "", refuse("there is no folder /etc/cron.d", "no cron that reads it is installed",
			"install cron", "with systemd: --scheduler systemd")
	}
	return "", refuse("this machine neither runs systemd nor has a folder /etc/cron.d", "there is nothing that starts xtm from time to time",
		"install cron", "have something else start: xtm periodic run")
}

// hasSendmail refuses to promise mails that nobody would take.
func (m Machine) hasSendmail() error {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"} {
		if found, err := m.Files.Exists(dir + "/sendmail"); found || err != nil {
			return err
		}
	}
	return refuse("this machine has no sendmail", "nothing would take the mail",
		"apt-get install dma (or msmtp-mta, nullmailer, postfix, exim4), and set it up", "keep reports instead: --out /var/log/xtm")
}

// active asks whether the timer runs. Where that cannot be told it does not:
// starting it once more does no harm.
func (m Machine) active(ctx context.Context) bool {
	r, err := m.Run(ctx, run.Cmd{Name: "systemctl", Args: []string{"is-active", "--quiet", timer}})
	return err == nil && r.ExitCode == 0
}
