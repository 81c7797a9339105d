package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/hostfs"
	"xtm/report/exporter"
	"xtm/report/history"
	"xtm/xen"
)

// exporterAddress is loopback: what guests are called and hold is not for
// everybody. The port is in Prometheus' range for exporters.
const exporterAddress = "127.0.0.1:9862"

func exporterCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "exporter",
		Usage:     "show this host to Prometheus",
		ArgsUsage: noArgument,
		Description: `Run it as root in Dom0. Each scrape reads the host once; scrapes that come meanwhile share the
reading. A figure that could not be told has no sample.

   xtm exporter                                    http://` + exporterAddress + `/metrics
   xtm exporter --listen :9862 --web-config web.yml    with TLS and a password
   xtm exporter --textfile /var/lib/prometheus/node-exporter/xtm.prom --every 1m
   xtm exporter --source a.tar.gz --source b.tar.gz    captures: each scrape shows the next, then the last

Ends with 0 on SIGINT and SIGTERM.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: exporterAddress, Usage: "`ADDRESS` to answer scrapes at"},
			&cli.StringFlag{Name: "web-config", Usage: "`FILE` of the Prometheus exporter toolkit: TLS, passwords, headers", TakesFile: true},
			&cli.DurationFlag{Name: "timeout", Value: exporter.DefaultTimeout, Usage: "longest time for one reading of the host"},
			&cli.StringFlag{Name: "textfile", Usage: "write to this `FILE` for node_exporter instead; its name ends in .prom", TakesFile: true},
			&cli.DurationFlag{Name: "every", Usage: "with --textfile: write again after this time, until interrupted"},
			&cli.StringSliceFlag{
				Name: "source", Aliases: []string{"from"}, Usage: "auto (the default), hypercall, xl, libvirt, or captures to replay", TakesFile: true,
			},
			&cli.BoolFlag{Name: "demo", Usage: "a recorded host that comes with xtm"},
			&cli.StringFlag{Name: "thresholds", Usage: "TOML `FILE` that replaces limits of the checks", TakesFile: true},
			&cli.BoolFlag{Name: "record", Usage: "add what was read to the history, once a minute at most"},
			historyFlag(),
		},
		Action: func(c *cli.Context) error {
			o := exporterOptions{
				listen: c.String("listen"), webConfig: c.String("web-config"), textfile: c.String("textfile"), every: c.Duration("every"),
				timeout: c.Duration("timeout"), sources: c.StringSlice("source"), demo: c.Bool("demo"),
				record: c.Bool("record"), history: c.String("history"),
			}
			if err := o.check(c); err != nil {
				return err
			}
			rules, err := thresholdsOf(c.String("thresholds"))
			if err != nil {
				return err
			}
			return o.run(c.Context, env, exporter.Options{Thresholds: rules, Timeout: o.timeout, Version: Version(), Now: env.Now})
		},
	}
}

type exporterOptions struct {
	listen, webConfig, textfile string
	every, timeout              time.Duration
	sources                     []string
	demo, record                bool
	history                     string
}

func (o *exporterOptions) check(c *cli.Context) error {
	if len(o.sources) == 0 {
		o.sources = []string{"auto"}
	}
	switch {
	case o.demo && c.IsSet("source"):
		return &usageError{msg: "--demo and --source exclude each other"}
	case o.timeout <= 0 || c.IsSet("every") && o.every <= 0:
		return &usageError{msg: "--timeout and --every want a time above zero, such as 9s or 1m"}
	case o.every > 0 && o.textfile == "":
		return &usageError{"--every is for --textfile", []string{"Prometheus says itself how often it scrapes: scrape_interval"}}
	case o.textfile != "" && (c.IsSet("listen") || c.IsSet("web-config")):
		return &usageError{msg: "--textfile listens nowhere, so that --listen and --web-config are not for it"}
	case o.textfile != "" && filepath.Ext(o.textfile) != ".prom":
		return &usageError{msg: fmt.Sprintf("node_exporter reads only files whose name ends in .prom, which %q does not", o.textfile)}
	case o.history != "" && !o.record:
		return &usageError{msg: "--history is for --record"}
	}
	if err := checkReplay(o.sources); err != nil {
		return err
	}
	return exporter.CheckWebConfig(o.webConfig)
}

func (o *exporterOptions) run(ctx context.Context, env Env, opts exporter.Options) error {
	src, err := o.open(env)
	if err != nil {
		return err
	}
	opts.SourceName = o.sources[0]
	if _, ok := src.(*replay); ok {
		opts.SourceName = "recorded"
	}
	opts.Log = slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutTime}))
	if o.record {
		k := &keeper{recorder{env: env, reportOptions: reportOptions{record: true, history: o.history}}}
		defer k.close()
		opts.Recorder = k
	}
	e := exporter.New(src, opts)
	if auto, ok := src.(*autoSource); ok {
		auto.tried = e.Tried
	}
	if o.textfile != "" {
		return o.write(ctx, env, e)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("listen at %s: %w", o.listen, errors.Unwrap(err)), []string{"another address: --listen 127.0.0.1:0 takes a free port"}}
	}
	fmt.Fprintln(env.Stderr, o.said(l.Addr())) //nolint:errcheck // there is nowhere left to say so
	return e.Serve(ctx, l, o.webConfig)
}

// keeper is the history as the exporter knows it.
type keeper struct{ recorder }

// Append keeps a snapshot. One that is there already, as of a recorded host, is
// no failure.
func (k *keeper) Append(ctx context.Context, s xen.Snapshot) error {
	if err := k.append(ctx, s); !errors.Is(err, history.ErrRecorded) {
		return err
	}
	return nil
}

// said is where the metrics are, and a warning where that is for everybody.
func (o *exporterOptions) said(a net.Addr) string {
	if o.webConfig != "" {
		return "Metrics are at " + a.String() + exporter.MetricsPath + ", as " + o.webConfig + " has it."
	}
	text := "Metrics are at http://" + a.String() + exporter.MetricsPath
	if tcp, ok := a.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		text += "\nwarning: whoever reaches this port reads what this host's guests are called and hold; with --web-config it asks for a password"
	}
	return text
}

// write fills a textfile once, or until the context ends.
func (o *exporterOptions) write(ctx context.Context, env Env, e *exporter.Exporter) error {
	path, err := filepath.Abs(o.textfile)
	if err != nil {
		return err
	}
	if err := e.Continue(hostfs.Host, path); err != nil {
		fmt.Fprintln(env.Stderr, "note: "+err.Error()+"; it is replaced") //nolint:errcheck // there is nowhere left to say so
	}
	for {
		err := e.WriteTextfile(ctx, hostfs.Host, path)
		switch {
		case o.every == 0:
			return err
		case errors.Is(ctx.Err(), context.Canceled):
			return nil
		case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
			return err // no folder of that name: it will not come by waiting
		case err != nil:
			fmt.Fprintln(env.Stderr, "error: "+err.Error()) //nolint:errcheck // there is nowhere left to say so
		}
		if !sleep(ctx, o.every) {
			return nil
		}
	}
}

func (o *exporterOptions) open(env Env) (source, error) {
	if o.demo {
		src, err := demoSource()
		return &replay{[]source{src}, true}, err
	}
	if isLive(o.sources[0]) {
		return openSource(env, o.sources[0])
	}
	r, err := openReplay(env, o.sources)
	if err != nil {
		return nil, err
	}
	r.stays = true
	return r, nil
}

// withoutTime leaves the time to who keeps the log.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
