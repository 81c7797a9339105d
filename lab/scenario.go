package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// scenario is a shell script that runs in Dom0. Its head says what it shows,
// what it cannot do without, and which boot it belongs to:
//
//	#!/bin/sh
//	# what: a guest is destroyed while a report runs
//	# needs: xtm:report xen<4.13 tmem
//	# boot: xen iommu=0
//	# timeout: 90
type scenario struct {
	name, what string
	needs      []string
	boot       bootName
	timeout    time.Duration
	text       []byte
}

const defaultTimeout = 60 * time.Second

func parseScenario(name string, text []byte) (scenario, error) {
	s := scenario{name: strings.TrimSuffix(path.Base(name), ".sh"), boot: mainBoot, timeout: defaultTimeout, text: text}
	sc := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; sc.Scan() && strings.HasPrefix(sc.Text(), "#"); n++ {
		key, value, ok := strings.Cut(strings.TrimPrefix(sc.Text(), "# "), ": ")
		if !ok {
			continue
		}
		switch key {
		case "what":
			s.what = value
		case "needs":
			s.needs = strings.Fields(value)
		case "boot":
			var err error
			if s.boot, err = parseBoot(value); err != nil {
				return s, fmt.Errorf("%s:%d: %w", name, n, err)
			}
		case "timeout":
			sec, err := strconv.Atoi(value)
			if err != nil || sec <= 0 {
				return s, fmt.Errorf("%s:%d: timeout wants seconds, got %q", name, n, value)
			}
			s.timeout = time.Duration(sec) * time.Second
		default:
			return s, fmt.Errorf("%s:%d: unknown key %q", name, n, key)
		}
	}
	if s.what == "" {
		return s, fmt.Errorf("%s: no line '# what: …'", name)
	}
	return s, sc.Err()
}

// needNightly is met by make nightly.
const needNightly = "nightly"

// scenarios are all of them in the order of their names, which is the order in
// which they run: the last ones break things.
func scenarios() ([]scenario, error) {
	names, err := fs.Glob(assets, "scenarios/*.sh")
	if err != nil {
		return nil, err
	}
	var all []scenario
	for _, n := range names {
		s, err := parseScenario(n, mustRead(assets, n))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func listScenarios(w io.Writer) (int, error) {
	all, err := scenarios()
	if err != nil {
		return 1, err
	}
	for _, s := range all {
		if _, err := fmt.Fprintf(w, "%s\n    %s\n    needs: %s\n    boot: %s\n", s.name, s.what, strings.Join(s.needs, " "), s.boot); err != nil {
			return 1, err
		}
	}
	return 0, nil
}

// facts are what this host has: the version of Xen and words.
type facts struct {
	major, minor int
	words        map[string]bool
}

var versionNeed = regexp.MustCompile(`^xen(>=|<)(\d+)\.(\d+)$`)

// lacks is the first need that the host does not meet, "" when it meets all.
// A need is xen>=4.17, xen<4.13, a word, or a word with no- before it.
func (f facts) lacks(needs []string) string {
	for _, n := range needs {
		if v := versionNeed.FindStringSubmatch(n); v != nil {
			major, _ := strconv.Atoi(v[2])
			minor, _ := strconv.Atoi(v[3])
			older := f.major < major || f.major == major && f.minor < minor
			if older != (v[1] == "<") {
				return fmt.Sprintf("needs %s, this is Xen %d.%d", n, f.major, f.minor)
			}
			continue
		}
		if word, not := strings.CutPrefix(n, "no-"); f.words[word] == not {
			return "needs " + n
		}
	}
	return ""
}
