package tmem_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"xtm/internal/cause"
	"xtm/xen"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

func TestErrors(t *testing.T) {
	const g, c, p = "G=Tt:1\n", "C=CI:1,ww:0\n", "P=CI:1,PI:0,PT:EP,U0:0,U1:0\n"
	tests := map[string]struct{ text, want string }{
		"xm after a failure":   {"-1\n", `line 1: not a line of a tmem listing: "-1"`},
		"xm without its end":   {"-1", `line 1: not a line of a tmem listing: "-1"`},
		"stderr in the text":   {"libxl: error: libxl_tmem.c:28:libxl_tmem_list: Can not get tmem list: No such device\n", `line 1: not a line of a tmem listing: "libxl: error: libxl_tmem.c:28:`},
		"unknown letter":       {g + "Q=ab:1\nT\n", `line 2: no release prints 'Q' lines: "Q=ab:1"`},
		"escape in the text":   {"\x1b[31m\n", `line 1: not a line of a tmem listing: "\x1b[31m"`},
		"two listings":         {g + "T\n\n" + g, `line 4: the T line ends a listing, this is behind it: "G=Tt:1"`},
		"two listings, no T":   {g + g + "T\n", `line 2: a G line begins a listing, this is a second one: "G=Tt:1"`},
		"empty G line":         {"G=\nT\n", `line 1: has no Tt: "G="`},
		"a key twice":          {"G=Tt:1,Te:2,Te:2\nT\n", `line 1: twice in its line in the G line: "Te:2"`},
		"a domain twice":       {g + c + c + "T\n", `line 3: a second C line of domain 1: "C=CI:1,ww:0"`},
		"no number":            {"G=Tt:1,Te:0x2\nT\n", `line 1: not a number in the G line: "Te:0x2"`},
		"no value":             {"G=Tt:\nT\n", `line 1: not a number in the G line: "Tt:"`},
		"a lone sign":          {"G=Tt:-\nT\n", `line 1: not a number in the G line: "Tt:-"`},
		"more than 64 bits":    {"G=Tt:18446744073709551616\nT\n", `line 1: not a number in the G line: "Tt:18446744073709551616"`},
		"weight of 33 bits":    {"C=CI:1,ww:4294967296\n", `line 1: not a number of 32 bits in the C line: "ww:4294967296"`},
		"a domain of 17 bits":  {"C=CI:65536\n", `line 1: not a domain number in the C line: "CI:65536"`},
		"a long key":           {"G=Ttt:1\nT\n", `line 1: want a key of two characters, a colon and a value: "Ttt:1"`},
		"an empty pair":        {"G=Tt:1,,Te:1\nT\n", `line 1: want a key of two characters, a colon and a value: ""`},
		"a comma at the end":   {"G=Tt:1,\nT\n", `line 1: ends in a comma: "Tt:1,"`},
		"C without its domain": {"C=ww:1\n", `line 1: has no CI: "C=ww:1"`},
		"P without its domain": {c + "P=PI:1,PT:EP\n", `line 2: has no CI: "P=PI:1,PT:EP"`},
		"P without its slot":   {c + "P=CI:1,PT:EP\n", `line 2: has no PI: "P=CI:1,PT:EP"`},
		"P without its type":   {c + "P=CI:1,PI:0\n", `line 2: has no PT: "P=CI:1,PI:0"`},
		"no such type":         {c + "P=CI:1,PI:0,PT:XP\n", `line 2: not a value of this key in the P line: "PT:XP"`},
		"uuid in capitals":     {c + "P=CI:1,PI:0,PT:ES,U0:AB\n", `line 2: not a value of this key in the P line: "U0:AB"`},
		"uuid of 68 bits":      {c + "P=CI:1,PI:0,PT:ES,U0:12345678901234567\n", `line 2: not a value of this key in the P line: "U0:12345678901234567"`},
		"P before any C":       {p, `line 1: a P line of domain 1 is not behind its C line: "P=CI:1,`},
		"P of another":         {g + c + "P=CI:2,PI:0,PT:EP,U0:0,U1:0\nT\n", `line 3: a P line of domain 2 is not behind its C line: "P=CI:2,`},
		"P too late":           {g + c + "C=CI:2,ww:0\n" + p + "T\n", `line 4: a P line of domain 1 is not behind its C line: "P=CI:1,`},
		"first S without uuid": {g + "S=SI:0,PT:ES,SC:1\nT\n", `line 2: has no U0 and U1: "S=SI:0,PT:ES,SC:1"`},
		"second S not Xen's":   {g + "S=SI:0,PT:ES,U0:1,U1:1,SC:1\nSomething\nT\n", `line 3: not what Xen prints for a shared pool: "Something"`},
		"a tag twice":          {g + "T=Gn:1,Gt:2,Pn:1,Gn:3,Gx:1\n", `line 2: twice in its line in the T line: "Gn:3"`},
		"a cycle count":        {g + "T=Gn:x,Gt:1\n", `line 2: not a number in the T line: "Gn:x"`},
		"a line too long":      {"G=Tt:1" + strings.Repeat(",Te:1", 1000) + "\nT\n", `line 1: longer than 4096 bytes: "G=Tt:1,`},
		"broken in the middle": {g + c + "P=CI:1,PI\n" + c + "T\n", `line 3: want a key of two characters, a colon and a value: "PI"`},
		"broken at the end":    {g + c + "foo\n", `line 3: not a line of a tmem listing: "foo"`},
		"broken before":        {g + "C=CI:1,ww:x,co:0\n", `line 2: not a number in the C line: "ww:x"`},
		"a number twice in C":  {g + "C=CI:1,CI:1,co:0\nT\n", `line 2: twice in its line in the C line: "CI:1"`},
		"first S, no slot":     {g + "S=PT:ES,U0:1,U1:1\nT\n", `line 2: has no SI: "S=PT:ES`},
		"first S, no type":     {g + "S=SI:0,U0:1,U1:1\nT\n", `line 2: has no PT: "S=SI:0`},
		"S, no such domain":    {g + "S=SI:0,PT:ES,U0:1,U1:1,SC:-1\nT\n", `line 2: not a domain number in the S line: "SC:-1"`},
		"later S, no number":   {g + "S=SI:0,PT:ES,U0:1,U1:1,SC:1\nS=SI:0,PT:ES,U0:1,U1:1,SC:1,Pc:x\nT\n", `line 3: not a number in the S line: "Pc:x"`},
		"later S, broken":      {g + "S=SI:0,PT:ES,U0:1,U1:1,SC:1\nS=SI:0,PT:ES,U0:1,U1:1,SC:1,Pc:1,\nT\n", `line 3: ends in a comma: "Pc:1,"`},
		"33 S lines":           {g + strings.Repeat("S=SI:0,PT:ES,U0:1,U1:1,SC:1\n", 33) + "T\n", `line 34: more S lines than Xen has room for, 16: "S=SI:0`},
		"unknown without end":  {g + "T=" + strings.Repeat("!n:1,", 300) + "Gn:1\n", `line 2: the key no. 257 that no release prints in the T line: "!n:1"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := tmem.Parse(strings.NewReader(tt.text))
			if err == nil {
				t.Fatalf("no error; read as %+v", l)
			}
			if !strings.HasPrefix(err.Error(), "parse tmem listing: "+tt.want) {
				t.Errorf("error:\n%s\nwant:\nparse tmem listing: %s", err, tt.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestEmptyIsNoData(t *testing.T) {
	for _, text := range []string{"", "\n", "\r\n\n"} {
		if _, err := tmem.ParseBytes([]byte(text)); !errors.Is(err, cause.ErrNoData) {
			t.Errorf("%q: %v, want %v", text, err, cause.ErrNoData)
		}
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("the disk is gone")
	if _, err := tmem.Parse(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

func TestTruncated(t *testing.T) {
	const (
		g  = "G=Tt:1,Ec:5\n"
		c1 = "C=CI:1,ww:0,co:0,fr:0,Tc:0,Ge:0,Pp:0,Gp:0,Ec:0,Em:0,cp:0,cb:0,cn:0,cm:0\n"
		c2 = "C=CI:2,ww:0,co:0,fr:0,Tc:0,Ge:0,Pp:0,Gp:0,Ec:0,Em:0,cp:0,cb:0,cn:0,cm:0\n"
		p1 = "P=CI:1,PI:0,PT:EP,U0:0,U1:0,Pc:0,Pm:0,Oc:0,Om:0,Nc:0,Nm:0,ps:0,pt:0,pd:0,pr:0,px:0,gs:0,gt:0,fs:0,ft:0,os:0,ot:0\n"
		p2 = "P=CI:2,PI:0,PT:EP,U0:0,U1:0,Pc:0,Pm:0,Oc:0,Om:0,Nc:0,Nm:0,ps:0,pt:0,pd:0,pr:0,px:0,gs:0,gt:0,fs:0,ft:0,os:0,ot:0\n"
	)
	tests := map[string]struct {
		text           string
		why            string
		clients, pools int
	}{
		"whole":                   {g + c1 + p1 + "T\n\n", "", 1, 1},
		"without its last end":    {g + c1 + p1 + "T", "", 1, 1},
		"no T line":               {g + c1 + p1 + c2, "it has no T line", 2, 1},
		"no T line, xl's":         {g + c1 + p1 + c2 + "\n", "it has no T line", 2, 1},
		"only G":                  {g, "it has no T line", 0, 0},
		"a digit lost, no end":    {g + c1 + p1[:len(p1)-2], "its last line, 3, has no end", 1, 0},
		"cut in a key":            {g + c1 + "P=CI:1,PI", "its last line, 3, has no end", 1, 0},
		"cut in a key, xl's":      {g + c1 + "P=CI:1,PI\n", "line 3 is cut off", 1, 0},
		"cut between keys":        {g + c1 + p1[:37] + "\n", "it has no T line", 1, 0},
		"C cut in a key, xl's":    {g + c1 + p1 + c2[:30] + "\n\n", "line 4 is cut off", 1, 1},
		"C cut between keys":      {g + c1 + p1 + c2[:len("C=CI:2,ww:0,co:0,fr:0,Tc:0,Ge:0,Pp:0,Gp:0")] + "\n", "it has no T line", 1, 1},
		"one client without end":  {c1 + p1[:50], "its last line, 2, has no end", 1, 0},
		"one client, copied":      {c1 + p1[:len(p1)-1], "its last line, 2, has no end", 1, 0},
		"T without G":             {c1 + p1 + "T\n", "it has no G line", 1, 1},
		"T line cut, xl's":        {g + c1 + p1 + "T=Gn:1,Gt\n", "line 4 is cut off", 1, 1},
		"a letter is left":        {g + c1 + p1 + "P\n\n", "line 4 is cut off", 1, 1},
		"cut in a type":           {g + c1 + p1 + "P=CI:1,PI:1,PT:E\n", "line 4 is cut off", 1, 1},
		"T line cut":              {g + c1 + p1 + "T=Gn:1,Gt", "its last line, 4, has no end", 1, 1},
		"C line written over":     {g + c1 + p1 + p2, "it has no T line", 2, 2},
		"exactly as much as room": {pad(t, g+c1+p1, "T\n\n", 32769), "it fills the buffer", -1, 1},
		"less than room":          {pad(t, g+c1+p1, "T\n\n", 32200), "", -1, 1},
		"more than xl has":        {pad(t, g+c1+p1, "T\n\n", 40000), "", -1, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := parse(t, []byte(tt.text))
			pools := 0
			for _, c := range l.Clients {
				pools += len(c.Pools)
			}
			if !strings.HasPrefix(l.Truncated, tt.why) || (tt.why == "") != (l.Truncated == "") {
				t.Errorf("truncated: %q, want %q", l.Truncated, tt.why)
			}
			if tt.clients < 0 {
				tt.clients = strings.Count(tt.text, "C=")
			}
			if len(l.Clients) != tt.clients || pools != tt.pools {
				t.Errorf("%d clients with %d pools, want %d with %d", len(l.Clients), pools, tt.clients, tt.pools)
			}
		})
	}
}

// pad puts clients between a head and a tail until the text has n bytes; the
// last client's line takes up what is left.
func pad(t *testing.T, head, tail string, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(head)
	const line = "C=CI:00000,ww:0,co:0,fr:0,Tc:0,Ge:0,Pp:0,Gp:0,Ec:0,Em:0,cp:0,cb:0,cn:0,cm:" // and a number
	for id := 10000; b.Len()+len(tail) < n; id++ {
		left := n - b.Len() - len(tail) - len(line) - 1
		if left > 38+len(line) {
			left = 37
		}
		if left < 1 {
			t.Fatalf("%d bytes left over", left)
		}
		digits := strings.Repeat("0", left)
		b.WriteString(strings.Replace(line, "00000", itoa(id), 1) + digits + "\n")
	}
	return b.String() + tail
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/10000), byte('0' + n/1000%10), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// Xen's answer to callers whose buffer is too small: what is read is what
// fitted, and it does not pass for whole.
func TestOverflow(t *testing.T) {
	whole := tmemtest.Host(120, 3)
	full := parse(t, tmemtest.Render(whole))
	for size := 600; size < 100_000; size += 997 {
		text := tmemtest.RenderInto(whole, size)
		l, err := tmem.ParseAnswer(text, size)
		if err != nil {
			t.Fatal(err)
		}
		lost := len(l.Clients) < len(full.Clients)
		for _, c := range l.Clients {
			want := full.Clients[c.ID-1]
			if len(c.Pools) > len(want.Pools) {
				t.Fatalf("a buffer of %d bytes: domain %d has %d pools", size, c.ID, len(c.Pools))
			}
			lost = lost || len(c.Pools) < len(want.Pools)
			want.Pools = want.Pools[:len(c.Pools)]
			same(t, c, want)
		}
		if lost && l.Truncated == "" {
			t.Fatalf("a buffer of %d bytes: lines are missing from %d bytes, and it is called whole", size, len(text))
		}
	}
}

// xl's own 32 KiB: whatever Xen leaves out, the listing does not pass for
// whole.
func TestOverflowOfXL(t *testing.T) {
	for guests := 40; guests < 100; guests++ {
		whole := tmemtest.Host(guests, 3)
		text := append(tmemtest.RenderInto(whole, 32768), '\n')
		l := parse(t, text)
		pools := 0
		for _, c := range l.Clients {
			pools += len(c.Pools)
		}
		if lost := guests*3 - pools; lost > 0 && l.Truncated == "" {
			t.Errorf("%d guests: %d pools are missing from %d bytes, and it is called whole", guests, lost, len(text))
		}
	}
}

// libxl's buffer is on its stack: where Xen filled it to the end, what lies
// behind it is printed too.
func TestGarbageBehindTheBuffer(t *testing.T) {
	head := pad(t, "G=Tt:1,Ec:5\n", "", 32740)
	text := head + "C=CI:7,ww:0,co:0,fr:0,Tc:0,G\x7f,\x10\x00\n\x01more\n\n"
	l := parse(t, []byte(text))
	if want := strings.Count(head, "C="); len(l.Clients) != want || !strings.HasSuffix(l.Truncated, "is cut off") {
		t.Errorf("%d clients, want %d; truncated: %q", len(l.Clients), want, l.Truncated)
	}
}

func TestGarbageIsRefusedInBoundedMemory(t *testing.T) {
	// All that is ever allocated, not at once: io.ReadAll's growing to 4 MiB
	// makes up 10 MiB of it, 19 MiB with the race detector.
	const size, most = 10 << 20, 24 << 20
	random := make([]byte, size)
	src := rand.NewChaCha8([32]byte{1})
	if _, err := src.Read(random); err != nil {
		t.Fatal(err)
	}
	line := func(s string) []byte { return bytes.Repeat([]byte(s), size/len(s)+1)[:size] }
	tests := map[string][]byte{
		"random":        random,
		"zeros":         make([]byte, size),
		"one line":      line("x"),
		"empty lines":   line("\n"),
		"looks like P":  line("\nP=CI:"),
		"looks like C":  line("\nC=CI:"),
		"unknown keys":  line("G=Tt:1,aa:1,bb:2"),
		"a whole G":     append([]byte("G=Tt:1\n"), line("C=CI:1\n")...),
		"shared pools":  append([]byte("G=Tt:1\n"), line("S=SI:0,PT:ES,U0:0,U1:0,SC:1\n")...),
		"a valid start": append(tmemtest.Render(tmemtest.Host(1000, 3)), random...),
	}
	for name, text := range tests {
		// The start of it, small enough to be read to its end, costs no more.
		for _, part := range [][]byte{text, text[:4<<20]} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := tmem.Parse(bytes.NewReader(part))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > most {
				t.Errorf("%s: %d MiB of it took %d MiB", name, len(part)>>20, n>>20)
			}
		}
	}
}

// A reader without end is not read to its end.
func TestEndlessReader(t *testing.T) {
	r := &endless{}
	if _, err := tmem.Parse(r); err == nil || r.n > 5<<20 {
		t.Errorf("%d bytes read, error %v", r.n, err)
	}
}

type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	e.n += len(b)
	return copy(b, bytes.Repeat([]byte("C"), len(b))), nil
}

var _ io.Reader = (*endless)(nil)

// A listing is read without keeping the text it was read from.
func TestTextIsNotKept(t *testing.T) {
	text := []byte("G=Tt:1,Xx:ab\nC=CI:1,ww:5\nT=Gn:1\n")
	l := parse(t, text)
	want := parse(t, bytes.Clone(text))
	for i := range text {
		text[i] = '?'
	}
	same(t, []xen.Listing{l}, []xen.Listing{want})
}
