package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/kernelbuild"
	"xtm/kernelbuild/kconfig"
)

// step is what a phase does.
type step struct {
	phase Phase
	// inputs are what the outcome depends on, beside the phases before. A step
	// without them is quick and runs each time.
	inputs func(*session) []string
	// holds tells whether the outcome of an earlier run is still there.
	holds func(s *session, result map[string]string) bool
	run   func(s *session, ctx context.Context) (result map[string]string, err error)
}

// steps are all phases, in order.
func steps() []step {
	return []step{
		{phase: Locate, run: (*session).locate},
		{phase: Preflight, run: (*session).preflight},
		{Fetch, (*session).fetchInputs, (*session).fetched, (*session).fetch},
		{phase: Scan, run: (*session).scan},
		{Configure, (*session).configureInputs, (*session).configured, (*session).configure},
		{phase: VerifyConfig, run: (*session).verifyConfig},
		{Probe, (*session).makeInputs, (*session).probed, (*session).probe},
		{Build, (*session).makeInputs, (*session).built, (*session).build},
		{phase: PackageCheck, run: (*session).packageCheck},
	}
}

// makePlan collects the facts of the building machine and plans.
func (s *session) makePlan(ctx context.Context) error {
	name := ""
	if owner, ok := s.Export.Target.Owner.Get(); ok && s.Options.Source == "" {
		if src, err := kernelbuild.Locate(owner, s.Export.Target.Distribution); err == nil {
			name = src.Binary
		}
	}
	var err error
	if s.builder, err = s.Builder(ctx, s.Dir, name); err != nil {
		return err
	}
	s.replan()
	return nil
}

// replan plans with what is known now.
func (s *session) replan() {
	o := s.Options
	o.KeyExists = func(key string) bool {
		if filepath.IsAbs(key) {
			_, err := os.Stat(key)
			return err == nil
		}
		ok, err := hostfs.Root(s.treeDir()).Exists("/" + key)
		return err == nil && ok
	}
	s.plan = kernelbuild.NewPlan(kernelbuild.Facts{
		Target: s.Export.Target, Builder: s.builder, Options: o, Tree: s.tree, Config: s.base,
	})
	n := s.plan.Names
	s.record.Release, s.record.PackageVersion, s.record.Architecture = n.Release, n.PackageVersion, s.Export.Target.Architecture
	s.record.Profile = s.plan.Profile
	s.record.Inputs.Compiler = strings.TrimSpace(s.plan.Toolchain.Compiler.Name + " " + s.plan.Toolchain.Compiler.Version)
	s.record.Inputs.Compressor = s.plan.Compressor
	s.record.Inputs.Localmod, s.record.Inputs.Ccache = o.Localmod, s.builder.Ccache && !o.NoCcache
	s.record.Inputs.BaseConfig, s.record.Inputs.BaseSHA256 = s.plan.Config, sum([]byte(s.Export.Config))
}

