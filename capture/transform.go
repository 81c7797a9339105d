package capture

import (
	"maps"
	"slices"

	"xtm/capture/redact"
	"xtm/capture/scrub"
)

// changes are what scrubbing and redacting have in common: how each kind of
// recorded text is rewritten.
type changes struct {
	argv   func([]string) []string
	output func(argv []string, b []byte) []byte
	file   func(path string, b []byte) []byte
	name   func(path, name string) string // a path, or what was found there
	text   func(string) string
	// key rewrites a key of xenstore; false leaves it out.
	key func(path, value string) (string, string, bool)
}

// scrub takes secrets out.
func (c *Capture) scrub() {
	s := &scrub.Scrubber{}
	text := func(v string) string { return string(s.Text([]byte(v))) }
	name := func(_, n string) string { return text(n) }
	c.apply(changes{argv: s.Argv, output: s.Output, file: s.File, name: name, text: text, key: s.Key})
	c.calls = scrubCalls(c.calls, s.Fixed)
	c.Meta.Scrubbed += s.Secrets
	c.Meta.Withheld += s.Withheld
}

// redact replaces names, in two passes: all must be known before one is
// replaced.
func (c *Capture) redact() {
	r := redact.New()
	do := changes{argv: r.Argv, output: r.Output, file: r.File, name: r.Name, text: r.String, key: r.Key}
	copied := Capture{Meta: c.Meta, runs: slices.Clone(c.runs), looks: c.looks, keys: c.keys}
	copied.apply(do)
	_, _ = redactCalls(c.calls, r)
	r.Learned()
	c.apply(do)
	c.Meta.Redacted = true
	calls, ok := redactCalls(c.calls, r)
	if !ok {
		c.Meta.CallsLeftOut += len(c.calls)
		calls = nil
	}
	c.calls = calls
}

// apply rewrites every text of the capture, in an order that depends on
// nothing but the capture.
func (c *Capture) apply(do changes) {
	for i, x := range c.runs {
		x.result.Stdout = do.output(x.argv, x.result.Stdout)
		x.result.Stderr = []byte(do.text(string(x.result.Stderr)))
		x.failure.text = do.text(x.failure.text)
		x.argv = do.argv(x.argv)
		c.runs[i] = x
	}
	looks := make(map[look]answer, len(c.looks))
	for _, k := range sortedLooks(c.looks) {
		a := c.looks[k]
		if k.way == wayRead && (a.failure == failure{}) {
			a.data = do.file(k.path, a.data)
		}
		a.failure.text = do.text(a.failure.text)
		a.target = do.name(k.path, a.target)
		a.names = slices.Clone(a.names)
		for i, n := range a.names {
			a.names[i] = do.name(k.path, n)
		}
		k.path = clean(do.name(k.path, k.path))
		looks[k] = a
	}
	c.looks = looks
	keys := make(map[string]kept, len(c.keys))
	for _, path := range slices.Sorted(maps.Keys(c.keys)) {
		k := c.keys[path]
		path, value, ok := do.key(path, k.value)
		if ok {
			k.value, k.failure.text = value, do.text(k.failure.text)
			keys[path] = k
		}
	}
	c.keys = keys
	c.Meta.Recorded = do.text(c.Meta.Recorded)
}
