package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What the runner uses inside Dom0.
const (
	payloadDir = "/lab"
	resultDir  = "/out"
	resultDisk = "/dev/labresults"
	// signOfLife is how often the runner says that it lives.
	signOfLife = time.Minute
)

// runDom0 runs the scenarios inside Dom0, tells the console and writes the
// result disk.
func runDom0(ctx context.Context, console io.Writer) (int, error) {
	var o orders
	b, err := os.ReadFile(filepath.Join(payloadDir, "orders.json"))
	if err != nil {
		return 1, err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return 1, fmt.Errorf("read orders: %w", err)
	}
	match, err := regexp.Compile(o.Match)
	if err != nil {
		return 1, fmt.Errorf("-run: %w", err)
	}
	all, err := scenarios()
	if err != nil {
		return 1, err
	}
	tell := func(format string, arg ...any) {
		// A console that takes no line has nobody who could be told.
		_, _ = fmt.Fprintf(console, mark+format+"\n", arg...)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return 1, err
	}
	slow, err := strconv.Atoi(os.Getenv("LAB_SLOW"))
	if err != nil {
		return 1, fmt.Errorf("LAB_SLOW: %w", err)
	}
	go func() {
		for range time.Tick(signOfLife) {
			tell("alive")
		}
	}()
	host := lookAround(ctx)
	host.words[needNightly] = o.Nightly
	for _, s := range all {
		if !match.MatchString(s.name) || !slices.Contains(strings.Fields(string(cmdline)), "lab.boot="+s.boot.slug()) {
			continue
		}
		if why := host.lacks(s.needs); why != "" {
			tell("skip %s: %s", s.name, why)
			continue
		}
		tell("run %s", s.name)
		begin := time.Now()
		err := runScenario(ctx, s, time.Duration(slow))
		if err != nil {
			tell("fail %s %.1fs: %v\n%s", s.name, time.Since(begin).Seconds(), err, tail(filepath.Join(resultDir, s.name, "log"), 25))
			continue
		}
		tell("pass %s %.1fs", s.name, time.Since(begin).Seconds())
	}
	if err := writeResults(); err != nil {
		return 1, err
	}
	tell("end")
	return 0, nil
}

// runScenario runs one script with a folder of its own; all that it prints is
// in the file log there. The whole process group ends with it.
func runScenario(ctx context.Context, s scenario, slow time.Duration) (err error) {
	dir := filepath.Join(resultDir, s.name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	limit := s.timeout * slow
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-eu", "-c", `. /lab/dom0/lib.sh; . "$0"`, filepath.Join(payloadDir, "scenarios", s.name+".sh"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("not done within %v", limit)
	}
	return err
}

// lookAround finds what scenarios may need: tmem (this Xen has it switched
// on), guest-tmem (the guests' kernel has it), guest-package (that kernel came as
// a package), libvirt, and xtm:COMMAND for each command of the xtm under test.
func lookAround(ctx context.Context) facts {
	f := facts{words: map[string]bool{}}
	f.major = number("/sys/hypervisor/version/major")
	f.minor = number("/sys/hypervisor/version/minor")
	ask := func(name string, arg ...string) []byte {
		ctx, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		// A program that fails or is not there has said nothing: the need
		// is not met, and the scenario is listed as skipped.
		out, _ := exec.CommandContext(ctx, name, arg...).Output()
		return out
	}
	f.words["tmem"] = bytes.Contains(ask("xl", "dmesg"), []byte("tmem: initialized"))
	f.words["libvirt"] = bytes.Contains(ask("virsh", "-c", "xen:///system", "list"), []byte("Domain-0"))
	if log, err := os.ReadFile(guestLog("web1")); err == nil {
		f.words["guest-tmem"] = bytes.Contains(log, []byte("LAB-TMEM"))
	}
	_, err := os.Stat("/lab/guest/release")
	f.words["guest-package"] = err == nil
	for line := range strings.SplitSeq(string(ask("xtm", "--help")), "\n") {
		if w := strings.Fields(line); len(w) > 1 && strings.HasPrefix(line, "   ") {
			f.words["xtm:"+strings.TrimSuffix(w[0], ",")] = true
		}
	}
	return f
}

func number(file string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// writeResults puts the results and Xen's logs on the result disk.
func writeResults() error {
	if err := os.CopyFS(filepath.Join(resultDir, "logs"), os.DirFS("/var/log/xen")); err != nil {
		return err
	}
	for name, argv := range map[string][]string{
		"logs/xl-dmesg": {"xl", "dmesg"}, "logs/dmesg": {"dmesg"}, "logs/xl-list": {"xl", "list"},
	} {
		out, _ := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err := os.WriteFile(filepath.Join(resultDir, name), out, 0o644); err != nil {
			return err
		}
	}
	disk, err := os.OpenFile(resultDisk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := tar.NewWriter(disk)
	return errors.Join(w.AddFS(os.DirFS(resultDir)), w.Close(), disk.Sync(), disk.Close())
}
