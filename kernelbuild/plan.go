package kernelbuild

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/units"
	"xtm/kernelbuild/kconfig"
)

// Plan is all that would be done, before anything is.
type Plan struct {
	Schema  int    `json:"schema"`
	Target  Target `json:"target"`
	Profile string `json:"profile"`
	// Source is nil where only --source can help.
	Source *Source `json:"source"`
	Routes []Route `json:"routes"`
	Tree   *Tree   `json:"tree"` // null while it is not there
	// Config is the path that the configuration comes from.
	Config string `json:"config"`
	// Sanitised and Requested are what will be written, in this order; Changes
	// is what differs from Config then, before the kernel has its say.
	Sanitised []kconfig.Request `json:"sanitised"`
	Requested []kconfig.Request `json:"requested"`
	Changes   []kconfig.Change  `json:"changes"`
	Judgement Judgement         `json:"judgement"`
	Names     Names             `json:"names"`
	// Make are the arguments of make, the target first.
	Make      []string  `json:"make"`
	Toolchain Toolchain `json:"toolchain"`
	// Compressor is for the packages: zstd where both machines know it.
	Compressor string `json:"compressor"`
	Needs      Needs  `json:"needs"`
	// Missing are packages to install first, Install the one line that does.
	Missing  []string          `json:"missing"`
	Install  string            `json:"install"`
	Findings []finding.Finding `json:"findings"`
}

// PlanSchema is the version of Plan's JSON form.
const PlanSchema = 1

// ErrPlan means that something stands in the way that can be put right.
var ErrPlan = errors.New("the build cannot start")

// Err tells why the plan cannot be carried out: it wraps cause.ErrNotSupported
// where a request is impossible in this kernel or its source cannot be known,
// ErrPlan where there is something to put right first, and is nil otherwise.
func (p Plan) Err() error {
	if p.Judgement.Impossible {
		var names []string
		for _, f := range p.Judgement.Findings {
			if f.Verdict == finding.Bad {
				names = append(names, f.Subject)
			}
		}
		return fmt.Errorf("plan kernel for %s: no %s: %w", p.Profile, strings.Join(names, ", "), cause.ErrNotSupported)
	}
	for _, f := range slices.Concat(p.Findings, p.Judgement.Findings) {
		switch {
		case f.Check == "source-unknown":
			return fmt.Errorf("plan kernel for %s: %s: %w", p.Profile, f.Seen, cause.ErrNotSupported)
		case f.Verdict == finding.Bad:
			return fmt.Errorf("plan kernel for %s: %s: %s: %w", p.Profile, f.Subject, f.Seen, ErrPlan)
		}
	}
	return nil
}

// NewPlan plans a build. It reads and changes nothing. What stands in the way is in
// the findings: all of it, not the first only.
func NewPlan(f Facts) Plan {
	p := Plan{
		Schema: PlanSchema, Target: f.Target, Profile: f.Options.Profile.Name,
		Tree: f.Tree, Config: f.Target.ConfigPath,
	}
	upstream := p.locate(f)
	p.user(f.Builder.Root)
	if f.Config == nil {
		p.add(finding.Bad, "config-missing", f.Target.Release, "no configuration of this kernel was found",
			"Install the distribution's kernel, or name a .config.", ConfigPaths(f.Target.Release, true))
	}
	p.wish(f)
	config := p.configure(f)
	if upstream == "" {
		p.Needs = estimate(f)
		return p
	}
	series, err := SeriesOf(upstream)
	if err != nil {
		p.add(finding.Bad, "version-unknown", upstream, err.Error(), "", nil)
		return p
	}
	p.judge(f, upstream)
	p.name(f, upstream)
	var fs []finding.Finding
	compilers := f.Builder.Compilers
	if name := f.Options.Compiler; name != "" {
		compilers = slices.DeleteFunc(slices.Clone(compilers), func(c Compiler) bool { return c.Name != name })
	}
	p.Toolchain, fs = chooseCompiler(series, f.Tree, f.Config, compilers)
	for i := range fs {
		if f.Options.AnyCompiler && fs[i].Verdict == finding.Bad && p.Toolchain.Compiler.Name != "" {
			fs[i].Verdict = finding.Warning
		}
	}
	p.Findings = append(p.Findings, fs...)
	f.Config = config
	p.Needs = estimate(f)
	p.Findings = append(p.Findings, judgeSpace(p.Needs, f.Builder.Folders)...)
	if f.Builder.Memory < jobBytes {
		p.add(finding.Warning, "memory-short", "memory", fmt.Sprintf("%s MiB available, and one job at a time can take %s MiB",
			units.Group(int64(f.Builder.Memory>>20)), units.Group(jobBytes>>20)), "Add swap or memory: the linker may be killed.", nil)
	}
	p.install(series, f, config)
	p.arguments(f, series)
	return p
}

