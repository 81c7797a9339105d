package kernelbuild

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"
	"xtm/internal/units"
)

// RecordName is the file beside the packages that says how they came to be.
const RecordName = "record.json"

// RecordSchema is the version of Record's JSON form.
const RecordSchema = 1

// Record says how packages came to be. It is written before the build and
// replaced after it, so that a build that was killed leaves one too.
type Record struct {
	Schema int         `json:"schema"`
	State  RecordState `json:"state"`
	// Release is the new kernel's uname -r.
	Release        string `json:"release"`
	PackageVersion string `json:"package_version"`
	Architecture   string `json:"architecture"`
	Profile        string `json:"profile"`
	// Target is the machine that the kernel is for, with the release that ran
	// there.
	Target Target `json:"target"`
	Inputs Inputs `json:"inputs"`
	// Phases are in the order in which they ran.
	Phases []PhaseTime `json:"phases"`
	// Symbols are the requested ones with what they became; empty before the
	// configuration was verified.
	Symbols []SymbolOutcome `json:"symbols"`
	// Reproducer is the command that makes the same packages in the same tree.
	Reproducer string `json:"reproducer"`
	// Packages are what was built; empty before they were checked.
	Packages []Package `json:"packages"`
}

// RecordState is how far a build came.
type RecordState string

// The states. Only the packages of a Checked record are to be installed.
const (
	Building RecordState = "building" // or it was killed
	Failed   RecordState = "failed"
	Checked  RecordState = "checked"
)

// Inputs are what a build was made from. A hash is SHA-256 in hex.
type Inputs struct {
	Source       string `json:"source"` // the package and its version, or the path that the user named
	Route        string `json:"route"`  // how it was fetched
	Upstream     string `json:"upstream"`
	BaseConfig   string `json:"base_config"` // its path
	BaseSHA256   string `json:"base_sha256"`
	FinalSHA256  string `json:"final_sha256"`
	Compiler     string `json:"compiler"`
	Compressor   string `json:"compressor"`
	Chroot       string `json:"chroot,omitempty"`
	Localmod     bool   `json:"localmod,omitempty"`
	Ccache       bool   `json:"ccache,omitempty"`
	Timestamp    string `json:"timestamp"` // KBUILD_BUILD_TIMESTAMP
	LogFile      string `json:"log"`       // base name, beside the record
	ObjectsBuilt int    `json:"objects"`   // what the progress of the next build expects
}

// PhaseTime is when a phase last ran and how long.
type PhaseTime struct {
	Phase   string    `json:"phase"`
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"`
	// Kept tells that the work of an earlier run still held.
	Kept bool `json:"kept,omitempty"`
}

// SymbolOutcome is a requested symbol in the final configuration.
type SymbolOutcome struct {
	Symbol string `json:"symbol"`
	Wanted string `json:"wanted"`
	Became string `json:"became"` // "" where the tree has no such symbol
	Holds  bool   `json:"holds"`
}

// Package is a file that was built.
type Package struct {
	File         string      `json:"file"` // base name, beside the record
	Name         string      `json:"name"`
	Version      string      `json:"version"`
	Architecture string      `json:"architecture"`
	Kind         PackageKind `json:"kind"`
	Size         units.Bytes `json:"size"`
	SHA256       string      `json:"sha256"`
}

// PackageKind is what a package is for.
type PackageKind string

// The kinds. A LibcDev is never to be installed: it replaces a package of the
// distribution.
const (
	Image   PackageKind = "image"
	Headers PackageKind = "headers"
	LibcDev PackageKind = "libc-dev"
	Debug   PackageKind = "debug"
)

// ErrRecord means that a file is no record of a build.
var ErrRecord = errors.New("not a record of a kernel build")

// maxRecord bounds a record; one of a whole build has 6 kB.
const maxRecord = 1 << 20

// ReadRecord reads a record. An error wraps ErrRecord where it is none, or of
// another schema.
func ReadRecord(files hostfs.Files, path string) (Record, error) {
	b, err := files.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	r, err := parseRecord(b)
	if err != nil {
		return Record{}, fmt.Errorf("read record %s: %w", path, err)
	}
	return r, nil
}

// parseRecord reads a record's bytes, as WriteRecord makes them.
func parseRecord(b []byte) (Record, error) {
	if len(b) > maxRecord {
		return Record{}, fmt.Errorf("%w: over %d bytes", ErrRecord, maxRecord)
	}
	var r Record
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("%w: something follows it", ErrRecord)
	}
	return r, r.valid()
}

var (
	packageFile = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9.+~_-]{0,250}\.deb$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{1,120}$`)
	sha256Hex   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// valid holds what others take from a record to what they rely on: names go
// into paths and command lines.
func (r Record) valid() error {
	switch {
	case r.Schema != RecordSchema:
		return fmt.Errorf("%w of this xtm: schema %d, and it reads %d", ErrRecord, r.Schema, RecordSchema)
	case r.State != Building && r.State != Failed && r.State != Checked:
		return fmt.Errorf("%w: state %q", ErrRecord, r.State)
	case !releaseForm.MatchString(r.Release) || len(r.Release) > maxRelease:
		return fmt.Errorf("%w: release %q", ErrRecord, r.Release)
	case !packageName.MatchString(r.Architecture):
		return fmt.Errorf("%w: architecture %q", ErrRecord, r.Architecture)
	}
	if err := checkVersion(r.PackageVersion); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	images := 0
	for _, p := range r.Packages {
		if err := p.valid(); err != nil {
			return fmt.Errorf("%w: package %q: %w", ErrRecord, p.File, err)
		}
		if p.Kind == Image {
			images++
		}
	}
	if r.State == Checked && images != 1 {
		return fmt.Errorf("%w: %d packages with an image", ErrRecord, images)
	}
	return nil
}

func (p Package) valid() error {
	switch {
	case !packageFile.MatchString(p.File):
		return errors.New("no name of a package's file")
	case !packageName.MatchString(p.Name):
		return fmt.Errorf("the name %q", p.Name)
	case !packageName.MatchString(p.Architecture):
		return fmt.Errorf("the architecture %q", p.Architecture)
	case p.Kind != Image && p.Kind != Headers && p.Kind != LibcDev && p.Kind != Debug:
		return fmt.Errorf("the kind %q", p.Kind)
	case p.Size <= 0:
		return fmt.Errorf("%d bytes", p.Size)
	case !sha256Hex.MatchString(p.SHA256):
		return fmt.Errorf("the hash %q", p.SHA256)
	}
	return checkVersion(p.Version)
}

// WriteRecord replaces the record at path, whole or not at all.
func WriteRecord(root hostfs.Root, path string, r Record) error {
	if err := r.valid(); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := atomicfile.Replace(root, path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}
