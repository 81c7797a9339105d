package html_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBrowser opens the page in a real Chromium and uses it as a reader would.
func TestBrowser(t *testing.T) {
	b := openBrowser(t)
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(write(t, host(30, hostile), month(hostile, 30, 7*24*6, 10*time.Minute))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.call("POST", "/url", map[string]string{"url": "about:blank"}, nil)
	b.log("performance") // what the browser's own first tab did
	b.call("POST", "/url", map[string]string{"url": "file://" + path}, nil)

	t.Run("hostile names stay text", func(t *testing.T) {
		b := b.in(t)
		if got := b.text("typeof window.pwned"); got != "undefined" {
			t.Errorf("a name ran as a script: %s", got)
		}
		if got := b.text("document.querySelector('main > .wide:has(tbody tr:nth-child(20)) tbody th').textContent"); !strings.Contains(got, "<script>window.pwned=1</script>") {
			t.Errorf("the first domain is %q", got)
		}
	})
	t.Run("charts are drawn", func(t *testing.T) {
		b := b.in(t)
		for _, figure := range []string{"figure:nth-of-type(1) svg", "figure:nth-of-type(2) svg"} {
			if n := colours(t, b.shot(figure)); n < 10 {
				t.Errorf("%s has %d colours", figure, n)
			}
		}
	})
	t.Run("legend", func(t *testing.T) {
		b := b.in(t)
		before := b.shot("figure svg")
		b.click("figure .legend li:nth-child(3) button")
		if got := b.text("document.querySelector('figure .legend li:nth-child(3) button').getAttribute('aria-pressed')"); got != "false" {
			t.Errorf("pressed: %s", got)
		}
		if bytes.Equal(before, b.shot("figure svg")) {
			t.Error("the picture is the same without a series")
		}
		b.click("figure .legend li:nth-child(3) button")
		if got := b.text("getComputedStyle(document.querySelector('figure [data-i=\"2\"]')).display"); got != "inline" {
			t.Errorf("the series did not come back: %s", got)
		}
	})
	t.Run("keyboard", func(t *testing.T) {
		b := b.in(t)
		b.press("figure .plotbox", "\ue012") // left arrow
		last := b.text("document.querySelector('.readout').textContent")
		b.press("figure .plotbox", "\ue012")
		if got := b.text("document.querySelector('.readout').textContent"); !strings.Contains(got, "UTC") || got == last {
			t.Errorf("%q, then %q", last, got)
		}
	})
	t.Run("ranges", func(t *testing.T) {
		b := b.in(t)
		whole := b.text("document.querySelector('.plot').getAttribute('viewBox')")
		b.click(".ranges button:nth-child(2)") // 1 day
		if got := b.text("document.querySelector('.plot').getAttribute('viewBox')"); got == whole {
			t.Errorf("still %s", got)
		}
		b.click(".ranges button:last-child")
		if got := b.text("document.querySelector('.plot').getAttribute('viewBox')"); got != whole {
			t.Errorf("%s, not %s", got, whole)
		}
	})
	t.Run("tables sort", func(t *testing.T) {
		b := b.in(t)
		column := `[...document.querySelectorAll("main > .wide:has(tbody tr:nth-child(20)) tbody tr")].map(r => Number(r.cells[3].dataset.v))`
		b.run(`const head = document.querySelector("main > .wide:has(tbody tr:nth-child(20)) thead th:nth-child(4) button"); head.click()`, nil)
		var values []float64
		b.run("return "+column, &values)
		if len(values) < 20 || !slices.IsSortedFunc(values, func(x, y float64) int { return int(y - x) }) || values[0] == values[len(values)-1] {
			t.Errorf("not falling: %v", values)
		}
	})
	t.Run("dark", func(t *testing.T) {
		b := b.in(t)
		const background = "getComputedStyle(document.body).backgroundColor"
		light := b.text(background)
		b.media("prefers-color-scheme", "dark")
		if dark := b.text(background); dark == light {
			t.Errorf("both are %s", light)
		}
		b.media("prefers-color-scheme", "light")
	})
	t.Run("nothing is fetched and nothing complains", func(t *testing.T) {
		b := b.in(t)
		if lines := b.log("browser"); len(lines) > 0 {
			t.Errorf("console: %s", lines)
		}
		for _, line := range b.log("performance") {
			var entry struct {
				Message struct {
					Method string
					Params struct{ Request struct{ URL string } }
				}
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			m := entry.Message
			if url := m.Params.Request.URL; m.Method == "Network.requestWillBeSent" && url != "file://"+path && !strings.HasPrefix(url, "data:") {
				t.Errorf("the page asks for %s", url)
			}
		}
	})
}

// TestScreenshot makes docs/page-light.png and docs/page-dark.png anew, of made-up
// figures, when it is told to; else it holds that they are there.
func TestScreenshot(t *testing.T) {
	light, dark := "../../docs/page-light.png", "../../docs/page-dark.png"
	if os.Getenv("XTM_UPDATE") != "1" {
		for _, path := range []string{light, dark} {
			text, err := os.ReadFile(path)
			if err != nil || colours(t, text) < 10 {
				t.Errorf("%s: %v", path, err)
			}
		}
		return
	}
	b := openBrowser(t)
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(write(t, host(5, "web1"), month("web1", 5, 7*24*6, 10*time.Minute))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.call("POST", "/url", map[string]string{"url": "file://" + path}, nil)
	for scheme, file := range map[string]string{"light": light, "dark": dark} {
		b.media("prefers-color-scheme", scheme)
		if err := os.WriteFile(file, b.shot(""), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// colours counts those that more than 50 pixels have.
func colours(t *testing.T, picture []byte) int {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[4]uint32]int{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, a := img.At(x, y).RGBA()
			seen[[4]uint32{r, g, b, a}]++
		}
	}
	n := 0
	for _, pixels := range seen {
		if pixels > 50 {
			n++
		}
	}
	return n
}
