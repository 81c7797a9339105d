package install

import (
	"fmt"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/grub"
)

// ownScript makes the first entry of the menu where pygrub starts the guest;
// ownEntry is its id.
const (
	ownScript = "/etc/grub.d/09_xtm"
	ownEntry  = "xtm-default"
)

// ownScriptText takes its entry from what 10_linux makes at the time, so that
// words that are added to the command line later are in it, too.
const ownScriptText = `#!/bin/sh
# Written by xtm, which removes this file with: xtm kernel remove
# Dom0's pygrub boots the first entry. This makes it the one of this kernel:
release='%s'
set -e
"$(dirname "$0")/10_linux" 2>/dev/null | awk -v image="/vmlinuz-$release" '
/^[ \t]*menuentry / && !made { head = $0; body = ""; found = 0; inside = 1; next }
inside && /^[ \t]*}[ \t]*$/ {
	if (found) {
		sub(/^[ \t]*/, "", head)
		sub(/\$menuentry_id_option \047[^\047]*\047/, "$menuentry_id_option \047` + ownEntry + `\047", head)
		print head
		printf "%%s", body
		print "}"
		made = 1
	}
	inside = 0
}
inside {
	body = body $0 "\n"
	if ($1 ~ /^linux(16|efi)?$/ && substr($2, length($2) - length(image) + 1) == image && !/ (single|recovery)( |$)/) found = 1
}
'
`

// pinning is what it takes to make an entry the default and keep it.
type pinning struct {
	entry grub.Entry
	files []edit.Change
	// saved is what saved_entry has to be; "" leaves it.
	saved string
}

// nothing tells that the entry is the default already, and held.
func (p pinning) nothing() bool { return len(p.files) == 0 && p.saved == "" }

// pin works out what makes an entry of the menu the default. hold keeps it
// before what may come; without it pygrub's way leaves no script behind where
// the kernel is the first anyway.
func (b *boot) pin(e grub.Entry, hold bool, own []byte) (pinning, error) {
	p := pinning{entry: e}
	want := "saved"
	if b.By == ByPygrub {
		want = "0"
	}
	settings := b.Settings
	if b.Menu.Default != map[string]string{"saved": "${saved_entry}", "0": "0"}[want] {
		var err error
		if settings, err = b.Settings.Assign("GRUB_DEFAULT", want); err != nil {
			return p, blocked(err)
		}
	}
	p.files = settings.Changes()
	if b.By == ByPygrub {
		script := fmt.Appendf(nil, ownScriptText, linux(e))
		if !hold && b.firstWithout() == linux(e) {
			script = nil
		}
		if own != nil && !strings.Contains(string(own), "# Written by xtm") {
			return p, &cause.RefusalError{
				Kind: cause.Blocked, Seen: ownScript + " is there and is not xtm's", Why: "it would be overwritten",
				Ways: []string{"move it away, then run this again"},
			}
		}
		if string(script) != string(own) {
			p.files = append(p.files, edit.Change{Path: ownScript, Old: own, New: script, Mode: 0o755})
		}
		return p, nil
	}
	spec, err := b.Menu.Spec(e)
	if err != nil {
		return p, err
	}
	if b.Env["saved_entry"] != spec {
		p.saved = spec
	}
	return p, nil
}

// firstWithout is the kernel that would be first without xtm's entry.
func (b *boot) firstWithout() string {
	for e := range b.Menu.All() {
		if e.ID != ownEntry {
			return linux(e)
		}
	}
	return ""
}

// unpin takes away what pin put there for GRUB's settings and pygrub.
func (b *boot) unpin(own []byte) ([]edit.Change, error) {
	settings := b.Settings
	var err error
	for _, value := range []string{"saved", "0"} {
		if settings, err = settings.Unassign("GRUB_DEFAULT", value); err != nil {
			return nil, err
		}
	}
	files := settings.Changes()
	if own != nil && strings.Contains(string(own), "# Written by xtm") {
		files = append(files, edit.Change{Path: ownScript, Old: own, Mode: 0o755})
	}
	return files, nil
}

// blocked gives GRUB's refusal the shape of a plan's.
func blocked(err error) error {
	if e, ok := err.(*grub.RefusedError); ok { //nolint:errorlint // Assign returns it as it is
		return &cause.RefusalError{Kind: cause.Blocked, Seen: e.Where.String(), Why: e.Seen, Ways: []string{e.Advice}}
	}
	return err
}

// prove makes sure that an entry of the same kernel under the same hypervisor is
// the default of a menu that was made again, and that GRUB holds it there.
func (b *boot) prove(want grub.Entry) error {
	got, err := b.usual()
	switch {
	case err != nil:
		return fmt.Errorf("prove the default: %w", err)
	case b.By == ByGRUB && b.Menu.Default != "${saved_entry}":
		return fmt.Errorf("prove the default: %s has default=%q, not the saved entry", b.Loader.Menu, b.Menu.Default)
	case linux(got) != linux(want) || xen(got) != xen(want) || linux(want) == "" && got.Title != want.Title:
		return fmt.Errorf("prove the default: %s would boot %q, not %q", b.Loader.Menu, got.Title, want.Title)
	}
	return nil
}

// lacks lists what the menu does not have of a new kernel.
func (b *boot) lacks(release string, initrd bool) []string {
	var out []string
	hypervisors := []string{""}
	if h := b.hypervisor(); h != "" {
		hypervisors = append(hypervisors, h)
	}
	for _, h := range hypervisors {
		e, ok := b.entryOf(release, h)
		what := "no entry of Linux " + release
		if h != "" {
			what = "no entry of Xen with Linux " + release
		}
		switch {
		case !ok:
			out = append(out, what)
		case initrd && !slices.ContainsFunc(e.Initrd, func(p string) bool { return strings.HasSuffix(p, "/initrd.img-"+release) }):
			out = append(out, fmt.Sprintf("line %d: %q does not load /boot/initrd.img-%s", e.Line, e.Title, release))
		}
	}
	return out
}
