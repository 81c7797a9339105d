// Package block packs rows of integers into few bytes. It stands apart from the
// database so that its readers can be fuzzed without it.
package block

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// A block holds the rows of an hour, column by column:
//
//	version (1) | CRC-32 of the rest, 4 bytes | deflate of
//	  rows, columns (both unsigned varints), then each column:
//	    0                      told in no row
//	    1 value                the same in every row
//	    2 value delta …        told in every row
//	    3 bitmap value delta … told in the rows whose bit is set, lowest bit first
//
// Values and deltas are signed (zigzag) varints. Column 0 is the number of the
// snapshot. A block with fewer columns than there are now is an older one: the
// rest was not told.
const version = 1

const (
	columnAbsent = iota
	columnSame
	columnWhole
	columnSparse
)

const (
	// mostRows is more than one snapshot a second for an hour.
	mostRows = 1 << 13
	// mostBytes bounds what a block may inflate to.
	mostBytes = 8 << 20
)

// Absent stands for a figure that was not told. No counter reaches it.
const Absent = math.MinInt64

// ErrDamaged means that bytes do not hold what they should.
var ErrDamaged = errors.New("damaged block")

// Sample is a row with its snapshot's number.
type Sample struct {
	Snap int64
	Row  []int64
}

// Codec packs and unpacks blocks. It keeps its buffers from one to the next; its
// zero value is ready.
type Codec struct {
	raw, packed bytes.Buffer
	deflate     *flate.Writer
	inflate     io.ReadCloser
	column      []int64
}

// Encode packs rows, which all have the same columns.
func (c *Codec) Encode(samples []Sample) ([]byte, error) {
	if len(samples) == 0 || len(samples) > mostRows {
		return nil, fmt.Errorf("pack %d rows into a block: from 1 to %d fit", len(samples), mostRows)
	}
	width := len(samples[0].Row)
	buf := c.raw.AvailableBuffer()[:0]
	buf = binary.AppendUvarint(buf, uint64(len(samples)))
	buf = binary.AppendUvarint(buf, uint64(width+1))
	column := c.column[:0]
	for i := -1; i < width; i++ {
		column = column[:0]
		for _, s := range samples {
			if i < 0 {
				column = append(column, s.Snap)
			} else {
				column = append(column, s.Row[i])
			}
		}
		buf = appendColumn(buf, column)
	}
	c.column = column
	c.raw.Reset()
	c.raw.Write(buf) // which keeps the room for the next block

	c.packed.Reset()
	if c.deflate == nil {
		w, err := flate.NewWriter(&c.packed, flate.BestCompression)
		if err != nil {
			return nil, fmt.Errorf("pack block: %w", err)
		}
		c.deflate = w
	} else {
		c.deflate.Reset(&c.packed)
	}
	if _, err := c.deflate.Write(c.raw.Bytes()); err != nil {
		return nil, fmt.Errorf("pack block: %w", err)
	}
	if err := c.deflate.Close(); err != nil {
		return nil, fmt.Errorf("pack block: %w", err)
	}
	out := make([]byte, 0, 5+c.packed.Len())
	out = append(out, version)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(c.packed.Bytes()))
	return append(out, c.packed.Bytes()...), nil
}

func appendColumn(buf []byte, column []int64) []byte {
	told, same := 0, true
	for _, v := range column {
		if v != Absent {
			told++
		}
		same = same && v == column[0]
	}
	switch {
	case told == 0:
		return append(buf, columnAbsent)
	case same:
		return binary.AppendVarint(append(buf, columnSame), column[0])
	case told == len(column):
		buf = append(buf, columnWhole)
	default:
		buf = append(buf, columnSparse)
		at := len(buf)
		buf = append(buf, make([]byte, (len(column)+7)/8)...)
		for i, v := range column {
			if v != Absent {
				buf[at+i/8] |= 1 << (i % 8)
			}
		}
	}
	last := int64(0)
	for _, v := range column {
		if v != Absent {
			buf = binary.AppendVarint(buf, v-last) // which wraps, and wraps back
			last = v
		}
	}
	return buf
}

