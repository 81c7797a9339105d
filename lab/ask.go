package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"xtm/xen/xenstore"
)

// guestLog is what xenconsoled writes down of a guest's console.
func guestLog(name string) string { return "/var/log/xen/console/guest-" + name + ".log" }

// guestDeadline is how long a command in a guest may take.
const guestDeadline = 2 * time.Minute

// askGuest runs a command in a guest, by its console. The code is the command's
// own, and so is the output.
func askGuest(ctx context.Context, name, command string) (code int, err error) {
	slow, err := strconv.Atoi(os.Getenv("LAB_SLOW"))
	if err != nil {
		return 1, fmt.Errorf("LAB_SLOW: %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, time.Duration(slow)*guestDeadline)
	defer stop()
	tty, err := consoleOf(ctx, name)
	if err != nil {
		return 1, err
	}
	log, err := os.Open(guestLog(name))
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return 1, err
	}
	id := strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := os.WriteFile(tty, []byte(id+" "+command+"\n"), 0o600); err != nil {
		return 1, err
	}
	var said []byte
	for !bytes.Contains(said, []byte("LAB-END "+id)) || !bytes.HasSuffix(said, []byte("\n")) {
		select {
		case <-ctx.Done():
			return 1, fmt.Errorf("guest %s did not answer %q: %w", name, command, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
		more, err := io.ReadAll(io.NewSectionReader(log, from+int64(len(said)), 64<<20))
		if err != nil {
			return 1, err
		}
		said = append(said, more...)
	}
	a, err := parseAnswer(id, string(said))
	if err != nil {
		return 1, fmt.Errorf("guest %s: %w", name, err)
	}
	if _, err := os.Stdout.Write(a.stdout); err != nil {
		return 1, err
	}
	if _, err := os.Stderr.Write(a.stderr); err != nil {
		return 1, err
	}
	return a.code, nil
}

// consoleOf finds the terminal that leads to a guest's console.
func consoleOf(ctx context.Context, name string) (tty string, err error) {
	s := xenstore.New(xenstore.Local)
	defer func() { err = errors.Join(err, s.Close()) }()
	const domains = "/local/domain"
	ids, err := s.List(ctx, domains)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if n, err := s.Read(ctx, path.Join(domains, id, "name")); err == nil && n == name {
			return s.Read(ctx, path.Join(domains, id, "console/tty"))
		}
	}
	return "", fmt.Errorf("no guest is called %q", name)
}

// answer is what a command in a guest printed, and how it ended.
type answer struct {
	stdout, stderr []byte
	code           int
}

// parseAnswer reads what dom0/guest-init prints for a command:
//
//	LAB-OUT 3x5k
//	aGVsbG8K
//	LAB-ERR 3x5k
//	LAB-END 3x5k 0
//
// The kernel's messages may stand between, but not within base64's lines.
func parseAnswer(id, text string) (answer, error) {
	var a answer
	var part strings.Builder
	decode := func() ([]byte, error) {
		b, err := base64.StdEncoding.DecodeString(part.String())
		part.Reset()
		return b, err
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) == 2 && f[0] == "LAB-OUT" && f[1] == id:
			part.Reset()
		case len(f) == 2 && f[0] == "LAB-ERR" && f[1] == id:
			a.stdout, err = decode()
		case len(f) == 3 && f[0] == "LAB-END" && f[1] == id:
			if a.stderr, err = decode(); err != nil {
				break
			}
			a.code, err = strconv.Atoi(f[2])
			return a, err
		case len(f) == 1:
			part.WriteString(f[0])
		}
		if err != nil {
			return a, fmt.Errorf("parse its answer: %w", err)
		}
	}
	return a, fmt.Errorf("parse its answer: no line LAB-END %s", id)
}
