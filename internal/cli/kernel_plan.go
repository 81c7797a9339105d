package cli

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/render"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/kernelbuild"
)

func kernelPlanCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "show what a build would take, and what stands in its way",
		ArgsUsage: noArgument,
		Description: `It fetches and changes nothing. It ends with 0 where the build can start, with 3 where something
has to be put right first, and with 4 where no configuration of this kernel fulfils the wishes.

   xtm kernel plan
   xtm kernel plan --profile xen-guest --localmod
   xtm kernel plan --source linux-5.10.223.tar.xz --format json`,
		Flags: append(jobFlags(), formatFlag("table or json")),
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			format := c.String("format")
			return showPlan(c, env, format)
		},
	}
}

// showPlan plans and shows it. A plan that cannot start is a result, not a
// failure.
func showPlan(c *cli.Context, env Env, format string) error {
	home, err := env.ownHome()
	if err != nil {
		return err
	}
	j, err := openJob(c.Context, c, env, home)
	if err != nil {
		return err
	}
	p, err := j.Plan(c.Context)
	if err != nil {
		return err
	}
	if format == "json" {
		err = render.JSON(env.Stdout, p, true)
	} else {
		err = render.Text(env.Stdout, planDocument(p, j.Dir), render.Options{Width: env.Width, Color: env.Terminal && !env.NoColor})
	}
	if err != nil {
		return err
	}
	switch err := p.Err(); {
	case err == nil:
		return nil
	case exitCode(err) == exitFailed:
		return &exitError{code: exitProblems}
	default:
		return &exitError{code: exitCode(err)}
	}
}

// ownHome is the home of the user who runs xtm.
func (e Env) ownHome() (string, error) {
	users, err := e.accounts()
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(users, func(a account) bool { return a.uid == os.Geteuid() }); i >= 0 {
		return users[i].home, nil
	}
	return "", nil
}

// planDocument shows a plan to people.
func planDocument(p kernelbuild.Plan, dir string) render.Document {
	doc := render.Document{
		render.Heading{Level: 1, Text: "Plan: " + p.Profile + " for " + p.Target.Release},
		planFields(p, dir),
	}
	if len(p.Routes) > 0 {
		ways := make(render.Bullets, 0, len(p.Routes))
		for _, r := range p.Routes {
			open := "not open: "
			if r.Open {
				open = ""
			}
			ways = append(ways, string(r.Kind)+" "+r.What+": "+open+r.Why)
		}
		doc = append(doc, render.Heading{Level: 2, Text: "Ways to the source, in this order"}, ways)
	}
	if len(p.Changes) > 0 {
		changes := make(render.Bullets, 0, len(p.Changes))
		for _, c := range p.Changes {
			old := c.Old
			if old == "" {
				old = "absent"
			}
			changes = append(changes, c.Symbol+": "+old+" -> "+c.New)
		}
		doc = append(doc, render.Heading{Level: 2, Text: "Changes to the configuration"}, changes)
	}
	if fs := slices.Concat(p.Findings, p.Judgement.Findings); len(fs) > 0 {
		doc = append(doc, render.Heading{Level: 2, Text: "What was found"}, render.Findings{List: fs, Evidence: true})
	}
	if p.Err() == nil {
		doc = append(doc, render.Hints{"the build can start: xtm kernel build with the same flags"})
	}
	return doc
}

func planFields(p kernelbuild.Plan, dir string) render.Fields {
	var f render.Fields
	add := func(label, text string) {
		if text != "" {
			f = append(f, render.Field{Label: label, Text: text})
		}
	}
	if p.Source != nil {
		add("Source", p.Source.ID()+", Linux "+p.Source.Upstream+": "+p.Source.Why)
	}
	if p.Tree != nil {
		add("Tree", fmt.Sprintf("Linux %s, %s symbols", p.Tree.Version, units.Group(len(p.Tree.Kconfig.Symbols))))
	}
	add("Configuration", p.Config)
	add("New release", p.Names.Release)
	add("Packages", p.Names.PackageVersion)
	if c := p.Toolchain.Compiler; c.Name != "" {
		add("Compiler", c.Name+" "+c.Version)
	}
	if p.Names.Release != "" && len(p.Make) > 0 {
		add("Command", run.Cmd{Name: "make", Args: p.Make}.String())
	}
	n := p.Needs
	add("Folder", dir)
	add("Space", fmt.Sprintf("%s MiB, %s inodes", units.Group(int64((n.Tree+n.Packages+n.Temporary)>>20)), units.Group(n.Inodes)))
	if n.ToSeconds > 0 {
		seconds := func(s int) string { return render.Duration(time.Duration(s) * time.Second) }
		add("Time", fmt.Sprintf("%s to %s with %d jobs (%s)", seconds(n.FromSeconds), seconds(n.ToSeconds), n.Jobs, n.Basis))
	}
	add("Install first", p.Install)
	return f
}
