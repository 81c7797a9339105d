// Package periodic has a host reported on again and again, without anybody who
// looks: it installs a systemd timer or a cron job that runs xtm, and does what
// that run does with a report: it compares it with the one before, keeps it and
// mails it.
package periodic

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Scheduler starts xtm from time to time.
type Scheduler string

// The schedulers.
const (
	Systemd Scheduler = "systemd"
	Cron    Scheduler = "cron"
)

// The defaults of Options.
const (
	DefaultEvery = time.Hour
	DefaultKeep  = 168 // a week of hours
)

// Options are what a periodic report is to be.
type Options struct {
	Every time.Duration
	// MailTo get the report through the local sendmail; none is no mail.
	MailTo []string
	// Out is the folder that reports are kept in, Keep how many; "" is none.
	Out  string
	Keep int
	// Program is xtm's own path.
	Program string
	// Scheduler is "" for the one that the machine has.
	Scheduler Scheduler
}

// Check refuses what cannot be carried out as it stands.
func (o Options) Check() error {
	if _, err := timesOf(o.Every); err != nil {
		return err
	}
	for _, a := range o.MailTo {
		if err := checkAddress(a); err != nil {
			return err
		}
	}
	switch {
	case o.Keep < 1:
		return fmt.Errorf("keep %d reports: at least 1 is kept", o.Keep)
	case o.Out != "" && (!path.IsAbs(o.Out) || path.Clean(o.Out) != o.Out || o.Out == "/"):
		return fmt.Errorf("%q is not the plain, whole path of a folder", o.Out)
	case !plain(o.Out) || !plain(o.Program):
		return fmt.Errorf("%q: only letters, digits and _@+=:,./- may be in a path that stands in a unit or in a crontab", o.Out+o.Program)
	case o.Scheduler != "" && o.Scheduler != Systemd && o.Scheduler != Cron:
		return fmt.Errorf("no scheduler is called %q", o.Scheduler)
	}
	return nil
}

// checkAddress takes an address as sendmail's argument: a local name or
// name@domain, without what a shell, a unit or a crontab would act upon.
func checkAddress(a string) error {
	local, domain, at := strings.Cut(a, "@")
	if local == "" || at && domain == "" || strings.HasPrefix(a, "-") || strings.Contains(domain, "@") || len(a) > 254 || !plain(a) {
		return fmt.Errorf("%.80q is no mail address: root, or name@domain", a)
	}
	return nil
}

// plain tells whether a word means itself in sh, in a unit and in a crontab,
// where "%" would be a line end.
func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@+=:,./-", r)
	}) < 0
}

// arguments are those of the run that is installed.
func (o Options) arguments() []string {
	args := []string{o.Program, "periodic", "run"}
	for _, a := range o.MailTo {
		args = append(args, "--mail-to", a)
	}
	if o.Out != "" {
		args = append(args, "--out", o.Out)
		if o.Keep != DefaultKeep {
			args = append(args, "--keep", strconv.Itoa(o.Keep))
		}
	}
	return args
}

// times are when a run starts, for each scheduler.
type times struct {
	calendar string // OnCalendar=
	cron     string // the five fields
}

// minute is when in the hour a run starts: not on the hour, when all else does.
const minute = 7

// timesOf finds the times for a pace that both a timer and a crontab can keep:
// one that divides an hour or a day, a day or a week.
func timesOf(every time.Duration) (times, error) {
	const day = 24 * time.Hour
	minutes, hours := int(every/time.Minute), int(every/time.Hour)
	switch {
	case every == 7*day:
		return times{fmt.Sprintf("Mon *-*-* 06:%02d:00", minute), fmt.Sprintf("%d 6 * * 1", minute)}, nil
	case every == day:
		return times{fmt.Sprintf("*-*-* 06:%02d:00", minute), fmt.Sprintf("%d 6 * * *", minute)}, nil
	case every == time.Hour:
		return times{fmt.Sprintf("*-*-* *:%02d:00", minute), fmt.Sprintf("%d * * * *", minute)}, nil
	case every > time.Hour && every < day && day%every == 0 && every%time.Hour == 0:
		return times{fmt.Sprintf("*-*-* 00/%d:%02d:00", hours, minute), fmt.Sprintf("%d */%d * * *", minute, hours)}, nil
	case every >= time.Minute && every < time.Hour && time.Hour%every == 0 && every%time.Minute == 0:
		return times{fmt.Sprintf("*-*-* *:00/%d:00", minutes), fmt.Sprintf("*/%d * * * *", minutes)}, nil
	}
	return times{}, fmt.Errorf("every %s is no pace that a crontab can keep: %s", every, strings.Join(paces(), ", "))
}

// paces are the times that can be kept.
func paces() []string {
	return strings.Fields("1m 2m 3m 4m 5m 6m 10m 12m 15m 20m 30m 1h 2h 3h 4h 6h 8h 12h 24h 168h")
}
