package layout_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/render"
	"xtm/report"
	"xtm/report/layout"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGoldens(t *testing.T) {
	type writer func(io.Writer, report.Report) error
	screen := func(o layout.Options) writer {
		return func(w io.Writer, r report.Report) error {
			return render.Text(w, layout.Document(r, o), render.Options{Width: 100, Wide: o.Wide})
		}
	}
	markdown := func(w io.Writer, r report.Report) error {
		return render.Markdown(w, layout.Document(r, layout.Options{}))
	}
	csv := func(o layout.Options) writer {
		return func(w io.Writer, r report.Report) error { return render.CSV(w, layout.CSV(r, o)) }
	}
	asJSON := func(w io.Writer, r report.Report) error { return render.JSON(w, r, true) }
	for name, r := range map[string]report.Report{
		"load": load(), "interval": interval(), "notmem": noTmem(), "hostile": hostile(),
	} {
		for ext, write := range map[string]writer{
			"txt": screen(layout.Options{}), "wide.txt": screen(layout.Options{Wide: true}), "md": markdown,
			"csv": csv(layout.Options{}), "json": asJSON,
			"pools.txt": screen(layout.Options{Pools: true, Domains: []string{"web1"}, Units: "MiB"}),
			"pools.csv": csv(layout.Options{Pools: true}),
		} {
			t.Run(name+"."+ext, func(t *testing.T) {
				var got bytes.Buffer
				if err := write(&got, r); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", name+"."+ext)
				if *update {
					if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("%s differs (-want +got); go test -update writes it anew:\n%s", path, diff)
				}
			})
		}
	}
}
