package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// WriteTextfile reads the host and writes the metrics to a file that
// node_exporter's textfile collector reads; a reader sees the old file or the
// new one. Where the host cannot be read the file says so, and the error too.
func (e *Exporter) WriteTextfile(ctx context.Context, root hostfs.Root, path string) error {
	if !strings.HasSuffix(path, ".prom") {
		return fmt.Errorf("write %s: node_exporter reads only files whose name ends in .prom", path)
	}
	families, errRead := e.read(ctx)
	var text bytes.Buffer
	enc := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return errors.Join(errRead, atomicfile.Replace(root, path, text.Bytes(), 0o644))
}

// Continue takes up the counters of a textfile that an earlier run wrote. A
// file that is not there, or not one of ours, leaves nothing to take up.
func (e *Exporter) Continue(files hostfs.Files, path string) error {
	text, err := files.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	held, err := parseLevels(text)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	e.held = held
	return nil
}

// parseLevels finds the counters that are differences in text such as
//
//	xtm_tmem_gets_total{domain="web1",domid="3",result="miss",type="ephemeral",uuid=""} 138848
//	xtm_tmem_puts_total{domain="web1",domid="3",result="duplicate",type="persistent",uuid=""} 2
func parseLevels(text []byte) (levels, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	held := levels{}
	for _, name := range []string{"xtm_tmem_gets_total", "xtm_tmem_puts_total"} {
		for _, m := range families[name].GetMetric() {
			at := map[string]string{}
			for _, l := range m.GetLabel() {
				at[l.GetName()] = l.GetValue()
			}
			if result := at["result"]; result == "miss" || result == "duplicate" {
				who := identity{at["domain"], at["domid"], at["uuid"]}
				held[level{who, at["type"] + " " + result}] = int64(m.GetCounter().GetValue())
			}
		}
	}
	return held, nil
}
