package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/needs"
)

// binary builds xtm as users have it.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "xtm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestCompletion asks the shells themselves what they would complete.
func TestCompletion(t *testing.T) {
	xtm := binary(t)
	tests := []struct {
		shell string
		// ask prints the answers to the words that stand in WORDS.
		ask string
	}{
		{"bash", `source <(xtm completion bash)
			COMP_WORDS=(xtm $WORDS); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); [ -z "$LAST" ] && { COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)); }
			_xtm; printf '%s\n' "${COMPREPLY[@]}"`},
		{"zsh", `compdef() { :; }; compadd() { shift; printf '%s\n' "$@"; }; _files() { :; }
			source <(xtm completion zsh)
			words=(xtm ${=WORDS}); [ -z "$LAST" ] && words+=(""); CURRENT=${#words}; _xtm`},
		{"fish", `xtm completion fish | source; complete -C "xtm $WORDS$SPACE"`},
	}
	for _, tt := range tests {
		t.Run(tt.shell, func(t *testing.T) {
			shell := needs.Program(t, tt.shell)
			for _, q := range []struct{ words, last, want string }{
				{"", "", "report"},
				{"report --", "--", "--interval"},
				{"report --format", "", "csv"},
				{"completion", "", "fish"},
				{"detect", "", "passthrough"},
				{"detect --format", "", "lspci-tree"},
				{"detect passthrough --force", "", "boot-disk"},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				cmd := exec.CommandContext(ctx, shell, "-c", tt.ask)
				space := ""
				if q.last == "" && q.words != "" {
					space = " "
				}
				cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(xtm)+":"+os.Getenv("PATH"), "WORDS="+q.words, "LAST="+q.last,
					"SPACE="+space, "HOME="+t.TempDir())
				var out, errs bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &errs
				err := cmd.Run()
				cancel()
				if err != nil || !strings.Contains("\n"+out.String(), "\n"+q.want) {
					t.Errorf("%q completes to %q (%v, %s): want %s in it", q.words, out.String(), err, errs.String(), q.want)
				}
			}
		})
	}
}
