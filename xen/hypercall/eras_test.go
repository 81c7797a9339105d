package hypercall

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"strings"
	"testing"
)

// TestOperationsOfAnotherEraDoNotCompile shows that a number whose meaning
// changed cannot be sent to a Xen where it means something else: 5 is "set
// weight" up to 4.7 and "read the record" from 4.8 on.
func TestOperationsOfAnotherEraDoNotCompile(t *testing.T) {
	for snippet, want := range map[string]string{
		`late{}.request(lateGetClient, 3, 0, 0, nil)`:    "",
		`late{}.request(earlySetWeight, 3, 100, 0, nil)`: "cannot use earlySetWeight",
		`late{}.request(earlyFreeze, 3, 0, 0, nil)`:      "cannot use earlyFreeze",
		`early{}.request(earlySetWeight, 3, 1, 0, nil)`:  "",
		`early{}.request(lateGetClient, 3, 0, 0, nil)`:   "cannot use lateGetClient",
		`sysctlTmem48{Cmd: earlySetWeight}`:              "cannot use earlySetWeight",
		`sysctlTmem46{Cmd: lateSetClient}`:               "cannot use lateSetClient",
		`tmemOp402{SubOp: lateSetClient}`:                "cannot use lateSetClient",
		`late{}.setWeight(3, 100)`:                       "late{}.setWeight undefined",
		`early{}.setClient(3, nil)`:                      "early{}.setClient undefined",
	} {
		got := typeErrors(t, "package hypercall\nvar _ = "+snippet+"\n")
		switch {
		case want == "" && len(got) > 0:
			t.Errorf("%s does not compile: %q", snippet, got)
		case want != "" && (len(got) == 0 || !strings.Contains(got[0], want)):
			t.Errorf("%s: %q, want an error with %q", snippet, got, want)
		}
	}
}

// typeErrors checks this package with one file more, and returns what is wrong
// in that file. Imports of other packages are not followed: their errors are
// elsewhere.
func typeErrors(t *testing.T, snippet string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "snippet.go", snippet, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := []*ast.File{file}
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n.Name(), ".go") && !strings.HasSuffix(n.Name(), "_test.go") && !strings.Contains(n.Name(), "_other") {
			f, err := parser.ParseFile(fset, n.Name(), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	var out []string
	conf := types.Config{Importer: noImports{}, Error: func(err error) {
		if e, ok := err.(types.Error); ok && fset.Position(e.Pos).Filename == "snippet.go" { //nolint:errorlint // go/types passes it bare
			out = append(out, e.Msg)
		}
	}}
	_, _ = conf.Check("xtm/xen/hypercall", fset, files, nil) // the errors were collected
	return out
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not followed") }
