//go:build xen && amd64

package live_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// TestTop drives xtm top through its keys on a console of Linux, as somebody does
// who stands before the host, and holds what it shows of each domain and of each
// pool against hypercalls before and after.
func TestTop(t *testing.T) {
	s := seams(t)
	read := func() xen.Snapshot {
		snap, err := byHypercall(t, s)
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	c := openConsole(t, "2")
	c.resize(80, 24)
	// The console is set anew when its session ends, so the shell compares.
	cmd := exec.CommandContext(t.Context(), "sh", "-c",
		"stty -g >before; xtm top --delay 1s --sort name; code=$?; stty -g >after; cmp before after && exit $code")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TERM=linux", "LC_ALL=C.UTF-8")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.tty, c.tty, c.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	c.await("by hypercall")
	c.agrees(read, domainFigures, domainsShown)
	t.Logf("80×24:\n%s", c.screen())
	c.press("/", "show names with: _")
	c.press("db", "show names with: db_")
	c.press("\r", `only "db"`)
	if screen := c.screen(); !strings.Contains(screen, "db1") || strings.Contains(screen, "web1") {
		t.Errorf("names with db:\n%s", screen)
	}
	c.press("\r", "Memory: now")
	c.press("q", `only "db"`)
	c.press("\x1b", "\nq quit")
	c.press("?", "xtm top: keys")
	c.press("?", "Overcommit")
	c.press(" ", "PAUSED")
	c.press(" ", "every 1 s")
	c.press("p", "REFUSED/s")
	c.agrees(read, poolFigures, poolsShown)
	t.Logf("pools:\n%s", c.screen())
	c.press("p", "GAVE(M)")
	c.resize(60, 20) // a card in text mode has no more than 80 columns
	c.await("\nNAME▼")
	t.Logf("60×20:\n%s", c.screen())
	c.key("q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("top failed, or left the console otherwise than it was: %v", err)
	}
}

// domainFigures are what top shows of each domain, in MiB.
func domainFigures(s xen.Snapshot) map[string]any {
	out := map[string]any{}
	list, _ := s.Tmem.Get()
	for _, d := range s.Domains {
		out[d.Name+" MEM(M)"] = opt.Map(d.Current, func(k units.KiB) float64 { return float64((k + 512) / 1024) }).Or(0)
		out[d.Name+" EPH(M)"] = nil
		for _, c := range list.Clients {
			if opt.Of(c.ID) == d.ID {
				out[d.Name+" EPH(M)"] = mib(c.Ephemeral.Now)
			}
		}
	}
	return out
}

// poolFigures are the sizes of all pools in MiB.
func poolFigures(s xen.Snapshot) map[string]any {
	out := map[string]any{}
	list, _ := s.Tmem.Get()
	for _, c := range list.Clients {
		for _, d := range s.Domains {
			for _, p := range c.Pools {
				if opt.Of(c.ID) == d.ID {
					out[fmt.Sprintf("%s %d", d.Name, p.ID)] = mib(p.Pages.Now)
				}
			}
		}
	}
	return out
}

func mib(pages xen.Count) any {
	n, ok := pages.Get()
	if !ok {
		return nil
	}
	return float64((n + 128) / 256)
}

// domainsShown finds the same on a screen such as
//
//	ID   NAME▼          STATE    CPU%   MEM(M)   MAX(M)  GAVE(M)  EPH(M)  HIT%  ACC%
//	 3   cache1         -b----    0.1      192      192        0       –     –     –
func domainsShown(screen string) map[string]any {
	out := map[string]any{}
	var heads []string
	for line := range strings.Lines(screen) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && strings.TrimRight(f[1], "▲▼") == "NAME":
			heads = f
		case len(f) >= len(heads) && heads != nil && isNumber(f[0]):
			for i, h := range heads {
				if h == "MEM(M)" || h == "EPH(M)" {
					out[f[1]+" "+h] = number(f[i])
				}
			}
		}
	}
	return out
}