// readTree reads the tree that is there: the user's own, or an earlier run's of
// the same source. The session has none where there is none.
func (s *session) readTree() error {
	dir := s.treeDir()
	if info, err := os.Stat(s.Options.Source); s.Options.Source != "" && err == nil && info.IsDir() {
		dir = s.Options.Source
	} else {
		j, err := openJournal(s.path("journal.json"))
		if err != nil {
			return err
		}
		e := j.Phases[Fetch]
		if e == nil || !e.Done || e.Result["source"] != s.sourceID() {
			return nil
		}
	}
	tree, err := kernelbuild.ReadTree(hostfs.Root(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.tree = tree
	return err
}

// sourceID tells sources apart.
func (s *session) sourceID() string {
	if s.Options.Source != "" {
		return s.Options.Source
	}
	if owner, ok := s.Export.Target.Owner.Get(); ok {
		if src, err := kernelbuild.Locate(owner, s.Export.Target.Distribution); err == nil {
			return src.ID()
		}
	}
	return ""
}

// locate finds out where the source is, and all that stands in the way.
func (s *session) locate(ctx context.Context) (map[string]string, error) {
	if err := s.readTree(); err != nil {
		return nil, err
	}
	if err := s.makePlan(ctx); err != nil {
		return nil, err
	}
	s.record.Inputs.Source = s.sourceID()
	if i := slices.IndexFunc(s.plan.Findings, func(f finding.Finding) bool { return f.Check == "source-unknown" }); i >= 0 {
		return nil, s.refuse()
	}
	return nil, nil
}

// preflight refuses what cannot work, before anything is fetched.
func (s *session) preflight(context.Context) (map[string]string, error) {
	if s.builder.Root {
		return nil, fmt.Errorf("make would run as root, and so would all that the tree brings: %w", kernelbuild.ErrPlan)
	}
	return nil, s.refuse()
}

// refuse is the plan's own error, with its findings.
func (s *session) refuse() error {
	err := s.plan.Err()
	if err == nil {
		return nil
	}
	phase := Preflight
	if s.tree != nil {
		phase = Scan
	}
	if finding.Worst(s.plan.Findings).Rank() < finding.Bad.Rank() && !errors.Is(err, cause.ErrNotSupported) {
		err = fmt.Errorf("%w: %w", err, ErrDiffers) // only the wishes stand in the way
	}
	e := &PhaseError{Phase: phase, Err: err}
	for _, f := range slices.Concat(s.plan.Findings, s.plan.Judgement.Findings) {
		if f.Verdict.Problem() {
			e.Findings = append(e.Findings, f)
		}
	}
	return e
}

// scan reads the tree and plans again: now every wish can be judged.
func (s *session) scan(context.Context) (map[string]string, error) {
	var err error
	if s.tree, err = kernelbuild.ReadTree(hostfs.Root(s.treeDir())); err != nil {
		return nil, err
	}
	s.replan()
	s.record.Inputs.Upstream = s.tree.Version
	return nil, s.refuse()
}

// verifyConfig compares what the kernel made with what was asked for.
func (s *session) verifyConfig(context.Context) (map[string]string, error) {
	requested, err := readConfig(s.path("config", "request.config"))
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.treeDir() + "/.config")
	if err != nil {
		return nil, err
	}
	final, err := kconfig.ReadConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s/.config: %w", s.treeDir(), err)
	}
	v, err := kernelbuild.Verify(s.tree, s.Export.Target, requested, final, s.plan.Requested)
	if err != nil {
		return nil, err
	}
	s.record.Symbols, s.record.Inputs.FinalSHA256 = v.Symbols, sum(b)
	if n := len(v.Collateral); n > 0 {
		s.Report(Event{Phase: VerifyConfig, Kind: Noted, Text: fmt.Sprintf("%d symbols changed that nobody asked for: see config/changes.txt", n)})
	}
	if err := s.writeChanges(v.Collateral); err != nil {
		return nil, err
	}
	if v.Holds() {
		return nil, nil
	}
	names := make([]string, len(v.Findings))
	for i, f := range v.Findings {
		names[i] = f.Subject
	}
	return nil, &PhaseError{Phase: VerifyConfig, Err: fmt.Errorf("%s: %w", strings.Join(names, ", "), ErrDiffers), Findings: v.Findings}
}

// writeChanges lists what differs from the base, for people.
func (s *session) writeChanges(collateral []kconfig.Change) error {
	var b strings.Builder
	list := func(title string, changes []kconfig.Change) {
		b.WriteString("# " + title + "\n")
		for _, c := range changes {
			fmt.Fprintf(&b, "%s: %q -> %q\n", c.Symbol, c.Old, c.New)
		}
	}
	list("asked for, and what it takes to build outside the distribution", s.plan.Changes)
	list("by the kernel's own rules", collateral)
	if err := os.WriteFile(s.path("config", "changes.txt"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write list of changes: %w", err)
	}
	return nil
}

func readConfig(path string) (*kconfig.Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := kconfig.ReadConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// hasModules tells whether the configuration has loadable modules.
func (s *session) hasModules() bool {
	c, err := readConfig(s.treeDir() + "/.config")
	return err == nil && c.Text("MODULES") == "y"
}

var errNoBase = fmt.Errorf("no configuration to start from: %w", cause.ErrNoData)
