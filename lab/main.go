// Command lab boots a genuine Xen host with genuine guests in QEMU, runs xtm in
// Dom0 and in the guests, and collects what happened. README.md says how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := lab(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(code)
}

const usage = `usage: lab [-run REGEXP] [list|shell [BOOT]]
  (nothing)  boot, run the scenarios, collect, power off
  shell      boot, then an interactive shell in Dom0; leave it to power off
  list       print the scenarios, what they need, and their boot
`

// lab runs one command. The codes are 0 every scenario passed or was skipped,
// 1 one failed or the host did not come up, 2 usage.
func lab(ctx context.Context, args []string) (int, error) {
	fs := flag.NewFlagSet("lab", flag.ContinueOnError)
	fs.Usage = func() { _, _ = io.WriteString(fs.Output(), usage) }
	match := fs.String("run", "", "run only scenarios whose name matches `REGEXP`")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, nil
		}
		return 2, nil
	}
	cfg, err := configFromEnv(os.LookupEnv)
	if err != nil {
		return 2, err
	}
	if cfg.match, err = regexp.Compile(*match); err != nil {
		return 2, fmt.Errorf("-run: %w", err)
	}
	switch fs.Arg(0) {
	case "":
		return run(ctx, cfg, os.Stdout)
	case "shell":
		boot := string(mainBoot)
		if fs.NArg() > 1 {
			boot = strings.Join(fs.Args()[1:], " ")
		}
		if cfg.shell, err = parseBoot(boot); err != nil {
			return 2, err
		}
		return shell(ctx, cfg)
	case "list":
		return listScenarios(os.Stdout)
	// What dom0/rc and the scenarios call inside the machine.
	case "dom0":
		return runDom0(ctx, os.Stdout)
	case "guest":
		return askGuest(ctx, fs.Arg(1), strings.Join(fs.Args()[min(2, fs.NArg()):], " "))
	}
	fs.Usage()
	return 2, nil
}
