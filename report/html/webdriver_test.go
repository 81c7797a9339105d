package html_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
)

// browser is a headless Chromium, driven by the W3C WebDriver protocol of
// Debian's chromedriver.
type browser struct {
	t       *testing.T
	session string // its URL
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	chromium := needs.Program(t, "chromium")
	profile := t.TempDir()
	t.Cleanup(func() { // its processes end one by one and write until then
		for range 100 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	cmd := exec.CommandContext(t.Context(), needs.Program(t, "chromedriver"), "--port=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	b := &browser{t: t}
	// ChromeDriver was started successfully on port 38211.
	for lines := bufio.NewScanner(out); b.session == "" && lines.Scan(); {
		if _, port, ok := strings.Cut(lines.Text(), "successfully on port "); ok {
			b.session = "http://127.0.0.1:" + strings.TrimRight(port, ".") + "/session"
		}
	}
	if b.session == "" {
		t.Fatal("chromedriver does not say its port")
	}
	go func() { _, _ = bufio.NewReader(out).WriteTo(bytes.NewBuffer(nil)) }()
	var made struct {
		SessionID string `json:"sessionId"`
	}
	b.call("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:loggingPrefs": map[string]string{"browser": "ALL", "performance": "ALL"},
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,1600",
			"--user-data-dir=" + profile,
		}},
	}}}, &made)
	b.session += "/" + made.SessionID
	t.Cleanup(func() {
		req, _ := http.NewRequest(http.MethodDelete, b.session, nil)
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	})
	return b
}

// in is the same browser for a subtest.
func (b *browser) in(t *testing.T) *browser {
	t.Helper()
	return &browser{t, b.session}
}

// call sends one command; value takes the answer, if there is one to take.
func (b *browser) call(method, path string, body, value any) {
	b.t.Helper()
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, b.session+path, &content)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s %v %s", method, path, res.Status, err, answer.Value)
	}
	if value != nil {
		if err := json.Unmarshal(answer.Value, value); err != nil {
			b.t.Fatalf("%s %s: %v: %s", method, path, err, answer.Value)
		}
	}
}

// run runs the body of a function in the page and returns what it returns.
func (b *browser) run(script string, value any) {
	b.t.Helper()
	b.call("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}}, value)
}

// text runs an expression that is a text.
func (b *browser) text(expression string) string {
	b.t.Helper()
	var s any
	b.run("return "+expression, &s)
	return fmt.Sprint(s)
}

// click clicks the first element that the selector finds, as a user would.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.call("POST", "/element/"+b.element(selector)+"/click", map[string]any{}, nil)
}

// element finds the first element, and returns its number.
func (b *browser) element(selector string) string {
	b.t.Helper()
	var found map[string]string
	b.call("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &found)
	for _, id := range found {
		return id
	}
	b.t.Fatalf("no %s in the page", selector)
	return ""
}

// press sends keys to an element: "" is the left arrow.
func (b *browser) press(selector, keys string) {
	b.t.Helper()
	b.call("POST", "/element/"+b.element(selector)+"/value", map[string]string{"text": keys}, nil)
}

// shot is a picture of an element, or of the window with the selector "".
func (b *browser) shot(selector string) []byte {
	b.t.Helper()
	path := "/screenshot"
	if selector != "" {
		path = "/element/" + b.element(selector) + path
	}
	var text string
	b.call("GET", path, nil, &text)
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// log returns what was written to one of the browser's logs since last asked.
func (b *browser) log(kind string) []string {
	b.t.Helper()
	var entries []struct{ Message string }
	b.call("POST", "/se/log", map[string]string{"type": kind}, &entries)
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = e.Message
	}
	return lines
}

// media makes the page believe in a preference of its reader.
func (b *browser) media(name, value string) {
	b.t.Helper()
	b.call("POST", "/goog/cdp/execute", map[string]any{
		"cmd":    "Emulation.setEmulatedMedia",
		"params": map[string]any{"features": []map[string]string{{"name": name, "value": value}}},
	}, nil)
}
