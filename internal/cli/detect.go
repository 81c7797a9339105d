package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/capture"
	"xtm/hwprofile"
	"xtm/hwprofile/layout"
	"xtm/hwprofile/pci"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/xen/xl"
)

func detectCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "detect",
		Usage:     "show what this machine is: processor, memory, devices, IOMMU",
		ArgsUsage: noArgument,
		Description: `It reads and prints, and changes nothing. As root it sees all; other users are told what is
missing. In Dom0 it asks Xen, not Dom0's kernel, for what only Xen knows.

   xtm detect                          this machine
   xtm detect --format lspci-tree      its devices as lspci -tv shows them
   xtm detect --format json            everything, for programs
   xtm detect --from host.tar.gz       a machine that xtm capture recorded
   xtm detect passthrough              which devices can go to a guest, and why`,
		Flags: append(detectFlags("table, json, markdown or lspci-tree"),
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of --format json and exit"},
		),
		Subcommands: []*cli.Command{passthroughCommand(env)},
		Action: func(c *cli.Context) error {
			o, err := detectOptionsOf(c)
			if err != nil {
				return err
			}
			if c.Bool("schema") {
				_, err := env.Stdout.Write(layout.SchemaJSON())
				return err
			}
			p, err := o.read(c.Context, env)
			if err != nil {
				return err
			}
			return o.show(env, p)
		},
	}
}

func detectFlags(formats string) []cli.Flag {
	return []cli.Flag{
		formatFlag(formats),
		&cli.StringFlag{Name: "from", Aliases: []string{"source"}, Usage: "read the machine that this `CAPTURE` recorded", TakesFile: true},
		&cli.StringFlag{Name: "root", Usage: "read the machine whose / is `DIR`; no programs are run then", TakesFile: true},
		&cli.StringFlag{Name: "pci-ids", Usage: "take names from this `FILE` before the system's", TakesFile: true},
	}
}

// detectOptions is the command line, understood.
type detectOptions struct {
	format, root, from string
	names              *pci.IDs
}

func detectOptionsOf(c *cli.Context) (detectOptions, error) {
	o := detectOptions{format: c.String("format"), root: c.String("root"), from: c.String("from")}
	if o.root != "" && o.from != "" {
		return o, &usageError{"--root and --from exclude each other", nil}
	}
	if err := knownFormat(c); err != nil {
		return o, err
	}
	if f := c.String("pci-ids"); f != "" {
		text, err := readFile(f)
		if err != nil {
			return o, err
		}
		if o.names, err = pci.ParseIDs(text); err != nil {
			return o, &usageError{msg: fmt.Sprintf("%s: %s", f, err)}
		}
	}
	return o, nil
}

func (o detectOptions) read(ctx context.Context, env Env) (hwprofile.Profile, error) {
	m := hwprofile.Machine{Files: env.Files, Run: env.Run, Names: o.names}
	recorded := ""
	switch {
	case o.root != "":
		if !exists(o.root) {
			return hwprofile.Profile{}, &usageError{msg: "there is no folder " + o.root}
		}
		m.Files, m.Run = hostfs.Root(o.root), hwprofile.NoPrograms
	case o.from != "":
		c, err := capture.Open(o.from)
		if errors.Is(err, fs.ErrNotExist) {
			return hwprofile.Profile{}, &usageError{msg: "there is no capture " + o.from}
		}
		if err != nil {
			return hwprofile.Profile{}, err
		}
		// The names of devices are not in a capture: they are those of here.
		m.Files, m.Run, m.IDs, recorded = c.Seams().Files, c.Seams().Run, env.Files, c.Label()
	}
	m.Hypervisor = xl.New(m.Run, m.Files)
	p, err := hwprofile.Read(ctx, m)
	p.Recorded = recorded
	return p, err
}

func (o detectOptions) show(env Env, p hwprofile.Profile) error {
	switch o.format {
	case "json":
		return render.JSON(env.Stdout, p, true)
	case "lspci-tree":
		if len(p.Devices) == 0 {
			return errors.New(noDevices(p))
		}
		_, err := env.Stdout.Write(p.LspciTree())
		return err
	default:
		return o.write(env, layout.Document(p))
	}
}

// write renders a document for people.
func (o detectOptions) write(env Env, doc render.Document) error {
	if o.format == "markdown" {
		return render.Markdown(env.Stdout, doc)
	}
	return render.Text(env.Stdout, doc, env.page())
}

// noDevices says that there are none, and why as far as that is known.
func noDevices(p hwprofile.Profile) string {
	for _, g := range p.Gaps {
		if g.What == hwprofile.PCIDevices {
			return "this machine shows no PCI devices: " + strings.TrimPrefix(g.Why, "list PCI devices: ")
		}
	}
	return "this machine shows no PCI devices"
}
