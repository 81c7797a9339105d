package grub

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

// Menu is a grub.cfg, so far as it decides what boots. Files that it sources at
// boot, custom.cfg, are not part of it.
type Menu struct {
	Entries []Entry
	// Default is what grub.cfg sets default to: a number, title or id, or a path
	// of them with ">", or "${saved_entry}".
	Default string
	// NextEntry tells whether next_entry of the environment block goes first, as
	// grub-reboot sets it.
	NextEntry bool
	// BLS tells that blscfg adds entries from /boot/loader/entries, which are not
	// in this file (Fedora 30 and its kin).
	BLS bool
}

// Entry is a menu entry or a submenu.
type Entry struct {
	Title string
	// ID is what --id gives, empty where it is the title.
	ID   string
	Line int
	// Path is the way to it by numbers, as GRUB_DEFAULT takes it: "1>2".
	Path string
	// Submenu tells a submenu, even an empty one; Entries are in it.
	Submenu bool
	Entries []Entry
	// Recovery is what 10_linux and 20_linux_xen make for recovery mode.
	Recovery bool
	// Conditional tells that only some machines show it, as "System setup" on
	// EFI: numbers after it are not certain.
	Conditional bool
	// Xen, Linux are the images with their words; more than one where conditions
	// choose. Linux beside Xen is Dom0's kernel. Initrd are the other modules.
	Xen, Linux []Image
	Initrd     []string
}

// Image is a hypervisor or a kernel that an entry loads.
type Image struct {
	Path string
	// Args are the words after the path, without GRUB's quotes; variables of
	// GRUB's are left as they stand.
	Args []string
	Line int
}

// Has tells whether a word is among an image's.
func (i Image) Has(word string) bool { return slices.Contains(i.Args, word) }

// All are the entries that boot something, those in submenus too, in order.
func (m Menu) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) { each(m.Entries, yield) }
}

func each(entries []Entry, yield func(Entry) bool) bool {
	for _, e := range entries {
		if e.Submenu {
			if !each(e.Entries, yield) {
				return false
			}
		} else if !yield(e) {
			return false
		}
	}
	return true
}

// ParseMenu reads a grub.cfg. What it does not know it passes over; the error
// is of a file that GRUB could not read either, and names the line.
//
//	menuentry 'Debian GNU/Linux, with Xen hypervisor' --class xen $menuentry_id_option 'xen-gnulinux-simple-1-2' {
//		multiboot2	/boot/xen-4.17-amd64.gz placeholder dom0_mem=1024M,max:1024M tmem ${xen_rm_opts}
//		module2	/boot/vmlinuz-6.1.0-56-amd64 placeholder root=UUID=1-2 ro quiet
//		module2	--nounzip   /boot/initrd.img-6.1.0-56-amd64
//	}
//
// (20_linux_xen of GRUB 2.06, Debian 12.)
func ParseMenu(src []byte) (Menu, error) {
	toks, err := tokens(src)
	if err != nil {
		return Menu{}, err
	}
	p := menuParser{blocks: []block{{into: &Entry{Submenu: true}}}}
	var cmd []token
	for _, t := range toks {
		switch {
		case t.word:
			cmd = append(cmd, t)
			continue
		case t.text == "{":
			p.open(cmd)
		default:
			p.command(cmd)
			if t.text == "}" {
				p.close()
			}
		}
		cmd = nil
	}
	p.command(cmd)
	for len(p.blocks) > 1 {
		p.close()
	}
	p.menu.Entries = p.blocks[0].into.Entries
	return p.menu, nil
}

// menuParser follows the blocks of a grub.cfg.
type menuParser struct {
	menu   Menu
	blocks []block
}

// block is what stands between braces.
type block struct {
	into *Entry // the entry or submenu it belongs to
	own  bool   // it is that entry's own block, not one within
	deep int    // conditions and loops that are open in it
}

// maxDepth bounds submenus within submenus.
const maxDepth = 50

func (p *menuParser) top() *block { return &p.blocks[len(p.blocks)-1] }

func (p *menuParser) open(cmd []token) {
	cmd = p.keywords(cmd)
	parent := p.top().into
	b := block{into: parent}
	if len(cmd) > 0 && len(p.blocks) < maxDepth {
		switch cmd[0].text {
		case "menuentry", "submenu":
			b.own = true
			b.into = newEntry(cmd)
			b.into.Conditional = p.top().deep > 0
			b.into.Path = fmt.Sprintf("%s%d", prefix(parent), len(parent.Entries))
			if !parent.Submenu {
				b.into.Path = "" // an entry cannot hold another
			}
		case "function":
			b.into = &Entry{} // its commands run elsewhere, or never
		}
	}
	p.blocks = append(p.blocks, b)
}