// poolsShown finds the same on a screen such as
//
//	NAME             POOL KIND         MEM(M)   OBJECTS   HIT%   ACC% REFUSED/s
//	web1                0 ephemeral       121         3   64.1   98.0       0
func poolsShown(screen string) map[string]any {
	out := map[string]any{}
	for line := range strings.Lines(screen) {
		if f := strings.Fields(line); len(f) == 8 && (f[2] == "ephemeral" || f[2] == "persistent") {
			out[f[0]+" "+f[1]] = number(f[3])
		}
	}
	return out
}

func isNumber(s string) bool { return number(s) != nil }

// number is nil for what is none.
func number(s string) any {
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	if err != nil {
		return nil
	}
	return f
}

// console is a virtual terminal of Linux.
type console struct {
	t           *testing.T
	tty, memory *os.File
}

// openConsole opens one of /dev/tty1 to /dev/tty63, which begins to be with that.
// What is on its screen is in /dev/vcsu of the same number: four bytes a
// character, without line ends (Linux 4.19 and later).
func openConsole(t *testing.T, number string) *console {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name+number, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
		return f
	}
	tty := open("/dev/tty")
	return &console{t, tty, open("/dev/vcsu")}
}

func (c *console) fd() int { return int(c.tty.Fd()) }

func (c *console) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) resize(columns, rows uint16) {
	c.t.Helper()
	c.must(unix.IoctlSetWinsize(c.fd(), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}))
}

// key types a text.
func (c *console) key(text string) {
	c.t.Helper()
	for _, b := range []byte(text) {
		c.must(unix.IoctlSetPointerInt(c.fd(), unix.TIOCSTI, int(b)))
	}
}

// press types a text and waits for what follows of it.
func (c *console) press(text, want string) {
	c.t.Helper()
	c.key(text)
	c.await(want)
}

// screen is what is to be seen, in lines.
func (c *console) screen() string {
	c.t.Helper()
	size, err := unix.IoctlGetWinsize(c.fd(), unix.TIOCGWINSZ)
	c.must(err)
	cells := make([]byte, 4*int(size.Row)*int(size.Col))
	_, err = c.memory.ReadAt(cells, 0)
	c.must(err)
	var b strings.Builder
	for i := 0; i < len(cells); i += 4 {
		if i > 0 && i/4%int(size.Col) == 0 {
			b.WriteByte('\n')
		}
		b.WriteRune(rune(binary.LittleEndian.Uint32(cells[i:])))
	}
	return b.String()
}

// patience is how long a screen may take to come.
const patience = 60 * time.Second

// await waits for a text on the screen.
func (c *console) await(want string) {
	c.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(c.screen(), want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("no %q:\n%s", want, c.screen())
		}
	}
}

// agrees waits for a screen whose figures lie all between those of two
// snapshots, one from before it was drawn and one from after.
func (c *console) agrees(read func() xen.Snapshot, figures func(xen.Snapshot) map[string]any, shown func(string) map[string]any) {
	c.t.Helper()
	var wrong []string
	for range 10 {
		before := read()
		clock := before.End.Add(time.Second).UTC().Format("15:04:05")
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if _, rest, _ := strings.Cut(c.screen(), "  "); len(rest) > len(clock) && rest[:len(clock)] >= clock {
				break
			}
		}
		x, a, b := shown(c.screen()), figures(before), figures(read())
		wrong = nil
		for _, m := range []map[string]any{a, x, b} {
			for key := range m {
				if _, there := x[key]; !there || !between(a[key], x[key], b[key], 0) {
					wrong = append(wrong, fmt.Sprintf("%s is %v and on the screen %v", key, b[key], x[key]))
				}
			}
		}
		if len(wrong) == 0 {
			c.t.Logf("%d figures agree", len(x))
			return
		}
	}
	c.t.Errorf("%s\n%s", strings.Join(wrong, "\n"), c.screen())
}
