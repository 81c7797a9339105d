package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/tune"
)

func tuneRoomCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "make-room",
		Usage:     "take memory back from tmem for a new guest, and keep it until it is taken",
		ArgsUsage: "SIZE",
		Description: `It freezes the tmem clients, takes back what lacks, and starts the guest or holds the room; in
any case it thaws them. Other guests give memory back only where they are asked by name. Dom0
is left as it is. Where Xen finds the memory by itself (claims, from 4.3 on with autoballoon
off), it says so and only starts the guest.

   xtm tune make-room --dry-run 2GiB
   xtm tune make-room --start new.cfg 2GiB
   xtm tune make-room --hold 60s 2GiB
   xtm tune make-room --ask web1=512MiB --start new.cfg 2GiB`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "start", Usage: "then create the guest of this `CFG` with xl", TakesFile: true},
			&cli.DurationFlag{Name: "hold", Usage: "keep the room until it was taken, for so long at most"},
			&cli.DurationFlag{Name: "within", Value: time.Minute, Usage: "give up after this time"},
			&cli.StringSliceFlag{Name: "ask", Usage: "ask a guest to go down to a size: `NAME=SIZE` (may be repeated)"},
			dryRunFlag(), formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			o, err := roomOptionsOf(c)
			if err != nil {
				return err
			}
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			return t.makeRoom(c.Context, o)
		},
	}
}

type roomOptions struct {
	size         units.MiB
	start        string
	hold, within time.Duration
	asks         []tune.Ask
}

func roomOptionsOf(c *cli.Context) (roomOptions, error) {
	o := roomOptions{start: c.String("start"), hold: c.Duration("hold"), within: c.Duration("within")}
	if c.NArg() != 1 {
		return o, &usageError{"tune make-room wants one size", []string{"for example: xtm tune make-room --start new.cfg 2GiB"}}
	}
	var err error
	if o.size, err = parseRoom(c.Args().First()); err != nil {
		return o, err
	}
	for _, word := range c.StringSlice("ask") {
		name, size, ok := strings.Cut(word, "=")
		if !ok {
			return o, &usageError{msg: fmt.Sprintf("--ask %s: want NAME=SIZE", word)}
		}
		to, err := parseRoom(size)
		if err != nil {
			return o, err
		}
		o.asks = append(o.asks, tune.Ask{Name: name, To: to})
	}
	switch {
	case c.IsSet("hold") && o.hold <= 0, o.within <= 0:
		return o, &usageError{msg: "--hold and --within want a time above zero, such as 60s"}
	case o.hold > longestFreeze || o.within > longestFreeze:
		return o, &usageError{msg: fmt.Sprintf("--hold and --within are at most %s", longestFreeze)}
	case o.start != "" && o.hold > 0:
		return o, &usageError{msg: "--start and --hold exclude each other"}
	case o.start == "" && o.hold == 0 && !c.Bool("dry-run"):
		return o, &usageError{"nothing would take the room", []string{"--start CFG creates a guest in it; --hold 60s keeps it for somebody else; --dry-run only looks"}}
	}
	if o.start != "" && !exists(o.start) {
		return o, &usageError{msg: fmt.Sprintf("--start %s: there is no such file", o.start)}
	}
	return o, nil
}

// parseRoom reads "512", "512MiB", "2GiB" or "2G" as MiB.
func parseRoom(s string) (units.MiB, error) {
	digits := strings.TrimRight(s, "iBMmGg")
	factor := int64(1)
	switch strings.ToLower(s[len(digits):]) {
	case "", "m", "mib", "mb":
	case "g", "gib", "gb":
		factor = 1024
	default:
		digits = ""
	}
	n, err := strconv.ParseInt(digits, 10, 24)
	if err != nil || n <= 0 {
		return 0, &usageError{msg: fmt.Sprintf("%q is no size: want a number of MiB, or with MiB or GiB behind it", s)}
	}
	return units.MiB(n * factor), nil
}

// roomed is the JSON of make-room.
type roomed struct {
	Schema   int              `json:"schema"`
	DryRun   bool             `json:"dry_run,omitempty"`
	Room     tune.Room        `json:"room"`
	Unneeded string           `json:"unneeded,omitempty"`
	Result   *tune.RoomResult `json:"result,omitempty"`
}

func (t *tuneRun) makeRoom(ctx context.Context, o roomOptions) error {
	conf, err := t.keeper.Root.ReadFile(tune.ConfigFile)
	if err != nil && cause.Of(err) != cause.NoData {
		return err
	}
	host := t.seen.Snapshot.Host
	room, err := t.seen.PlanRoom(o.size, o.asks, tune.ToolstackOf(conf, host.CommandLine.Or(""), host.Version))
	if err != nil {
		return err
	}
	out := roomed{Schema: 1, DryRun: t.dryRun, Room: room, Unneeded: room.Unneeded()}
	if t.format != "json" {
		if err := t.account(room); err != nil {
			return err
		}
	}
	err = t.doRoom(ctx, o, &out)
	if t.format == "json" {
		if errOut := render.JSON(t.env.Stdout, out, true); errOut != nil {
			return errOut
		}
	}
	_, explained := errors.AsType[*exitError](err)
	switch {
	case explained:
	case errors.Is(err, tune.ErrNoRoom) && !errors.Is(err, cause.ErrNotRestored):
		return &exitError{exitFailed, err, []string{"everything is as before; ask guests by name: --ask NAME=SIZE, or give it more time: --within 5m"}}
	case errors.Is(err, context.Canceled) && !errors.Is(err, cause.ErrNotRestored):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted, and everything is as before: %w", err), nil}
	}
	return explainTune(err)
}