func prefix(parent *Entry) string {
	if parent.Path == "" {
		return ""
	}
	return parent.Path + ">"
}

func (p *menuParser) close() {
	if len(p.blocks) == 1 {
		return // one brace too many
	}
	b := *p.top()
	p.blocks = p.blocks[:len(p.blocks)-1]
	if parent := p.top().into; b.own && parent.Submenu {
		b.into.Recovery = recovery(b.into)
		parent.Entries = append(parent.Entries, *b.into)
	}
}

// newEntry reads the line of a menuentry: options, and the title as the first
// word that is none.
func newEntry(cmd []token) *Entry {
	e := &Entry{Submenu: cmd[0].text == "submenu", Line: cmd[0].line}
	titled := false
	for i := 1; i < len(cmd); i++ {
		t := cmd[i].text
		name, value, has := strings.Cut(t, "=")
		isID := t == "$menuentry_id_option" || t == "${menuentry_id_option}" || name == "--id"
		switch {
		case cmd[i].bare && (isID || name == "--class" || name == "--users" || name == "--hotkey" || name == "--source"):
			if !has && i+1 < len(cmd) {
				i++
				value = cmd[i].text
			}
			if isID {
				e.ID = value
			}
		case cmd[i].bare && strings.HasPrefix(t, "--"):
		case !titled:
			e.Title, titled = t, true
		}
	}
	return e
}

// recovery knows the ids of 10_linux and 20_linux_xen, which no language
// changes, and for older ones, without id, the words that make the mode.
func recovery(e *Entry) bool {
	if e.ID != "" && strings.Contains(e.ID, "gnulinux-") {
		return strings.Contains(e.ID, "-recovery-") || strings.HasSuffix(e.ID, "-recovery")
	}
	return slices.ContainsFunc(e.Linux, func(i Image) bool { return i.Has("single") || i.Has("recovery") })
}

// keywords takes off what opens and closes conditions and loops.
func (p *menuParser) keywords(cmd []token) []token {
	for len(cmd) > 0 && cmd[0].bare {
		switch cmd[0].text {
		case "if", "while", "until", "for":
			p.top().deep++
		case "fi", "done":
			p.top().deep = max(0, p.top().deep-1)
		case "then", "else", "elif", "do":
		default:
			return cmd
		}
		cmd = cmd[1:]
	}
	return cmd
}

func (p *menuParser) command(cmd []token) {
	cmd = p.keywords(cmd)
	if len(cmd) == 0 {
		return
	}
	name, args := cmd[0].text, make([]string, 0, len(cmd)-1)
	for _, t := range cmd[1:] {
		args = append(args, t.text)
	}
	e := p.top().into
	switch name {
	case "set":
		for _, a := range args {
			p.setDefault(a)
		}
	case "blscfg":
		p.menu.BLS = true
	case "multiboot", "multiboot2", "xen_hypervisor":
		if i, ok := image(args, cmd[0].line); ok && strings.HasPrefix(path.Base(i.Path), "xen") {
			e.Xen = append(e.Xen, i)
		}
	case "linux", "linux16", "linuxefi", "xen_linux":
		if i, ok := image(args, cmd[0].line); ok {
			e.Linux = append(e.Linux, i)
		}
	case "module", "module2", "xen_module":
		if i, ok := image(args, cmd[0].line); ok && len(e.Xen) > 0 && len(e.Linux) == 0 {
			e.Linux = append(e.Linux, i)
		} else if ok {
			e.Initrd = append(e.Initrd, i.Path)
		}
	case "initrd", "initrd16", "initrdefi", "xen_initrd":
		e.Initrd = append(e.Initrd, slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "--") })...)
	}
}

// setDefault reads what 00_header writes: next_entry, where there is one, or
// what GRUB_DEFAULT says.
func (p *menuParser) setDefault(arg string) {
	value, ok := strings.CutPrefix(arg, "default=")
	switch {
	case !ok || p.top().into != p.blocks[0].into:
	case value == "${next_entry}" || value == "$next_entry":
		p.menu.NextEntry = true
	default:
		p.menu.Default = value
	}
}

func image(args []string, line int) (Image, bool) {
	for i, a := range args {
		if !strings.HasPrefix(a, "--") {
			return Image{a, args[i+1:], line}, true
		}
	}
	return Image{}, false
}
