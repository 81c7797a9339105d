package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/kernelbuild"
	"xtm/kernelbuild/install"
)

func kernelListCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show the kernels that are installed: running, default, next, xtm's, with tmem",
		ArgsUsage: noArgument,
		Description: `It changes nothing.

   xtm kernel list
   xtm kernel list --format json`,
		Flags: []cli.Flag{
			bootedByFlag(), rootFlag(), formatFlag("table, json, csv or markdown"),
		},
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			format := c.String("format")
			k, err := openKernel(c, env)
			if err != nil {
				return err
			}
			return k.list(c.Context, format)
		},
	}
}

// list shows what is installed.
func (k *kernelRun) list(ctx context.Context, format string) error {
	l, err := install.ReadList(ctx, k.machine, k.bootedBy)
	if err != nil {
		return err
	}
	if format == "json" {
		return render.JSON(k.env.Stdout, l, true)
	}
	table := kernelTable(l)
	switch format {
	case "csv":
		return render.CSV(k.env.Stdout, table)
	case "markdown":
		return render.Markdown(k.env.Stdout, render.Document{table})
	}
	return render.Text(k.env.Stdout, render.Document{table}, render.Options{Width: k.env.Width})
}

// kernelTable is a row for each kernel.
func kernelTable(l install.List) render.Table {
	t := render.Table{
		Title: "Kernels", Absent: "could not be told",
		Columns: []render.Column{
			{Key: "release", Name: "Kernel"},
			{Key: "package_version", Name: "Package"},
			{Key: "running", Name: "Running"},
			{Key: "default", Name: "Default"},
			{Key: "next_once", Name: "Next,\nonce"},
			{Key: "held", Name: "Held"},
			{Key: "own", Name: "xtm's"},
			{Key: "tmem", Name: "tmem"},
		},
	}
	numbered := l.By == install.ByPygrub
	if numbered {
		t.Columns = append(t.Columns, render.Column{Key: "pygrub_entry", Name: "pygrub\n--entry", Align: render.Right})
	}
	for _, k := range l.Kernels {
		own := "no"
		switch {
		case k.Confirmed:
			own = "confirmed"
		case k.Own:
			own = "on trial"
		}
		pkg := k.Version
		if k.Status != "" && k.Status != "ii" {
			pkg += " (" + k.Status + ")"
		}
		row := []render.Cell{
			render.Str(k.Release), render.Str(pkg), yesNo(k.Running), yesNo(k.Default), yesNo(k.Next),
			yesNo(opt.Of(k.Held)), render.Str(own), tmemWay(k.Tmem),
		}
		if numbered {
			row = append(row, opt.Map(k.Number, func(n int) render.Cell { return render.Int(int64(n)) }).Or(render.Cell{}))
		}
		t.Rows = append(t.Rows, row)
	}
	by := "could not be told"
	if l.By != "" {
		by = string(l.By)
	}
	t.Notes = []string{"booted by: " + by + " (" + l.Why + ")"}
	if l.Killed != "" {
		t.Notes = append(t.Notes, l.Killed+" was killed: the next change puts it right first")
	}
	return t
}

// yesNo is a dash where it could not be told.
func yesNo(v opt.Value[bool]) render.Cell {
	return opt.Map(v, func(yes bool) render.Cell {
		if yes {
			return render.Str("yes")
		}
		return render.Str("no")
	}).Or(render.Cell{})
}

// tmemWay is what it takes to have tmem under a kernel.
func tmemWay(v opt.Value[kernelbuild.Way]) render.Cell {
	return opt.Map(v, func(w kernelbuild.Way) render.Cell {
		switch w {
		case kernelbuild.WayReady, kernelbuild.WayModprobe, kernelbuild.WayBoot:
			return render.Str("yes")
		case kernelbuild.WayBuild, kernelbuild.WayOlder:
		}
		return render.Str("no")
	}).Or(render.Cell{})
}
