package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// columns is a width such as a table has.
const columns = 39

func empty() []int64 {
	r := make([]int64, columns)
	Fill(r, Absent)
	return r
}

// rising is what a minute changes of a domain: some counters, some levels.
func rising(minute int64) []int64 {
	r := empty()
	for i := range r {
		switch i % 3 {
		case 0:
			r[i] = 7
		case 1:
			r[i] = 1_000_000 + minute*int64(i)*31
		}
	}
	return r
}

// TestBlockComesBack: whatever the rows are, a block gives them back.
func TestBlockComesBack(t *testing.T) {
	var c Codec // one for all, as in use
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Just(int64(Absent)), rapid.Just(int64(7)), rapid.Int64Range(0, 1<<40), rapid.Int64())
		samples := make([]Sample, rapid.IntRange(1, 70).Draw(t, "rows"))
		for i := range samples {
			samples[i] = Sample{rapid.Int64().Draw(t, "snap"), make([]int64, columns)}
			for j := range samples[i].Row {
				samples[i].Row[j] = value.Draw(t, "value")
			}
		}
		block, err := c.Encode(samples)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(columns, block)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(samples, got); d != "" {
			t.Fatal(d)
		}
	})
}

// TestOlderBlock: columns that an older program did not know are absent.
func TestOlderBlock(t *testing.T) {
	var c Codec
	short := Sample{3, empty()[:5]}
	short.Row[2] = 9
	block, err := c.Encode([]Sample{short})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(columns, block)
	if err != nil || len(got) != 1 || got[0].Row[2] != 9 || got[0].Row[columns-1] != Absent {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDamagedBlocks(t *testing.T) {
	var c Codec
	block, err := c.Encode([]Sample{{1, empty()}, {2, empty()}})
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty": nil, "cut": block[:len(block)-1], "version": append([]byte{9}, block[1:]...),
		"a bit": append(append([]byte{}, block[:len(block)-1]...), block[len(block)-1]^1),
	} {
		if _, err := c.Decode(columns, damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Decode(columns, block); err != nil {
		t.Errorf("a sound block after damaged ones: %v", err)
	}
	if _, err := c.Encode(nil); err == nil {
		t.Error("a block of nothing")
	}
}

// FuzzBlock: no bytes make the reader fail otherwise than with an error, and
// what it reads it can write.
func FuzzBlock(f *testing.F) {
	var c Codec
	for _, samples := range [][]Sample{
		{{1, empty()}},
		{{1, rising(0)}, {2, rising(1)}, {3, rising(2)}},
		{{1, rising(0)}, {2, empty()}, {4, rising(9)}},
	} {
		block, err := c.Encode(samples)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block)
		f.Add(append([]byte{0}, c.raw.Bytes()...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Codec
		var samples []Sample
		var err error
		if len(b) > 0 && b[0] == 0 { // the inflated bytes: a sum would keep the fuzzer out
			samples, err = parseBlock(columns, b[1:])
		} else {
			if len(b) > 5 {
				b = bytes.Clone(b)
				binary.LittleEndian.PutUint32(b[1:], crc32.ChecksumIEEE(b[5:]))
			}
			samples, err = c.Decode(columns, b)
		}
		if err != nil {
			return
		}
		again, err := c.Encode(samples)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(columns, again)
		if err != nil || !cmp.Equal(samples, got) {
			t.Fatal(err)
		}
	})
}

// FuzzValues: the same of one row.
func FuzzValues(f *testing.F) {
	f.Add(AppendValues(nil, rising(3)))
	f.Add(AppendValues(nil, empty(), rising(1))[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := ParseValues(b, columns)
		if err != nil {
			return
		}
		if again, err := ParseValues(AppendValues(nil, values), columns); err != nil || !cmp.Equal(values, again) {
			t.Fatal(again, err)
		}
	})
}
