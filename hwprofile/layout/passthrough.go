package layout

import (
	"slices"
	"strings"

	"xtm/hwprofile"
	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/render"
	"xtm/internal/role"
)

// Answer is what detect passthrough has to say; it is its JSON form too.
type Answer struct {
	Schema int `json:"schema"`
	// Recorded names the recording that this was read from; "" is live.
	Recorded string `json:"recorded,omitempty"`
	// Role is which side of Xen this is; "" could not be told.
	Role   role.Role          `json:"role,omitempty"`
	IOMMU  hwprofile.IOMMU    `json:"iommu"`
	Groups []pci.Group        `json:"groups,omitempty"`
	By     hwprofile.GroupsBy `json:"groups_by,omitempty"`
	// Devices are those asked for, or all.
	Devices []hwprofile.Readiness `json:"devices"`
	// Commands give those that were asked for to a guest; nil where none was
	// asked for, or none may go.
	Commands *hwprofile.Commands `json:"commands,omitempty"`
	// Refused say why there are no commands for a device.
	Refused []string `json:"refused,omitempty"`
	// Compared are the saved devices against those of now.
	Compared []finding.Finding `json:"compared,omitempty"`
	// Memory is what a device does to its guest's memory.
	Memory string `json:"memory"`
	// Guest is whether the guest's configuration allows a device; nil where none
	// was given.
	Guest *finding.Finding `json:"guest,omitempty"`
	// Named is true where devices were asked for by address.
	Named bool `json:"-"`
}

// Passthrough is the answer for people.
func Passthrough(a Answer) render.Document {
	doc := render.Document{}
	if len(a.Compared) > 0 {
		doc = append(doc, render.Heading{Level: 1, Text: "Saved devices"}, render.Findings{List: a.Compared, Evidence: true})
	}
	head := recorded(a.Recorded)
	if a.Role == role.None {
		head = append(head, render.Field{Label: "Xen", Text: "does not run here: this is what it would find"})
	}
	if !a.Named {
		head = append(head, render.Field{Label: "IOMMU", Text: iommuWord(a.IOMMU) + ": " + a.IOMMU.Reason, Advice: a.IOMMU.Remedy})
		return append(doc, head, summary(a))
	}
	if len(head) > 0 {
		doc = append(doc, head)
	}
	for _, r := range a.Devices {
		doc = append(doc,
			render.Heading{Level: 1, Text: r.Address.String() + " " + r.Name + ": " + word(r.Answer)},
			render.Fields{{Label: "Identity", Text: r.Identity.String()}},
			render.Findings{List: ofOne(r.Reasons)})
	}
	if a.Guest != nil {
		doc = append(doc, render.Heading{Level: 2, Text: "The guest"}, render.Findings{List: []finding.Finding{*a.Guest}})
	}
	for _, why := range a.Refused {
		doc = append(doc, render.Paragraph("No commands: "+why))
	}
	if a.Commands != nil {
		doc = append(doc, commands(a)...)
	}
	return doc
}

// ofOne are findings below a heading that says of what they are.
func ofOne(list []finding.Finding) []finding.Finding {
	list = slices.Clone(list)
	for i := range list {
		list[i].Subject = ""
	}
	return list
}

// word is an answer as people read it.
func word(a hwprofile.Answer) string {
	switch a {
	case hwprofile.Ready:
		return "ready"
	case hwprofile.Conditional:
		return "ready with conditions"
	case hwprofile.NotReady:
		return "no"
	case hwprofile.Unknown:
	}
	return "could not tell"
}

// brief is an answer with the name of its worst reason.
func brief(r hwprofile.Readiness) string {
	w, checks := because(r)
	if len(checks) == 0 || checks[0] == hwprofile.PartOfTheMachine {
		return w
	}
	return w + ": " + checks[0]
}

// because is an answer in a word or two, with the names of its reasons, worst
// first; none where all is well.
func because(r hwprofile.Readiness) (string, []string) {
	reasons := slices.Clone(r.Reasons)
	slices.SortStableFunc(reasons, func(a, b finding.Finding) int { return b.Verdict.Rank() - a.Verdict.Rank() })
	var checks []string
	for _, f := range reasons {
		if f.Verdict.Problem() || f.Verdict == finding.CouldNotTell {
			checks = append(checks, f.Check)
		}
	}
	if r.Answer == hwprofile.Conditional {
		return "conditions", checks
	}
	return word(r.Answer), checks
}

// summary is a table of all devices, the best first.
func summary(a Answer) render.Table {
	t := render.Table{
		Title: "Devices for guests",
		Columns: []render.Column{
			{Key: "address", Name: "Address"},
			{Key: "name", Name: "Device", Cut: 50},
			{Key: "answer", Name: "To a guest"},
			{Key: "because", Name: "Because of"},
		},
		Absent: "nothing stands in the way",
		Notes:  []string{a.Memory, "Reasons in full, and commands: xtm detect passthrough ADDRESS"},
	}
	order := []hwprofile.Answer{hwprofile.Ready, hwprofile.Conditional, hwprofile.Unknown, hwprofile.NotReady}
	devices := slices.Clone(a.Devices)
	slices.SortStableFunc(devices, func(x, y hwprofile.Readiness) int {
		return slices.Index(order, x.Answer) - slices.Index(order, y.Answer)
	})
	for _, r := range devices {
		w, checks := because(r)
		if slices.Contains(checks, hwprofile.PartOfTheMachine) {
			continue
		}
		row := []render.Cell{render.Str(r.Address.String()), render.Str(short(r.Name)), render.Str(w), {}}
		if len(checks) > 0 {
			row[3] = render.Str(strings.Join(checks, ", "))
		}
		t.Rows = append(t.Rows, row)
	}
	if left := len(a.Devices) - len(t.Rows); left > 0 {
		t.Notes = append([]string{"Bridges and what else belongs to the machine itself are not listed."}, t.Notes...)
	}
	return t
}

// commands are findings, so that their lines stand as they are to be typed.
func commands(a Answer) []render.Block {
	c := a.Commands
	var forced render.Findings
	for _, g := range c.Forced {
		for _, r := range a.Devices {
			for _, f := range r.Reasons {
				if f.Check == string(g) {
					f.Verdict, f.Commands = finding.Dangerous, nil
					forced.List = append(forced.List, f)
				}
			}
		}
	}
	var doc []render.Block
	if len(forced.List) > 0 {
		doc = append(doc, render.Heading{Level: 2, Text: "You insisted, against this"}, forced)
	}
	step := func(check, seen string, lines ...string) finding.Finding {
		return finding.Finding{Check: check, Verdict: finding.Note, Seen: seen, Commands: lines}
	}
	steps := render.Findings{List: []finding.Finding{step("guest", "put this line into the guest's configuration", c.Guest)}}
	if c.HideNote != "" {
		steps.List = append(steps.List, step("hide", c.HideNote))
	}
	if len(c.Hide) > 0 {
		steps.List = append(steps.List,
			step("hide", "keep Dom0's drivers off "+pci.Join(c.Devices)+" from the next boot on", c.Hide...),
			step("hide-undo", "undo that", c.HideUndo...))
	}
	if len(c.Now) > 0 {
		steps.List = append(steps.List,
			step("now", "or take "+pci.Join(c.Devices)+" from Dom0 now, until the next boot", c.Now...),
			step("now-undo", "give it back to Dom0, when no guest has it", c.NowUndo...))
	}
	doc = append(doc, render.Heading{Level: 2, Text: "Commands: none of them has been run"}, steps)
	if a.Guest == nil {
		doc = append(doc, render.Paragraph(a.Memory))
	}
	return doc
}
