package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/hwprofile"
	"xtm/hwprofile/layout"
	"xtm/hwprofile/pci"
	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/render"
)

func passthroughCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "passthrough",
		Usage:     "show which devices can go to a guest, why, and the commands for it",
		ArgsUsage: "[ADDRESS…]",
		Description: `It runs none of the commands that it shows. What the machine itself needs, such as the
controller of its root disk, gets none unless --force names the reason.

   xtm detect passthrough                             all devices
   xtm detect passthrough 01:00.0                     one, with its commands
   xtm detect passthrough --guest web1.cfg 01:00.0    for a guest: does its memory allow it?
   xtm detect passthrough --save devices.json         remember which device is where
   xtm detect passthrough --compare devices.json      after a card came or went: who moved?

It ends with 3 when a device that was named may not go, or a saved one moved.`,
		Flags: append(detectFlags("table, json or markdown"),
			&cli.StringSliceFlag{Name: "force", Usage: "give it away all the same: " + strings.Join(hwprofile.Guards(), ", ") + " (may be repeated)"},
			&cli.StringFlag{Name: "guest", Usage: "the guest's configuration, a `FILE` of xl: is its memory fit for a device?", TakesFile: true},
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of --format json and exit"},
			&cli.StringFlag{Name: "save", Usage: "write the identities of the devices into this `FILE`", TakesFile: true},
			&cli.StringFlag{Name: "compare", Usage: "compare with the identities in this `FILE`", TakesFile: true},
		),
		Action: func(c *cli.Context) error {
			o, err := passthroughOptionsOf(c)
			if err != nil {
				return err
			}
			if c.Bool("schema") {
				_, err := env.Stdout.Write(layout.PassthroughSchemaJSON())
				return err
			}
			return o.run(c.Context, env)
		},
	}
}

// passthroughOptions is the command line, understood.
type passthroughOptions struct {
	detectOptions
	of            []pci.Address
	force         []hwprofile.Guard
	save, compare string
	guest         *hwprofile.Guest
}

func passthroughOptionsOf(c *cli.Context) (passthroughOptions, error) {
	o := passthroughOptions{save: c.String("save"), compare: c.String("compare")}
	var err error
	if o.detectOptions, err = detectOptionsOf(c); err != nil {
		return o, err
	}
	for _, s := range c.Args().Slice() {
		a, err := pci.ParseAddress(s)
		if err != nil {
			return o, &usageError{err.Error(), []string{"for example: xtm detect passthrough 01:00.0"}}
		}
		o.of = append(o.of, a)
	}
	for _, g := range c.StringSlice("force") {
		if !slices.Contains(hwprofile.Guards(), g) {
			return o, &usageError{fmt.Sprintf("no guard is called %q", g), []string{"guards are: " + strings.Join(hwprofile.Guards(), ", ")}}
		}
		o.force = append(o.force, hwprofile.Guard(g))
	}
	file := c.String("guest")
	switch {
	case len(o.force) > 0 && len(o.of) == 0:
		return o, &usageError{"--force wants the address of the device", nil}
	case file != "" && len(o.of) == 0:
		return o, &usageError{"--guest wants the address of the device", nil}
	case file != "":
		text, err := readFile(file)
		if err != nil {
			return o, err
		}
		g, err := hwprofile.ParseGuest(text)
		if err != nil {
			return o, &usageError{msg: fmt.Sprintf("%s: %s", file, err)}
		}
		o.guest = &g
	}
	return o, nil
}

func (o passthroughOptions) run(ctx context.Context, env Env) error {
	p, err := o.read(ctx, env)
	if err != nil {
		return err
	}
	if len(p.Devices) == 0 {
		return &exitError{exitNotSupported, fmt.Errorf("%s: %w", noDevices(p), cause.ErrNotSupported), nil}
	}
	answer, err := o.answer(p)
	if err != nil {
		return err
	}
	if o.compare != "" {
		if answer.Compared, err = compared(p, o.compare); err != nil {
			return err
		}
	}
	if o.save != "" {
		if err := save(env, o.save, p.Identities(o.of)); err != nil {
			return err
		}
	}
	if o.format == "json" {
		err = render.JSON(env.Stdout, answer, true)
	} else {
		err = o.write(env, layout.Passthrough(answer))
	}
	if err != nil {
		return err
	}
	return o.outcome(env, answer)
}

// answer picks what was asked for, and the commands for what may go.
func (o passthroughOptions) answer(p hwprofile.Profile) (layout.Answer, error) {
	a := layout.Answer{
		Schema: hwprofile.Schema, Recorded: p.Recorded, Role: p.Role, IOMMU: p.IOMMU, Groups: p.Groups, By: p.GroupsBy,
		Devices: p.Passthrough, Memory: hwprofile.MemoryRule, Named: len(o.of) > 0,
	}
	if !a.Named {
		return a, nil
	}
	a.Devices = nil
	if o.guest != nil {
		f := o.guest.Check()
		a.Guest = &f
	}
	var may []pci.Address
	for _, at := range o.of {
		i := slices.IndexFunc(p.Passthrough, func(r hwprofile.Readiness) bool { return r.Address == at })
		if i < 0 {
			return a, &exitError{exitFailed, fmt.Errorf("no device has the address %s: %w", at, cause.ErrNoData), []string{"the devices: xtm detect"}}
		}
		a.Devices = append(a.Devices, p.Passthrough[i])
		if _, err := p.Commands([]pci.Address{at}, o.force); err != nil {
			a.Refused = append(a.Refused, err.Error())
			continue
		}
		may = append(may, at)
	}
	if a.Guest != nil && a.Guest.Verdict.Problem() {
		a.Refused, may = append(a.Refused, "the guest cannot have a device: "+a.Guest.Seen), nil
	}
	if len(may) == 0 {
		return a, nil
	}
	c, err := p.Commands(may, o.force)
	a.Commands = &c
	return a, err
}

// outcome turns what was seen into an exit code.
func (o passthroughOptions) outcome(env Env, a layout.Answer) error {
	unknown := slices.ContainsFunc(a.Devices, func(r hwprofile.Readiness) bool { return r.Answer == hwprofile.Unknown })
	switch {
	case a.Named && unknown && !env.Root:
		return &exitError{
			exitNeedsRoot, fmt.Errorf("whether it can go to a guest is seen by root only: %w", cause.ErrNeedsRoot),
			[]string{"sudo xtm detect passthrough"},
		}
	case len(a.Refused) > 0, finding.Worst(a.Compared).Problem():
		return &exitError{code: exitProblems}
	default:
		return nil
	}
}

func compared(p hwprofile.Profile, file string) ([]finding.Finding, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	var saved hwprofile.Saved
	if err := json.Unmarshal(text, &saved); err != nil {
		return nil, &usageError{msg: fmt.Sprintf("%s is not what --save wrote: %s", file, err)}
	}
	if saved.Schema != hwprofile.Schema {
		return nil, &usageError{msg: fmt.Sprintf("%s is not what --save of this xtm wrote: schema %d, not %d", file, saved.Schema, hwprofile.Schema)}
	}
	return p.Compare(saved), nil
}

// save writes identities where the user stands, whatever --root is.
func save(env Env, file string, s hwprofile.Saved) error {
	var b bytes.Buffer
	if err := render.JSON(&b, s, true); err != nil {
		return err
	}
	if old, err := readFile(file); err == nil && bytes.Equal(old, b.Bytes()) {
		_, err := fmt.Fprintf(env.Stderr, "%s says so already\n", file)
		return err
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(hostfs.Host, full, b.Bytes(), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stderr, "%d devices were saved in %s\n", len(s.Devices), file)
	return err
}
