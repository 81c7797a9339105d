package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"xtm/xen/hypercall"
)

// buffer is a request's memory as call.tsv has it: its length, and its bytes in
// hex, of which the last stands for all that follow. "-" is no buffer.
//
//	20480:a5              20,480 bytes of 0xa5
//	136:060000001200      06 00 00 00 12, and 131 bytes of 00
type buffer string

const noBuffer buffer = "-"

// maxBuffer is more than a request has: a listing is 4 MiB at most.
const maxBuffer = 8 << 20

func bufferOf(b []byte) buffer {
	if b == nil {
		return noBuffer
	}
	n := len(b)
	for n > 1 && b[n-1] == b[n-2] {
		n--
	}
	return buffer(strconv.Itoa(len(b)) + ":" + hex.EncodeToString(b[:n]))
}

// parse returns the length and the bytes that are written out. A buffer has one
// form only, so that two can be compared by it.
func (b buffer) parse() (size int, head []byte, err error) {
	if b == noBuffer {
		return 0, nil, nil
	}
	length, digits, _ := strings.Cut(string(b), ":")
	size, err = strconv.Atoi(length)
	if err == nil {
		head, err = hex.DecodeString(digits)
	}
	n := len(head)
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("buffer %.80q: %w", b, err)
	case size < 0 || size > maxBuffer:
		return 0, nil, fmt.Errorf("buffer %.80q: more than %d bytes", b, maxBuffer)
	case n > size, n == 0 && size > 0, n > 1 && head[n-1] == head[n-2], buffer(fmt.Sprintf("%d:%x", size, head)) != b:
		return 0, nil, fmt.Errorf("buffer %.80q: not in its shortest form", b)
	}
	return size, head, nil
}

// ask is a hypercall before it is issued: equal asks are the same question.
type ask struct {
	op   hypercall.Op
	sub  uint64
	main buffer // Request.Struct
	data buffer
	at   int
}

func askOf(r *hypercall.Request) ask {
	return ask{r.Op, r.Sub, bufferOf(r.Struct), bufferOf(r.Data), r.DataAt}
}

// opNames are those of Xen (xen/include/public/xen.h).
var opNames = map[hypercall.Op]string{
	hypercall.OpVersion: "xen_version", hypercall.OpSysctl: "sysctl", hypercall.OpTmem: "tmem_op",
}

// String names a question: "xen_version 0", "sysctl 6". Sysctl has its command
// in the first four bytes.
func (a ask) String() string {
	name, ok := opNames[a.op]
	if !ok {
		name = fmt.Sprintf("hypercall %d", a.op)
	}
	if a.op != hypercall.OpSysctl {
		return fmt.Sprintf("%s %d", name, a.sub)
	}
	_, head, _ := a.main.parse()
	return fmt.Sprintf("%s %d", name, binary.LittleEndian.Uint32(append(slices.Clone(head), 0, 0, 0, 0)))
}

// called is a hypercall that was made.
type called struct {
	ask
	answer  hypercall.Answer
	failure failure
	// main and data are the buffers afterwards; nil where there were none, or
	// where the hypercall failed.
	main, data []byte
}

// recordedCalls is a recorder as hypercall.Caller.
type recordedCalls struct{ *Recorder }

// Call implements hypercall.Caller. Times lose what a program's lose.
func (r recordedCalls) Call(ctx context.Context, q *hypercall.Request) (hypercall.Answer, error) {
	c := called{ask: askOf(q)}
	a, err := r.under.Calls.Call(ctx, q)
	a.Begin = a.Begin.UTC().Round(0)
	c.answer, c.failure = a, failureAt("", err)
	if err == nil {
		c.main, c.data = bytes.Clone(q.Struct), bytes.Clone(q.Data)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
	return a, err
}

// replayedCalls answers hypercalls from a recording. The same question gets the
// answers in their order, and then the last again.
type replayedCalls struct {
	mu      sync.Mutex
	answers map[ask][]called
}

func replayCalls(calls []called) *replayedCalls {
	r := &replayedCalls{answers: map[ask][]called{}}
	for _, c := range calls {
		r.answers[c.ask] = append(r.answers[c.ask], c)
	}
	return r
}

// Call implements hypercall.Caller. A question that was not asked while
// recording is an error that names it and wraps cause.ErrNoData.
func (r *replayedCalls) Call(ctx context.Context, q *hypercall.Request) (hypercall.Answer, error) {
	if err := ctx.Err(); err != nil {
		return hypercall.Answer{}, err
	}
	key := askOf(q)
	r.mu.Lock()
	rest := r.answers[key]
	if len(rest) > 1 {
		r.answers[key] = rest[1:]
	}
	r.mu.Unlock()
	if len(rest) == 0 {
		return hypercall.Answer{}, absence(key.String())
	}
	c := rest[0]
	copy(q.Struct, c.main)
	copy(q.Data, c.data)
	return c.answer, c.failure.err("")
}

// sameCommand tells whether two calls read parts of the same: a sysctl begins
// with its command and the version of the interface.
func (c called) sameCommand(d called) bool {
	const head = 8
	return c.op == hypercall.OpSysctl && d.op == c.op && len(c.main) >= head && len(d.main) >= head &&
		bytes.Equal(c.main[:head], d.main[:head])
}

// scrubCalls takes secrets out of the answers by a function that keeps the
// length of its text. The console ring comes in pieces, and a secret may lie
// across their border: pieces that follow each other are one text.
func scrubCalls(calls []called, fixed func([]byte) []byte) []called {
	out := slices.Clone(calls)
	for i := 0; i < len(out); {
		j := i + 1
		for j < len(out) && out[j].sameCommand(out[i]) {
			j++
		}
		var text []byte
		for _, c := range out[i:j] {
			text = append(text, bytes.TrimRight(c.data, "\x00")...)
		}
		text = fixed(text)
		for k := i; k < j; k++ {
			c := &out[k]
			n := len(bytes.TrimRight(c.data, "\x00"))
			c.data = slices.Concat(text[:n], c.data[n:])
			text = text[n:]
			c.main = fixed(c.main)
		}
		i = j
	}
	return out
}
