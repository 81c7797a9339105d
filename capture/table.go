package capture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The tables have a header, and further columns may follow those known here:
//
//	stem	exit	start	duration	argv	error	text
//	001-xl-list	0	2026-11-22T13:35:22Z	600ms	["xl","list"]
//	002-xl-top	-1	2026-11-22T13:35:23Z	2ms	["xl","top"]	no_data	"run xl top: not installed or not in PATH: no data"
//
//	path	look	outcome	detail
//	/proc/xen/capabilities	read	ok
//	/proc/xen	list	ok	["capabilities","privcmd"]
//	/proc/config.gz	read	ENOENT	"open"
//
// An outcome is "ok", the name of an errno (detail: the operation that failed)
// or a word of answer.go (detail: the error's text).
const (
	runHeader  = "stem\texit\tstart\tduration\targv\terror\ttext"
	rootHeader = "path\tlook\toutcome\tdetail"
)

// row is a line of run.tsv with the name of its files.
type row struct {
	stem string
	ran
}

// formatRuns writes run.tsv.
func formatRuns(rows []row) []byte {
	var b bytes.Buffer
	b.WriteString(runHeader + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.stem, r.result.ExitCode,
			r.result.Start.Format(time.RFC3339Nano), r.result.Duration, quoted(r.argv),
			r.failure.word, failureDetail(r.failure))
	}
	return b.Bytes()
}

// parseRuns reads run.tsv; outputs are filled in elsewhere.
func parseRuns(b []byte) ([]row, error) {
	var rows []row
	seen := map[string]bool{}
	err := eachLine("run.tsv", runHeader, b, func(f []string) error {
		r := row{stem: f[0]}
		if !safeStem(r.stem) {
			return fmt.Errorf("stem %q is not a plain name", r.stem)
		}
		if seen[r.stem] {
			return fmt.Errorf("stem %q stands twice", r.stem)
		}
		seen[r.stem] = true
		var err error
		if r.result.ExitCode, err = strconv.Atoi(f[1]); err != nil {
			return fmt.Errorf("exit code %q: %w", f[1], err)
		}
		if r.result.Start, err = time.Parse(time.RFC3339Nano, f[2]); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		r.result.Start = r.result.Start.UTC()
		if r.result.Duration, err = time.ParseDuration(f[3]); err != nil {
			return fmt.Errorf("duration: %w", err)
		}
		if err := json.Unmarshal([]byte(f[4]), &r.argv); err != nil {
			return fmt.Errorf("argv %q: %w", f[4], err)
		}
		if len(r.argv) == 0 {
			return fmt.Errorf("argv %q is empty", f[4])
		}
		r.failure, err = parseFailure(f[5], f[6])
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// formatLooks writes root.tsv, in the order of keys.
func formatLooks(keys []look, looks map[look]answer) []byte {
	var b bytes.Buffer
	b.WriteString(rootHeader + "\n")
	for _, k := range keys {
		a := looks[k]
		outcome, detail := "ok", ""
		switch {
		case a.failure != failure{}:
			outcome, detail = a.failure.word, failureDetail(a.failure)
		case k.way == wayList:
			detail = quoted(a.names)
		case k.way == wayLink:
			detail = quoted(a.target)
		case k.way == wayExists:
			detail = quoted(a.exists)
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", pathField(k.path), k.way, outcome, detail)
	}
	return b.Bytes()
}

// parseLooks reads root.tsv; files are filled in elsewhere. A look in a way
// that is not known here is left aside.
func parseLooks(b []byte) (map[look]answer, error) {
	looks := map[look]answer{}
	err := eachLine("root.tsv", rootHeader, b, func(f []string) error {
		p := f[0]
		if strings.HasPrefix(p, `"`) {
			if err := json.Unmarshal([]byte(p), &p); err != nil {
				return fmt.Errorf("path %s: %w", f[0], err)
			}
		}
		if !strings.HasPrefix(p, "/") || p != "/" && !fs.ValidPath(p[1:]) {
			return fmt.Errorf("path %q is not absolute and clean", p)
		}
		key := look{p, f[1]}
		if _, twice := looks[key]; twice {
			return fmt.Errorf("%s of %q stands twice", key.way, p)
		}
		var a answer
		var err error
		switch {
		case !slices.Contains([]string{wayRead, wayList, wayLink, wayExists}, key.way):
			return nil
		case f[2] != "ok":
			a.failure, err = parseFailure(f[2], f[3])
		case key.way == wayRead:
		case key.way == wayList:
			err = json.Unmarshal([]byte(f[3]), &a.names)
		case key.way == wayLink:
			err = json.Unmarshal([]byte(f[3]), &a.target)
		default:
			err = json.Unmarshal([]byte(f[3]), &a.exists)
		}
		if err != nil {
			return fmt.Errorf("detail %q: %w", f[3], err)
		}
		looks[key] = a
		return nil
	})
	return looks, err
}

// eachLine splits a table and calls do with the fields of each line, at least
// as many as the header names.
func eachLine(name, header string, b []byte, do func([]string) error) error {
	want := strings.Split(header, "\t")
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line, whole := strings.CutSuffix(line, "\n")
		if !whole {
			return fmt.Errorf("%s line %d: no end of line: the table is cut", name, n)
		}
		if n == 1 {
			if line != header && !strings.HasPrefix(line, header+"\t") {
				return fmt.Errorf("%s line 1: %.200q: want %q", name, line, header)
			}
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < len(want) {
			return fmt.Errorf("%s line %d: %.200q: %d fields, want %d", name, n, line, len(f), len(want))
		}
		if err := do(f); err != nil {
			return fmt.Errorf("%s line %d: %w", name, n, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("%s is empty", name)
	}
	return nil
}

// quoted is JSON, which has no tab and no line break in it.
func quoted(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings, lists of strings and booleans always encode.
	_ = e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// pathField is a path as it is, or quoted where it would break the line.
func pathField(p string) string {
	if strings.ContainsFunc(p, unicode.IsControl) {
		return quoted(p)
	}
	return p
}

// failureDetail is what a failure says beside its word.
func failureDetail(f failure) string {
	switch {
	case f == failure{}:
		return ""
	case f.op != "":
		return quoted(f.op)
	default:
		return quoted(f.text)
	}
}

// parseFailure reads a word and what stands beside it: an errno is in capitals.
func parseFailure(word, detail string) (failure, error) {
	if word == "" {
		return failure{}, nil
	}
	var s string
	if err := json.Unmarshal([]byte(detail), &s); err != nil {
		return failure{}, fmt.Errorf("text %q: %w", detail, err)
	}
	if word[0] >= 'A' && word[0] <= 'Z' {
		return failure{word: word, op: cmp.Or(s, "open")}, nil
	}
	return failure{word: word, text: s}, nil
}

// safeStem tells whether a stem can be a file's name anywhere.
func safeStem(s string) bool {
	return s != "" && len(s) <= 120 && s[0] != '.' && strings.Trim(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}
