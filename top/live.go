package top

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"xtm/xen"
)

// Source reads a host. ErrEnd is the end of a recording.
type Source interface {
	Snapshot(ctx context.Context) (xen.Snapshot, error)
}

// ErrEnd tells that a recording has no further snapshot.
var ErrEnd = errors.New("the recording ends")

// Live shows the view on a terminal until the user quits or the context ends.
func Live(ctx context.Context, m *Model, src Source, in io.Reader, out io.Writer, environ []string) error {
	view := &view{ctx: ctx, m: m, src: src}
	p := tea.NewProgram(view, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ), tea.WithoutSignalHandler())
	_, err := p.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil //nolint:nilerr // SIGTERM is a way to end it
	}
	return err
}

// view adapts Model to a terminal.
type view struct {
	ctx context.Context //nolint:containedctx // the library's methods take none
	m   *Model
	src Source
}

type (
	taken struct {
		snap xen.Snapshot
		err  error
	}
	due struct{}
)

func (v *view) Init() tea.Cmd { return v.read }

// read runs beside the view: keys work while a slow host is read.
func (v *view) read() tea.Msg {
	snap, err := v.src.Snapshot(v.ctx)
	return taken{snap, err}
}

func (v *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.m.Resize(msg.Width, msg.Height)
	case tea.KeyPressMsg:
		if v.m.Key(msg.String()) {
			return v, tea.Quit
		}
	case taken:
		switch {
		case errors.Is(msg.err, ErrEnd):
			v.m.End()
			return v, nil
		case msg.err != nil:
			v.m.Fail(msg.err)
		default:
			v.m.Add(msg.snap)
		}
		return v, tea.Tick(v.m.Delay(), func(time.Time) tea.Msg { return due{} })
	case due:
		return v, v.read
	}
	return v, nil
}

func (v *view) View() tea.View {
	var b strings.Builder
	for i, l := range v.m.Screen() {
		if i > 0 {
			b.WriteByte('\n')
		}
		if l.Marked {
			b.WriteString("\x1b[7m" + l.Text + "\x1b[m")
		} else {
			b.WriteString(l.Text)
		}
	}
	screen := tea.NewView(b.String())
	screen.AltScreen = true
	return screen
}
