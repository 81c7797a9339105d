package exporter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xtm/internal/needs"
	"xtm/report/exporter"
	"xtm/xen"
)

const deploy = "../../deploy/"

// debianPrometheus is a program of Debian's package of that name.
func debianPrometheus(t *testing.T, program string) string {
	t.Helper()
	return filepath.Join(needs.Unpacked(t, "prometheus"), "usr/bin", program)
}

// TestPromtool: Prometheus' own tool finds nothing to say of names, rules and
// examples, and the alerts' own tests hold.
func TestPromtool(t *testing.T) {
	promtool := debianPrometheus(t, "promtool")
	run := func(stdin string, args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), promtool, args...)
		c.Stdin, c.Dir = strings.NewReader(stdin), deploy+"prometheus"
		if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), "FAILED") {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	answers, err := filepath.Glob("testdata/*.prom")
	if err != nil || len(answers) < 3 {
		t.Fatal(answers, err)
	}
	for _, f := range answers {
		run(readText(t, f)+"\n", "check", "metrics")
	}
	run("", "check", "rules", "xtm.rules.yml")
	run("", "test", "rules", "xtm.rules.test.yml")
	for _, f := range []string{"site.yml", "global.yml"} {
		run("", "check", "config", f)
	}
}

// TestPrometheus has a real Prometheus scrape three hosts, one of which does
// something, and asks it every query of the dashboards.
func TestPrometheus(t *testing.T) {
	program := debianPrometheus(t, "prometheus")
	busy := replay(phase(t, "xen-4.12/t0-idle"), phase(t, "xen-4.12/t1-load"), phase(t, "xen-4.12/t3-late"))
	targets := []string{
		serve(t, busy), serve(t, always(phase(t, "xen-4.12-notmem/t1-load"))), serve(t, always(phase(t, "xen-4.17/modern"))),
	}
	api := startPrometheus(t, program, targets)
	want := queries(t, strings.NewReplacer("$instance", targets[0], "$domain", ".*", "$job", ".*", "$__rate_interval", "1m"))
	missing := map[string]string{}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		clear(missing)
		for query, where := range want {
			if why := api.ask(t, query); why != "" {
				missing[query] = where + ": " + why
			}
		}
		if len(missing) == 0 {
			break
		}
	}
	for _, query := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s\n\t%s", query, missing[query])
	}
	t.Logf("%d queries of two dashboards returned data", len(want)-len(missing))
	for _, alert := range []string{
		fmt.Sprintf(`ALERTS{alertname="XtmGuestsShrinkWithoutPool",instance=%q}`, targets[2]),
		fmt.Sprintf(`ALERTS{alertname="XtmTmemOff",instance=%q}`, targets[1]),
	} {
		if why := api.ask(t, alert); why != "" {
			t.Errorf("%s: %s", alert, why)
		}
	}
	if api.ask(t, "up == 0") == "" {
		t.Error("a target was down")
	}
}

// replay shows one moment after the other, a second apart, and stays at the
// last.
func replay(moments ...xen.Snapshot) source {
	var mu sync.Mutex
	var begin time.Time
	return func(context.Context) (xen.Snapshot, error) {
		mu.Lock()
		defer mu.Unlock()
		if begin.IsZero() {
			begin = time.Now()
		}
		return moments[min(int(time.Since(begin)/(2*time.Second)), len(moments)-1)], nil
	}
}

// serve runs an exporter and returns its address.
func serve(t *testing.T, s exporter.Source) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- exporter.New(s, exporter.Options{SourceName: "xl"}).Serve(ctx, l, "") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// api is a running Prometheus.
type api string

func startPrometheus(t *testing.T, program string, targets []string) api {
	t.Helper()
	rules, err := filepath.Abs(deploy + "prometheus/xtm.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: xtm
    static_configs: [{targets: ["%s"]}]
`, rules, strings.Join(targets, `", "`))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free a moment later, too
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	logs, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address)
	c.Stdout, c.Stderr = logs, logs
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", readText(t, logs.Name()))
		}
	})
	a := api("http://" + address)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		answer, err := http.Get(string(a) + "/-/ready")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return a
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus does not start: %v", err)
		}
	}
}

// ask returns why a query has no data; "" where it has.
func (a api) ask(t *testing.T, query string) string {
	t.Helper()
	answer, err := http.Get(string(a) + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	switch {
	case body.Error != "":
		return body.Error
	case len(body.Data.Result) == 0:
		return "no data"
	}
	for _, r := range body.Data.Result {
		if r.Value[1] == "NaN" {
			return "not a number"
		}
	}
	return ""
}

// queries are those of the dashboards, each with its panel, and those that fill
// their variables.
func queries(t *testing.T, variables *strings.Replacer) map[string]string {
	t.Helper()
	files, err := filepath.Glob(deploy + "grafana/*.json")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		var d struct {
			Templating struct {
				List []struct{ Name, Definition string }
			}
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal([]byte(readText(t, f)), &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, v := range d.Templating.List {
			// label_values(SERIES, LABEL)
			if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
				at := strings.LastIndex(inner, ", ")
				out[fmt.Sprintf("count by (%s) (%s)", strings.TrimSuffix(inner[at+2:], ")"), variables.Replace(inner[:at]))] = f + " variable " + v.Name
			}
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				query := variables.Replace(target.Expr)
				if strings.Contains(query, "$") || query == "" {
					t.Errorf("%s %s: %q has a variable that nobody sets", f, p.Title, query)
				}
				out[query] = filepath.Base(f) + " " + p.Title
			}
		}
	}
	return out
}