// add notes a finding; paths become its evidence.
func (p *Plan) add(v finding.Verdict, check, subject, seen, advice string, paths []string) {
	f := finding.Finding{Check: check, Subject: subject, Verdict: v, Seen: seen, Advice: advice}
	for _, path := range paths {
		f.Evidence = append(f.Evidence, finding.Evidence{Name: path, Value: "not there"})
	}
	p.Findings = append(p.Findings, f)
}

// locate finds the source and the kernel's version; "" where both are unknown.
func (p *Plan) locate(f Facts) string {
	var upstream string
	owner, owned := f.Target.Owner.Get()
	switch s, err := Locate(owner, f.Target.Distribution); {
	case f.Options.Source != "":
		p.Routes = Routes(Source{}, f.Options, nil)
		if f.Tree == nil {
			p.add(finding.CouldNotTell, "source-not-read", f.Options.Source, "its version and what it can be built with are not known yet", "", nil)
		}
	case !owned:
		p.add(finding.Bad, "source-unknown", f.Target.Release, "no package has the running kernel, so no archive is known to have its source",
			"Name its tree, tarball or .dsc with --source.", OwnerPaths(f.Target.Release))
	case err != nil:
		why := strings.TrimSuffix(err.Error(), ": "+cause.ErrNotSupported.Error()) // Err says it again
		p.add(finding.Bad, "source-unknown", owner.Package, why, "Name its tree, tarball or .dsc with --source.", nil)
	default:
		p.Source, upstream = &s, s.Upstream
		p.Routes = Routes(s, f.Options, f.Builder.Offers)
	}
	if f.Tree != nil {
		if upstream != "" && upstream != f.Tree.Version {
			p.add(finding.Bad, "tree-version", f.Tree.Version, "the source should be "+upstream, "Fetch it again.", nil)
		}
		upstream = f.Tree.Version
	}
	return upstream
}

// user refuses root: a makefile of the tree would own the machine.
func (p *Plan) user(root bool) {
	if root {
		p.add(finding.Warning, "builds-as-root", "root", "make would run as root, and so would all that the tree brings",
			"Name a user with --user; the build drops to it.", nil)
	}
}

// wish collects the requests: those of the profile, and what the target boots
// by.
func (p *Plan) wish(f Facts) {
	var tree *kconfig.Tree
	if f.Tree != nil {
		tree = f.Tree.Kconfig
	}
	own := f.Options.Profile.Requests
	p.Requested = slices.Concat(own, initrdRequests(f.Target.Initrd, tree, own))
}

// configure makes the configuration that the build begins with; nil without a
// base.
func (p *Plan) configure(f Facts) *kconfig.Config {
	if f.Config == nil {
		return nil
	}
	exists := f.Options.KeyExists
	if exists == nil {
		exists = func(string) bool { return false }
	}
	var tree *kconfig.Tree // a nil one takes every request as it stands
	if f.Tree != nil {
		tree = f.Tree.Kconfig
	}
	p.Sanitised = Sanitise(tree, f.Config, f.Options.KeepDebug, exists)
	config := f.Config.Clone()
	var err error
	if p.Changes, err = tree.Apply(config, slices.Concat(p.Sanitised, p.Requested)); err != nil {
		p.add(finding.Bad, "request-unusable", p.Profile, err.Error(), "", nil)
	}
	return config
}

