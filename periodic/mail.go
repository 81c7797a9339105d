package periodic

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode"

	"xtm/internal/run"
)

// sendTime is what sendmail gets to take a message; some deliver at once.
const sendTime = 2 * time.Minute

// Send hands a message to the local sendmail, which every mail system brings:
// https://refspecs.linuxbase.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/baselib-sendmail-1.html.
func Send(ctx context.Context, start run.Func, to []string, message []byte) error {
	c := run.Cmd{Name: "sendmail", Args: append([]string{"-i", "--"}, to...), Stdin: message, Timeout: sendTime}
	_, err := start.Checked(ctx, c)
	return err
}

// maxSubject bounds the subject, which has a host's name in it.
const maxSubject = 160

// Message is a text mail. The sender is left to sendmail; what answers mails
// that nobody wrote is told not to answer this one (RFC 3834).
func Message(to []string, subject string, at time.Time, text []byte) ([]byte, error) {
	subject = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, subject)
	if r := []rune(subject); len(r) > maxSubject {
		subject = string(r[:maxSubject]) + "…"
	}
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", at.UTC().Format(time.RFC1123Z)},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
		{"Auto-Submitted", "auto-generated"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, err := w.Write(text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write mail: %w", err)
	}
	// sendmail takes lines as Unix has them.
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), nil
}
