package exporter_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/opt"
	"xtm/report/exporter"
	"xtm/xen"

	"go.uber.org/goleak"
)

// TestServe: TLS and a password are asked for where the web configuration says
// so, and an end that was asked for is no error.
func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	config := webConfig(t)
	if err := exporter.CheckWebConfig(config); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	e := exporter.New(always(phase(t, "xen-4.12/t1-load")), exporter.Options{SourceName: "xl", Version: "1.2.3"})
	go func() { ended <- e.Serve(ctx, l, config) }()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	for _, tt := range []struct {
		path, user, password string
		code                 int
		holds                string
	}{
		{"/metrics", "", "", 401, "Unauthorized"},
		{"/metrics", "prometheus", "wrong", 401, "Unauthorized"},
		{"/metrics", "prometheus", "xtm", 200, "xtm_host_memory_total_bytes 2.817523712e+09"},
		{"/", "prometheus", "xtm", 200, `metrics">Metrics</a>`},
		{"/-/healthy", "prometheus", "xtm", 200, "ok"},
		{"/debug/pprof/", "prometheus", "xtm", 404, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.user != "" {
			r.SetBasicAuth(tt.user, tt.password)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != tt.code || !strings.Contains(string(body), tt.holds) {
			t.Errorf("%s as %q: %d, %.300s", tt.path, tt.user, answer.StatusCode, body)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if err := exporter.CheckWebConfig(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no web configuration: %v", err)
	}
}

// TestUnit: systemd finds nothing wrong with the service.
func TestUnit(t *testing.T) {
	analyze := needs.Program(t, "systemd-analyze")
	unit := filepath.Join(t.TempDir(), "xtm-exporter.service")
	text := strings.Replace(readText(t, deploy+"systemd/xtm-exporter.service"), "/usr/bin/xtm exporter", "/bin/true", 1) // verify wants a program that is there
	if err := os.WriteFile(unit, []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", unit).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "xtm-exporter.service: 2.4 OK") {
		t.Errorf("security: %v\n%s", err, out)
	}
}

// webConfig asks for TLS and for the user prometheus with the password xtm.
func webConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		"web.yml": []byte("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n" +
			"  prometheus: $2a$04$FWOUvl8isRwGvGV1f1vB0eQsAhD1/es9SPXc9pdVj4NFrEOEM14l6\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "web.yml")
}

// TestTextfile: node_exporter gets a whole file, also of a host that cannot be
// read, and a second run goes on where the first one ended.
func TestTextfile(t *testing.T) {
	root := hostfs.Root(t.TempDir())
	const path = "/xtm.prom"
	loaded := phase(t, "xen-4.12/t1-load")
	write := func(s exporter.Source) error {
		e := still(s, exporter.Options{})
		if err := e.Continue(root, path); err != nil {
			t.Fatal(err)
		}
		return e.WriteTextfile(t.Context(), root, path)
	}
	misses := func(want string) {
		t.Helper()
		text := readText(t, filepath.Join(string(root), path))
		_, rest, _ := strings.Cut(text, `xtm_tmem_gets_total{domain="web1",domid="1",result="miss",type="ephemeral",uuid="1d9f7584-e679-11f1-971d-5fe415631a83"} `)
		if got, _, _ := strings.Cut(rest, "\n"); got != want {
			t.Errorf("misses of web1: %q, want %q", got, want)
		}
	}
	if err := write(always(loaded)); err != nil {
		t.Fatal(err)
	}
	misses("138848")
	// Two gets that were under way have found their pages.
	list, _ := loaded.Tmem.Get()
	for i := range list.Clients {
		if c := &list.Clients[i]; c.ID == 1 {
			c.Pools[0].Gets = add(c.Pools[0].Gets, 2)
		}
	}
	if err := write(always(loaded)); err != nil {
		t.Fatal(err)
	}
	misses("138848")
	// A thousand fewer is a pool that was made anew.
	for i := range list.Clients {
		if c := &list.Clients[i]; c.ID == 1 {
			c.Pools[0].GetTries = add(c.Pools[0].GetTries, -1000)
		}
	}
	if err := write(always(loaded)); err != nil {
		t.Fatal(err)
	}
	misses("137846")
	broken := errors.New("no xl")
	if err := write(source(func(context.Context) (xen.Snapshot, error) { return xen.Snapshot{}, broken })); !errors.Is(err, broken) {
		t.Errorf("a host that cannot be read: %v", err)
	}
	if text := readText(t, filepath.Join(string(root), path)); !strings.Contains(text, `xtm_source_up{source="xl"} 0`) || strings.Contains(text, "xtm_host") {
		t.Errorf("the file of a host that cannot be read:\n%s", text)
	}
	e := still(always(loaded), exporter.Options{})
	if err := e.WriteTextfile(t.Context(), root, "/xtm.txt"); err == nil {
		t.Error("a file that node_exporter does not read was written")
	}
	if err := os.WriteFile(filepath.Join(string(root), path), []byte("not { metrics"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Continue(root, path); err == nil {
		t.Error("a file that is not ours was taken up")
	}
}

func add(c xen.Count, n int64) xen.Count { return opt.Of(c.Or(0) + n) }
