package capture

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"xtm/xen/hypercall"
)

// call.tsv has a hypercall a line, with its request: buffers as of type buffer,
// and where in the first the address of the second goes. What stood in them
// afterwards is in call/STEM.struct and call/STEM.data. Value is the answer.
//
//	stem	op	sub	struct	data	at	value	begin	took	error	text
//	001-xen_version-0	17	0	-	-	0	262156	2026-11-22T13:35:22Z	3µs
//	004-sysctl-6	35	0	136:0600000012000000000000008000	20480:a5	16	0	2026-11-22T13:35:22Z	9µs
//	001-xen_version-0	17	0	-	-	0	0	0001-01-01T00:00:00Z	0s	absent	"open /dev/xen/privcmd: no such file or directory"
const callHeader = "stem\top\tsub\tstruct\tdata\tat\tvalue\tbegin\ttook\terror\ttext"

// callRow is a line of call.tsv with the name of its files.
type callRow struct {
	stem string
	called
}

func callRows(calls []called) []callRow {
	rows := make([]callRow, len(calls))
	for i, c := range calls {
		rows[i] = callRow{stem(i, []string{c.String()}), c}
	}
	return rows
}

// formatCalls writes call.tsv.
func formatCalls(rows []callRow) []byte {
	var b bytes.Buffer
	b.WriteString(callHeader + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.stem, r.op, r.sub, r.ask.main, r.ask.data, r.at,
			r.answer.Value, r.answer.Begin.Format(time.RFC3339Nano), r.answer.Took, r.failure.word, failureDetail(r.failure))
	}
	return b.Bytes()
}

// parseCalls reads call.tsv; answers are filled in elsewhere.
func parseCalls(b []byte) ([]callRow, error) {
	var rows []callRow
	seen := map[string]bool{}
	err := eachLine("call.tsv", callHeader, b, func(f []string) error {
		r := callRow{stem: f[0]}
		if !safeStem(r.stem) || seen[r.stem] {
			return fmt.Errorf("stem %q is not a plain name, or stands twice", r.stem)
		}
		seen[r.stem] = true
		op, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			return fmt.Errorf("hypercall %q: %w", f[1], err)
		}
		r.op = hypercall.Op(op)
		if r.sub, err = strconv.ParseUint(f[2], 10, 64); err != nil {
			return fmt.Errorf("sub-command %q: %w", f[2], err)
		}
		r.ask.main, r.ask.data = buffer(f[3]), buffer(f[4])
		for _, m := range []buffer{r.ask.main, r.ask.data} {
			if _, _, err := m.parse(); err != nil {
				return err
			}
		}
		if r.at, err = strconv.Atoi(f[5]); err != nil {
			return fmt.Errorf("place of the address %q: %w", f[5], err)
		}
		if r.answer.Value, err = strconv.ParseInt(f[6], 10, 64); err != nil {
			return fmt.Errorf("value %q: %w", f[6], err)
		}
		if r.answer.Begin, err = time.Parse(time.RFC3339Nano, f[7]); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		r.answer.Begin = r.answer.Begin.UTC()
		if r.answer.Took, err = time.ParseDuration(f[8]); err != nil {
			return fmt.Errorf("took: %w", err)
		}
		r.failure, err = parseFailure(f[9], f[10])
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// memory is a buffer before and after the call.
type memory struct {
	asked    buffer
	answered *[]byte
}

// files are the buffers that a call has, by the names of their files: none where
// it failed.
func (r *callRow) files() map[string]memory {
	out := map[string]memory{}
	if r.failure != (failure{}) {
		return out
	}
	for end, m := range map[string]memory{".struct": {r.ask.main, &r.main}, ".data": {r.ask.data, &r.data}} {
		if m.asked != noBuffer {
			out["call/"+r.stem+end] = m
		}
	}
	return out
}

// encodeCalls lays the hypercalls out as files, if there are any.
func (c *Capture) encodeCalls(put func(string, []byte) error) error {
	if len(c.calls) == 0 {
		return nil
	}
	rows := callRows(c.calls)
	for _, r := range rows {
		for name, m := range r.files() {
			if err := put(name, *m.answered); err != nil {
				return err
			}
		}
	}
	return put("call.tsv", formatCalls(rows))
}

// decodeCalls reads them again. An answered buffer is as long as that of the
// request.
func (c *Capture) decodeCalls(take func(string) ([]byte, error)) error {
	table, err := take("call.tsv")
	if err != nil {
		return err
	}
	rows, err := parseCalls(table)
	if err != nil {
		return err
	}
	for _, r := range rows {
		for name, m := range r.files() {
			b, err := take(name)
			if err != nil {
				return err
			}
			if size, _, _ := m.asked.parse(); size != len(b) {
				return fmt.Errorf("%s has %d bytes, and its request had %d", name, len(b), size)
			}
			*m.answered = b
		}
		c.calls = append(c.calls, r.called)
	}
	return nil
}