// judge tells whether the requests can come true.
func (p *Plan) judge(f Facts, upstream string) {
	var err error
	if f.Tree != nil && f.Config != nil {
		p.Judgement, err = Judge(f.Tree, f.Config, p.Requested)
	} else {
		p.Judgement, err = JudgeByRelease(upstream, p.Requested)
	}
	if err != nil {
		p.add(finding.Bad, "requests-unusable", p.Profile, err.Error(), "", nil)
	}
}

// name makes the names, and refuses those that would collide.
func (p *Plan) name(f Facts, upstream string) {
	var err error
	p.Names, err = Name(upstream, f.Options.LocalVersion.Or(f.Options.Profile.Suffix), f.Options.PackageVersion, f.Target.Architecture)
	switch {
	case err != nil:
		p.add(finding.Bad, "name-invalid", f.Options.Profile.Name, err.Error(), "Choose another --localversion or --package-version.", nil)
	case p.Names.Release == f.Target.Release:
		p.add(finding.Bad, "name-taken", p.Names.Release, "the running kernel has this release; its modules would be overwritten",
			"Choose another --localversion.", nil)
	case p.Names.LocalVersion[0] != '-' && p.Names.LocalVersion[0] != '+':
		p.add(finding.Note, "name-runs-on", p.Names.Release, "no dash stands before the suffix", "", nil)
	}
}

// becomes tells what the symbols will be: by the tree where it is there, else by
// what is written, with debug information gone if it shall go.
func becomes(f Facts, config *kconfig.Config) func(string) string {
	switch {
	case config == nil:
		return func(string) string { return "" }
	case f.Tree != nil:
		return f.Tree.Kconfig.Evaluate(config).Value
	default:
		return func(symbol string) string {
			if symbol == "DEBUG_INFO_BTF" && !f.Options.KeepDebug {
				return "n"
			}
			return config.Text(symbol)
		}
	}
}

// install lists what lacks on the building machine.
func (p *Plan) install(series Series, f Facts, config *kconfig.Config) {
	p.Missing = missing(packagesFor(series, f.Tree, becomes(f, config)), f.Builder.Installed)
	if len(p.Missing) == 0 {
		return
	}
	p.Install = "apt-get install --no-install-recommends " + strings.Join(p.Missing, " ")
	fd := finding.Finding{
		Check: "packages-missing", Subject: strings.Join(p.Missing, " "), Verdict: finding.Bad,
		Seen: "the build needs what is not installed", Commands: []string{p.Install},
	}
	p.Findings = append(p.Findings, fd)
}

// arguments are what make is told.
func (p *Plan) arguments(f Facts, series Series) {
	target := "bindeb-pkg"
	if f.Tree != nil && !f.Tree.Bindeb || f.Tree == nil && series.Before(Series{4, 0}) {
		target = "deb-pkg" // 3.13's does what bindeb-pkg does now
	}
	p.Compressor = f.Options.Compressor
	if p.Compressor == "" {
		const zstd = "1.21.18" // the first dpkg that reads zstd
		p.Compressor = "none"
		if atLeast(f.Target.DpkgVersion, zstd) && atLeast(f.Builder.DpkgVersion, zstd) {
			p.Compressor = "zstd"
		}
	}
	p.Make = []string{
		target, fmt.Sprintf("-j%d", p.Needs.Jobs),
		"LOCALVERSION=" + p.Names.LocalVersion, "KDEB_PKGVERSION=" + p.Names.PackageVersion,
		"KDEB_COMPRESS=" + p.Compressor, "DPKG_DEB_COMPRESSOR_TYPE=" + p.Compressor,
	}
	ccache := ""
	if f.Builder.Ccache && !f.Options.NoCcache {
		ccache = "ccache "
	}
	if c := p.Toolchain.Compiler.Name; c != "" && (c != "gcc" || ccache != "") {
		p.Make = append(p.Make, "CC="+ccache+c, "HOSTCC="+ccache+c)
	}
	p.Make = slices.Concat(p.Make, p.Toolchain.MakeArgs, f.Options.MakeArgs)
}
