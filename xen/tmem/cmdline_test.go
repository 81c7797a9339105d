package tmem_test

import (
	"testing"

	"xtm/xen/tmem"
)

func TestEnabled(t *testing.T) {
	tests := []struct {
		version, cmdline string
		on               bool
		word             string
	}{
		{"4.12.4", "tmem console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all", true, "tmem"},
		{"4.12.4", "console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all", false, ""},
		{"4.4.0", "", false, ""},
		{"4.4.0", "tmem_compress tmem=1", true, "tmem=1"},
		{"4.4.0", "tmem_compress xtmem tmemx", false, ""},
		{"4.4.0", "TMEM", false, ""},
		{"4.4.0", "tmem no-tmem", false, "no-tmem"},
		{"4.4.0", "no-tmem tmem", true, "tmem"},
		{"4.4.0", "  tmem=no  tmem=yes  x", true, "tmem=yes"},
		{"4.4.0", "no-tmem=no", true, "no-tmem=no"},
		{"4.4.0", "no-tmem=off tmem=false", false, "tmem=false"},
		{"4.4.0", "no-no-tmem", false, ""},
		{"4.4.0", "tmem=", true, "tmem="},
		{"4.4.0", "tmem=disable", false, "tmem=disable"},
		{"4.4.0", "placeholder -- tmem", false, ""},
		{"4.4.0", "tmem -- tmem=0", true, "tmem"},
		{"4.4.0", "\ttmem", false, ""}, // only spaces part words
		// Not a word of the list: yes up to 4.9, then refused.
		{"4.9.4", "tmem=maybe", true, "tmem=maybe"},
		{"4.9.4", "tmem=NO", true, "tmem=NO"},
		{"4.10.0", "tmem=maybe", false, ""},
		{"4.10.0", "tmem no-tmem=maybe", true, "tmem"},
		{"4.10.0", "tmem=enable", true, "tmem=enable"},
		// "disable" came with 4.1.
		{"4.0.4", "tmem=disable", true, "tmem=disable"},
		{"4.0.4", "tmem=off", false, "tmem=off"},
		{"", "tmem=maybe", false, ""},
		{"", "tmem=disable", false, "tmem=disable"},
	}
	for _, tt := range tests {
		on, word := tmem.Enabled(tt.cmdline, version(t, tt.version))
		if on != tt.on || word != tt.word {
			t.Errorf("Xen %s, %q: %v by %q, want %v by %q", tt.version, tt.cmdline, on, word, tt.on, tt.word)
		}
	}
}
