package kconfig

// Tristate is what an option of a kernel can be. The zero value is No. They are
// ordered: "and" is the smaller, "or" the larger of two.
type Tristate uint8

// The three values of Kconfig, "n", "m" and "y".
const (
	No Tristate = iota
	Module
	Yes
)

// String is the letter that a .config uses.
func (t Tristate) String() string {
	switch t {
	case Yes:
		return "y"
	case Module:
		return "m"
	default:
		return "n"
	}
}

// not is Kconfig's "!": m stays m.
func (t Tristate) not() Tristate { return Yes - t }

// tristateOf reads a letter; everything else is no tristate.
func tristateOf(s string) (Tristate, bool) {
	switch s {
	case "y":
		return Yes, true
	case "m":
		return Module, true
	case "n":
		return No, true
	default:
		return No, false
	}
}

// Type is the type of a symbol.
type Type string

// The types. Untyped symbols are named by a tree but never given a type, as
// happens when only another architecture does.
const (
	Untyped      Type = ""
	Bool         Type = "bool"
	TristateType Type = "tristate"
	String       Type = "string"
	Int          Type = "int"
	Hex          Type = "hex"
)

// logical tells whether a symbol takes y, m and n.
func (t Type) logical() bool { return t == Bool || t == TristateType }
