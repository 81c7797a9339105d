// Xtm makes memory overcommit on a Xen host serious and visible: it reports
// what Transcendent Memory saves per domain and what to do about the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"xtm/internal/cli"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen/hypercall"
	"xtm/xen/libvirt"
	"xtm/xen/xenstore"
)

func main() { os.Exit(start()) }

func start() int {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		signals = append(signals, syscall.SIGHUP) // a lost terminal must not leave a change half made
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// A second signal ends the program at once. One that comes with the first is no
	// second one: timeout(1) signals its program and then the program's group.
	context.AfterFunc(ctx, func() { time.Sleep(time.Second); stop() })
	width, _, errSize := term.GetSize(int(os.Stdout.Fd()))
	program, err := os.Executable()
	if err != nil {
		program = ""
	}
	return cli.Run(ctx, cli.Env{
		Args:        os.Args,
		Stdin:       os.Stdin,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
		Terminal:    errSize == nil,
		Interactive: term.IsTerminal(int(os.Stdin.Fd())),
		Width:       width,
		NoColor:     os.Getenv("NO_COLOR") != "",
		Environ:     os.Environ(),
		Root:        os.Geteuid() == 0,
		Program:     program,
		Files:       hostfs.Host,
		Run:         run.New(os.Environ()),
		Calls:       &hypercall.Privcmd{},
		Store:       xenstore.New(xenstore.Local),
		Libvirt:     libvirt.Local,
		Now:         time.Now,
	})
}
