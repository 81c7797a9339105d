package install

import (
	"fmt"
	"slices"
	"time"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

const (
	stateFolder = statedir.Path + "/kernel"
	stateFile   = stateFolder + "/state.json"
)

// stateSchema is the version of the state's form.
const stateSchema = 1

// state says which kernels are xtm's and how their default is held, so that all
// of it can be taken back, and what a run was about to do when it was killed.
type state struct {
	Schema  int      `json:"schema"`
	Kernels []kernel `json:"kernels,omitempty"`
	// Hold is absent where the default was never changed.
	Hold *hold `json:"hold,omitempty"`
	// Pending is a run that has not ended.
	Pending *pending `json:"pending,omitempty"`
}

// kernel is one that xtm installed.
type kernel struct {
	Release  string    `json:"release"`
	Packages []string  `json:"packages"`
	Version  string    `json:"version"`
	Added    time.Time `json:"added"`
	// Confirmed tells that it booted well and was made the default.
	Confirmed bool `json:"confirmed,omitempty"`
}

// hold is how things were before the first kernel of xtm's came.
type hold struct {
	By Starter `json:"by"`
	// Known is the release that was the default then.
	Known string `json:"known"`
	// Saved is what saved_entry was then; nil is nothing.
	Saved *string `json:"saved"`
	// Marked are packages that apt might have removed by itself.
	Marked []string `json:"marked,omitempty"`
}

// pending is what a run does. It is written before the first change.
type pending struct {
	Verb    Verb      `json:"verb"`
	Release string    `json:"release"`
	Began   time.Time `json:"began"`
	By      Starter   `json:"by"`
	// Packages are those that the run brings.
	Packages []string      `json:"packages,omitempty"`
	Files    []edit.Change `json:"files,omitempty"`
	// Env is GRUB's environment before the run, as far as the run changes it.
	Env map[string]*string `json:"env,omitempty"`
	// Marked is the package that the run tells apt to keep.
	Marked string `json:"marked,omitempty"`
}

// Verb is what a run does.
type Verb string

// The verbs. A killed Install or Confirm is undone, a killed Remove is finished.
const (
	VerbInstall Verb = "install"
	VerbConfirm Verb = "confirm"
	VerbRemove  Verb = "remove"
)

// find returns the kernel of a release.
func (s *state) find(release string) (*kernel, bool) {
	i := slices.IndexFunc(s.Kernels, func(k kernel) bool { return k.Release == release })
	if i < 0 {
		return nil, false
	}
	return &s.Kernels[i], true
}

// without is the state without a kernel; without the last one nothing is held.
func (s state) without(release string) state {
	s.Kernels = slices.DeleteFunc(slices.Clone(s.Kernels), func(k kernel) bool { return k.Release == release })
	if len(s.Kernels) == 0 {
		s.Hold = nil
	}
	s.Pending = nil
	return s
}

// readState returns an empty state where there is none.
func readState(files hostfs.Files) (state, error) {
	b, err := files.ReadFile(stateFile)
	switch {
	case cause.Of(err) == cause.NoData:
		return state{Schema: stateSchema}, nil
	case err != nil:
		return state{}, err
	}
	return parseState(b)
}

// parseState reads a state. One that it does not understand is an error: what
// was changed would be unknown.
func parseState(b []byte) (state, error) {
	var s state
	if err := statedir.Parse(b, stateSchema, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", stateFile, err)
	}
	releases := []string{}
	for _, k := range s.Kernels {
		releases = append(releases, k.Release)
	}
	if s.Pending != nil {
		releases = append(releases, s.Pending.Release)
	}
	for _, r := range releases {
		if !releaseName.MatchString(r) {
			return s, fmt.Errorf("read %s: %.80q is no release of a kernel", stateFile, r)
		}
	}
	return s, nil
}

// write keeps the state, or removes its file where it says nothing.
func (s state) write(root hostfs.Root) error {
	if len(s.Kernels) == 0 && s.Hold == nil && s.Pending == nil {
		return statedir.Forget(root, stateFile)
	}
	return statedir.Keep(root, stateFile, s)
}