func (t *tuneRun) doRoom(ctx context.Context, o roomOptions, out *roomed) error {
	if lacks := out.Room.Lacks(); lacks > 0 {
		return &exitError{
			exitFailed, fmt.Errorf("%w: %d MiB lack even when tmem gives all it can", tune.ErrNoRoom, (lacks+1023)/1024),
			t.couldGive(out.Room),
		}
	}
	if out.Unneeded != "" {
		t.say("Nothing need be done: %s.", out.Unneeded)
	}
	if t.dryRun {
		t.say("Nothing was changed: --dry-run.")
		return nil
	}
	if out.Unneeded != "" {
		if o.start == "" {
			return nil
		}
		return t.create(ctx, o.start)
	}
	r := tune.RoomRun{
		Keeper: t.keeper, Within: o.within, Hold: o.hold, Say: func(s string) { t.say("%s", s) }, Resize: t.resize,
		Wait: func(ctx context.Context, d time.Duration) error {
			if !sleep(ctx, d) {
				return ctx.Err()
			}
			return nil
		},
	}
	if o.start != "" {
		r.Start = func(ctx context.Context) error { return t.create(ctx, o.start) }
	}
	res, err := r.Make(ctx, t.seen, out.Room)
	out.Result = &res
	return err
}

// couldGive are the guests that could be asked, as far as Dom0 can tell.
func (t *tuneRun) couldGive(r tune.Room) []string {
	var out []string
	for _, g := range r.Guests {
		if says, ok := g.Says.Get(); ok && g.AskTo == 0 {
			out = append(out, fmt.Sprintf("%s says that it could use %d MiB without swapping: --ask %s=SIZE", g.Ref, says/1024, run.Quote(g.Name)))
		}
	}
	if len(out) == 0 {
		out = append(out, "no guest says what it could spare: look in each (free -m), then --ask NAME=SIZE")
	}
	return append(out, "Dom0 is not made smaller: its kernel and the backends of all guests need what it has")
}

// create starts the guest.
func (t *tuneRun) create(ctx context.Context, cfg string) error {
	c := run.Cmd{Name: "xl", Args: []string{"create", cfg}, Timeout: 10 * time.Minute}
	_, err := t.env.Run.Checked(ctx, c)
	if err == nil {
		t.say("The guest of %s is created.", cfg)
	}
	return err
}

// resize tells a guest its size.
func (t *tuneRun) resize(ctx context.Context, who tune.Ref, to units.KiB) error {
	c := run.Cmd{Name: "xl", Args: []string{"mem-set", strconv.Itoa(int(who.ID)), strconv.FormatInt(int64(to), 10) + "k"}}
	_, err := t.env.Run.Checked(ctx, c)
	return err
}

// account shows what there is.
func (t *tuneRun) account(r tune.Room) error {
	size := func(k units.KiB) string { return units.Group(k/1024) + " MiB" }
	fields := render.Fields{
		{Label: "wanted", Text: size(r.Want) + ", " + size(r.Need) + " with what Xen takes beside it"},
		{Label: "free", Text: size(r.Free)},
		{Label: "tmem could give back", Text: size(r.Freeable)},
		{Label: "asked of guests", Text: size(r.Asked)},
		{Label: "Dom0", Text: dom0Text(r)},
	}
	table := render.Table{
		Columns: []render.Column{
			{Key: "name", Name: "Guest", Cut: 24},
			{Key: "current_kib", Name: "Has", Unit: render.MiB, Align: render.Right},
			{Key: "available_kib", Name: "Says it\ncould spare", Unit: render.MiB, Align: render.Right},
			{Key: "swap_free_kib", Name: "Free\nswap", Unit: render.MiB, Align: render.Right},
			{Key: "shrinks", Name: "Shrinks\nitself"},
			{Key: "ask_to_kib", Name: "Asked to\ngo to", Unit: render.MiB, Align: render.Right},
			{Key: "freeze", Name: "Frozen"},
		},
		Absent: "Dom0 does not know",
	}
	yesNo := map[bool]string{true: "yes", false: "no"}
	for _, g := range r.Guests {
		asked := render.Str("")
		if g.AskTo > 0 {
			asked = render.Size(g.AskTo)
		}
		table.Rows = append(table.Rows, []render.Cell{
			render.Str(g.Name), sizeCell(g.Current), sizeCell(g.Says), sizeCell(g.SwapFree), render.Str(yesNo[g.Shrinks]), asked, render.Str(yesNo[g.Freeze]),
		})
	}
	doc := render.Document{fields, table}
	if len(r.Notes) > 0 {
		doc = append(doc, render.Findings{List: append([]finding.Finding{}, r.Notes...)})
	}
	return render.Text(t.env.Stdout, doc, render.Options{Width: t.env.Width})
}

func dom0Text(r tune.Room) string {
	has := ""
	if k, ok := r.Dom0.Get(); ok {
		has = units.Group(k/1024) + " MiB, "
	}
	if r.Toolstack.Autoballoon {
		return has + "left as it is; xl would shrink it were the room not there (" + r.Toolstack.Seen + ")"
	}
	return has + "left as it is"
}

func sizeCell(k opt.Value[units.KiB]) render.Cell {
	n, ok := k.Get()
	if !ok {
		return render.Cell{}
	}
	return render.Size(n)
}
