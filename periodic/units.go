package periodic

import (
	"fmt"
	"strings"
	"time"
)

// The files that are installed.
const (
	servicePath = "/etc/systemd/system/xtm-periodic.service"
	timerPath   = "/etc/systemd/system/xtm-periodic.timer"
	wantedPath  = "/etc/systemd/system/timers.target.wants/xtm-periodic.timer"
	cronPath    = "/etc/cron.d/xtm-periodic"
	timer       = "xtm-periodic.timer"
	// stampPath is where systemd remembers a Persistent timer's last run.
	stampPath = "/var/lib/systemd/timers/stamp-xtm-periodic.timer"
)

// mark is the first line of each file of ours.
const mark = "# Written by `xtm periodic install`; `xtm periodic remove` takes it away.\n"

// service is the unit that runs once. Xen takes hypercalls from who can open
// its device, so that of root's capabilities hardly one is needed.
func service(o Options) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(mark)
	line("[Unit]")
	line("Description=Report on this Xen host's memory overcommit")
	line("ConditionFileIsExecutable=%s", o.Program)
	line("After=xenstored.service")
	line("")
	line("[Service]")
	line("Type=oneshot")
	line("ExecStart=%s", strings.Join(o.arguments(), " "))
	line("# 4: this boot is not Xen's. The timer goes on.")
	line("SuccessExitStatus=4")
	line("TimeoutStartSec=10min")
	line("Nice=10")
	line("UMask=0077")
	line("StateDirectory=xtm")
	line("StateDirectoryMode=0700")
	line("")
	if len(o.MailTo) > 0 {
		line("# sendmail runs in here: it changes its user, writes to its spool, may deliver")
		line("# at once, and goes on when xtm has ended.")
		line("KillMode=process")
		line("ProtectSystem=full")
		line("ProtectHome=read-only")
		line("CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_SETUID CAP_SETGID CAP_KILL CAP_IPC_LOCK")
		line("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK")
		line("SystemCallFilter=@system-service")
	} else {
		line("NoNewPrivileges=yes")
		line("ProtectSystem=strict")
		line("ReadWritePaths=-/var/lib/xen -/run/xen -/run/lock -/var/log/xen")
		home := "yes"
		if inHome(o.Out) {
			home = "read-only"
		}
		line("ProtectHome=%s", home)
		line("PrivateNetwork=yes")
		line("IPAddressDeny=any")
		line("CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_IPC_LOCK")
		line("RestrictAddressFamilies=AF_UNIX")
		line("RestrictSUIDSGID=yes")
		line("MemoryDenyWriteExecute=yes")
		line("SystemCallFilter=@system-service")
		line("SystemCallFilter=~@keyring @setuid @resources")
	}
	if o.Out != "" {
		line("ReadWritePaths=%s", o.Out)
	}
	line("SystemCallErrorNumber=EPERM")
	line("SystemCallArchitectures=native")
	line("DevicePolicy=closed")
	for _, device := range []string{"privcmd", "hypercall", "xenbus", "evtchn"} {
		line("DeviceAllow=/dev/xen/%s rw", device)
	}
	for _, on := range []string{
		"PrivateTmp", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
		"ProtectKernelTunables", "RestrictNamespaces", "RestrictRealtime", "LockPersonality",
	} {
		line("%s=yes", on)
	}
	return b.String()
}

func inHome(p string) bool {
	for _, home := range []string{"/home", "/root", "/run/user"} {
		if p == home || strings.HasPrefix(p, home+"/") {
			return true
		}
	}
	return false
}

// timerUnit starts the service. A run that was missed while the machine was off
// is made up for where the next one is far away.
func timerUnit(o Options, t times) string {
	delay := min(o.Every/20, 5*time.Minute)
	text := mark + "[Unit]\nDescription=Report on this Xen host's memory overcommit, every " + pace(o.Every) + "\n\n[Timer]\nOnCalendar=" + t.calendar +
		fmt.Sprintf("\nRandomizedDelaySec=%ds\nAccuracySec=1s\n", int(delay.Seconds()))
	if o.Every >= 24*time.Hour {
		text += "Persistent=yes\n"
	}
	return text + "\n[Install]\nWantedBy=timers.target\n"
}

// pace writes 15m0s as 15min and 24h0m0s as 24h.
func pace(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%dmin", int(d.Minutes()))
	}
	return fmt.Sprintf("%dh", int(d.Hours()))
}

// crontab is a file of /etc/cron.d. Cron mails what a job prints: that is the
// summary where xtm neither mails nor keeps it, else only what goes wrong.
func crontab(o Options, t times) string {
	job := "test -x " + o.Program + " && " + strings.Join(o.arguments(), " ")
	if len(o.MailTo) > 0 || o.Out != "" {
		job += " >/dev/null"
	}
	return mark + "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" + t.cron + " root " + job + "\n"
}
