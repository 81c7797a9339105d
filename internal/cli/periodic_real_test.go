package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
)

// sink is a mail server that keeps what it gets.
func sink(t *testing.T) (port string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	mails := make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				takeMail(c, mails)
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, mails
}

// takeMail speaks as much SMTP as a smarthost must (RFC 5321).
func takeMail(c net.Conn, mails chan<- string) {
	in := bufio.NewReader(c)
	var envelope, text strings.Builder
	reply := func(s string) { fmt.Fprint(c, s+"\r\n") }
	reply("220 sink")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); word {
		case "MAIL", "RCPT":
			envelope.WriteString(line)
			reply("250 ok")
		case "DATA":
			reply("354 go on")
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			reply("250 taken")
			mails <- envelope.String() + "\x00" + text.String()
		case "QUIT":
			reply("221 bye")
			return
		default:
			reply("250 sink")
		}
	}
}

// TestCronAndMail has a real cron start what install wrote, and a real sendmail
// deliver what the run says. They run in a mount namespace of their own, on top
// of this system and without a trace in it.
func TestCronAndMail(t *testing.T) {
	if os.Getuid() != 0 {
		needs.Unmet(t, "cron and mount namespaces need root")
	}
	t.Parallel()
	unpacked := needs.Unpacked(t, "cron", "cron-daemon-common", "dma")
	needs.Program(t, "unshare")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, mails := sink(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "start")
	if err := os.WriteFile(script, []byte(`set -eu
fs=$1 unpacked=$2 self=$3 port=$4
mount -t tmpfs -o mode=755 tmpfs "$fs"
mkdir "$fs/layer" "$fs/up" "$fs/work" "$fs/root"
cp -a "$unpacked/." "$fs/layer"
rm -rf "$fs/layer/lib"                       # a link on this system
mount -t overlay -o "lowerdir=$fs/layer:/,upperdir=$fs/up,workdir=$fs/work" overlay "$fs/root"
cd "$fs/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs run
rm -f etc/cron.d/* etc/crontab
printf 'SMARTHOST 127.0.0.1\nPORT %s\nMAILNAME dom0.example\n' "$port" >etc/dma/dma.conf
mkdir -p usr/lib/xtm xen/proc/xen xen/var/log/xtm
cp "$self" usr/lib/xtm/xtm
echo control_d >xen/proc/xen/capabilities
printf '#!/bin/sh\nXTM_ROOT=/xen XTM_FAKE_XEN=4.12.4 exec /usr/lib/xtm/xtm "$@"\n' >usr/bin/xtm
chmod 755 usr/bin/xtm
chroot . /usr/lib/xtm/xtm periodic install --scheduler cron --every 1m --mail-to ops@example.org --out /var/log/xtm --keep 3 --yes
stat -c '%a %U %n' etc/cron.d/xtm-periodic
exec chroot . /usr/sbin/cron -f -L 15
`), 0o700); err != nil {
		t.Fatal(err)
	}
	fs := filepath.Join(dir, "fs")
	if err := os.Mkdir(fs, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var said bytes.Buffer
	c := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script, fs, unpacked, self, port)
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var got string
	select {
	case got = <-mails:
	case err := <-ended:
		t.Fatalf("cron ended: %v\n%s", err, said.Bytes())
	case <-ctx.Done():
	}
	cancel()
	<-ended
	if got == "" {
		t.Fatalf("no mail came\n%s", said.Bytes())
	}
	checkMail(t, got)
	t.Log(said.String())
}

// checkMail reads a mail as the receiver's program does.
func checkMail(t *testing.T, got string) {
	t.Helper()
	envelope, text, _ := strings.Cut(got, "\x00")
	if !strings.Contains(envelope, "RCPT TO:<ops@example.org>") {
		t.Errorf("envelope %q", envelope)
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "xtm: ") {
		t.Errorf("subject %q, %v", subject, err)
	}
	if m.Header.Get("To") != "ops@example.org" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", m.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
	for i, want := range []string{"Host: ", "Changed: ", "tmem: ", "Problems: ", "To do: ", ""} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %q", i, lines[i])
		}
	}
	if !strings.Contains(string(body), "shop") {
		t.Errorf("the report is missing:\n%s", body)
	}
}
