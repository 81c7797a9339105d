package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestBlockComesBack: whatever the rows are, a block gives them back.
func TestBlockComesBack(t *testing.T) {
	var c codec // one for all, as in use
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Just(int64(absent)), rapid.Just(int64(7)), rapid.Int64Range(0, 1<<40), rapid.Int64())
		samples := make([]sample, rapid.IntRange(1, 70).Draw(t, "rows"))
		for i := range samples {
			samples[i] = sample{rapid.Int64().Draw(t, "snap"), make(row, len(domainTable.columns))}
			for j := range samples[i].row {
				samples[i].row[j] = value.Draw(t, "value")
			}
		}
		block, err := c.encode(samples)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.decode(domainTable, block)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(samples, got, cmp.AllowUnexported(sample{})); d != "" {
			t.Fatal(d)
		}
	})
}

// TestOlderBlock: columns that an older program did not know are absent.
func TestOlderBlock(t *testing.T) {
	var c codec
	short := sample{3, newRow(domainTable)[:5]}
	short.row[Current] = 9
	block, err := c.encode([]sample{short})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.decode(domainTable, block)
	if err != nil || len(got) != 1 || got[0].row[Current] != 9 || got[0].row[PersistentGetTries] != absent {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDamagedBlocks(t *testing.T) {
	var c codec
	block, err := c.encode([]sample{{1, newRow(hostTable)}, {2, newRow(hostTable)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty": nil, "cut": block[:len(block)-1], "version": append([]byte{9}, block[1:]...),
		"a bit": append(append([]byte{}, block[:len(block)-1]...), block[len(block)-1]^1),
	} {
		if _, err := c.decode(hostTable, damaged); !errors.Is(err, errBlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.decode(hostTable, block); err != nil {
		t.Errorf("a sound block after damaged ones: %v", err)
	}
	if _, err := c.encode(nil); err == nil {
		t.Error("a block of nothing")
	}
}

// FuzzBlock: no bytes make the reader fail otherwise than with an error, and
// what it reads it can write.
func FuzzBlock(f *testing.F) {
	var c codec
	m := newHost(3, 2, 60_000_000_000)
	for range 3 {
		s := m.tick()
		for _, d := range rowsOf(s) {
			block, err := c.encode([]sample{{1, d.row}, {2, d.row}, {4, newRow(domainTable)}})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(block)
			raw := bytes.Clone(c.raw.Bytes())
			f.Add(append([]byte{0}, raw...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c codec
		var samples []sample
		var err error
		if len(b) > 0 && b[0] == 0 { // the inflated bytes: a sum would keep the fuzzer out
			samples, err = parseBlock(domainTable, b[1:])
		} else {
			if len(b) > 5 {
				b = bytes.Clone(b)
				binary.LittleEndian.PutUint32(b[1:], crc32.ChecksumIEEE(b[5:]))
			}
			samples, err = c.decode(domainTable, b)
		}
		if err != nil {
			return
		}
		again, err := c.encode(samples)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.decode(domainTable, again)
		if err != nil || !cmp.Equal(samples, got, cmp.AllowUnexported(sample{})) {
			t.Fatal(err)
		}
	})
}

// FuzzHour: no bytes make the reader of an hour's row fail otherwise than with
// an error, and what it reads it writes again.
func FuzzHour(f *testing.F) {
	m := newHost(3, 2, 60_000_000_000)
	before := m.tick()
	now := m.tick()
	for i, d := range rowsOf(now) {
		k := track[Column]{chain: chain{table: domainTable}}
		k.add(rowsOf(before)[i].row, moment{1, 0}, false, 0)
		k.add(d.row, moment{60_001, 1}, false, 0)
		f.Add(appendHour(nil, &k.points[0]))
	}
	f.Add([]byte{hourVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseHour(domainTable, b)
		if err != nil {
			return
		}
		p := pointOf[Column](domainTable, r)
		again, err := parseHour(domainTable, appendHour(nil, &p))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r[hourHead:hourHead+len(domainTable.columns)], again[hourHead:hourHead+len(domainTable.columns)]); d != "" {
			t.Error(d)
		}
	})
}