// Decode unpacks a block into rows of so many columns; those behind the block's
// own are absent. The error is ErrDamaged.
func (c *Codec) Decode(columns int, block []byte) ([]Sample, error) {
	if len(block) < 5 {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(block))
	}
	if block[0] != version {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrDamaged, block[0], version)
	}
	if crc32.ChecksumIEEE(block[5:]) != binary.LittleEndian.Uint32(block[1:]) {
		return nil, fmt.Errorf("%w: its sum does not agree", ErrDamaged)
	}
	if c.inflate == nil {
		c.inflate = flate.NewReader(bytes.NewReader(block[5:]))
	} else if err := c.inflate.(flate.Resetter).Reset(bytes.NewReader(block[5:]), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	c.raw.Reset()
	n, err := c.raw.ReadFrom(io.LimitReader(c.inflate, mostBytes+1))
	if err != nil || n > mostBytes {
		return nil, fmt.Errorf("%w: %d bytes inflated: %w", ErrDamaged, n, err)
	}
	return parseBlock(columns, c.raw.Bytes())
}

// parseBlock reads the inflated bytes.
func parseBlock(columns int, raw []byte) ([]Sample, error) {
	in := reader{rest: raw}
	n, width := in.unsigned(), in.unsigned()
	if in.err != nil || n == 0 || n > mostRows || width == 0 || width > uint64(columns+1) {
		return nil, fmt.Errorf("%w: %d rows, %d columns", ErrDamaged, n, width)
	}
	samples := make([]Sample, n)
	cells := make([]int64, int(n)*columns)
	for i := range samples {
		samples[i].Row = cells[i*columns : (i+1)*columns : (i+1)*columns]
	}
	column := make([]int64, n)
	for i := range columns + 1 {
		if i < int(width) {
			in.column(column)
		} else {
			Fill(column, Absent)
		}
		for j, v := range column {
			if i == 0 {
				samples[j].Snap = v
			} else {
				samples[j].Row[i-1] = v
			}
		}
	}
	if in.err == nil && len(in.rest) > 0 {
		in.err = fmt.Errorf("%w: %d bytes behind the last column", ErrDamaged, len(in.rest))
	}
	return samples, in.err
}

// reader takes a block apart and keeps its first error.
type reader struct {
	rest []byte
	err  error
}

func (in *reader) unsigned() uint64 {
	v, n := binary.Uvarint(in.rest)
	in.take(n)
	return v
}

func (in *reader) signed() int64 {
	v, n := binary.Varint(in.rest)
	in.take(n)
	return v
}

// take goes on by n bytes; a varint that is cut or too long has none.
func (in *reader) take(n int) {
	if n <= 0 || n > len(in.rest) {
		if in.err == nil {
			in.err = fmt.Errorf("%w: it ends within a number", ErrDamaged)
		}
		in.rest = nil
		return
	}
	in.rest = in.rest[n:]
}

func (in *reader) column(out []int64) {
	Fill(out, Absent)
	if len(in.rest) == 0 {
		in.take(0)
		return
	}
	form := in.rest[0]
	in.take(1)
	var told []byte
	switch form {
	case columnAbsent:
		return
	case columnSame:
		Fill(out, in.signed())
		return
	case columnWhole:
	case columnSparse:
		size := (len(out) + 7) / 8
		if len(in.rest) < size {
			in.take(0)
			return
		}
		told = in.rest[:size]
		in.take(size)
	default:
		in.err = fmt.Errorf("%w: a column of form %d", ErrDamaged, form)
		in.rest = nil
		return
	}
	last := int64(0)
	for i := range out {
		if told == nil || told[i/8]&(1<<(i%8)) != 0 {
			last += in.signed()
			out[i] = last
		}
	}
}

// Fill sets every value.
func Fill(s []int64, v int64) {
	for i := range s {
		s[i] = v
	}
}
