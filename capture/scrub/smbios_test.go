package scrub

import (
	"bytes"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/smbios"
)

// structure is one of a firmware's table, with its strings.
func structure(kind byte, fields []byte, texts ...string) []byte {
	b := append([]byte{kind, byte(4 + len(fields)), 0, 0}, fields...)
	if len(texts) == 0 {
		return append(b, 0, 0)
	}
	return append(b, strings.Join(texts, "\x00")+"\x00\x00"...)
}

// dmiTable is synthetic: a machine with a serial number, a secret for systemd,
// and two modules.
func dmiTable() []byte {
	module := make([]byte, 0x1b-4)
	module[locator-4], module[locator-3], module[0x18-4] = 1, 2, 3
	bare := make([]byte, 0x1b-4)
	return bytes.Join([][]byte{
		structure(1, []byte{1, 2}, "Supermicro", "SERIAL-4711"),
		structure(11, []byte{1}, "io.systemd.credential:passwd.hashed-password.root=hunter2"),
		structure(16, []byte{3, 3, 6, 0, 0, 0, 2}),
		structure(17, module, "P1-DIMMA1", "BANK-OWNER", "SERIAL-4712"),
		structure(17, bare),
		structure(127, nil),
		[]byte("SERIAL-4713 behind the end"),
	}, nil)
}

func TestMemoryModules(t *testing.T) {
	s := &Scrubber{}
	got := s.File(smbiosTable, dmiTable())
	for _, secret := range []string{"SERIAL", "hunter2", "OWNER", "Supermicro"} {
		if bytes.Contains(got, []byte(secret)) {
			t.Errorf("%s is still there: %q", secret, got)
		}
	}
	if again := s.File(smbiosTable, got); !bytes.Equal(again, got) {
		t.Errorf("scrubbed again: %q", again)
	}
	var kinds []uint8
	for rest := got; rest[0] != tableEnd; {
		table, left, err := smbios.ParseTable(rest)
		if err != nil {
			t.Fatalf("%d bytes before the end: %v", len(rest), err)
		}
		kinds, rest = append(kinds, uint8(table.Type)), left
		if slot, err := table.GetStringAt(locator); table.Type == 17 && len(kinds) == 2 && (err != nil || slot != "P1-DIMMA1") {
			t.Errorf("the slot is %q, %v", slot, err)
		}
	}
	if !bytes.Equal(kinds, []uint8{16, 17, 17}) {
		t.Errorf("structures of types %v", kinds)
	}
}

func FuzzMemoryModules(f *testing.F) {
	f.Add(dmiTable())
	f.Add([]byte{17, 4, 0, 0, 0, 0})
	f.Add([]byte{17, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		once := memoryModules(b)
		if twice := memoryModules(once); !bytes.Equal(once, twice) {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}
