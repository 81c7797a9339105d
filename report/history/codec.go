package history

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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
const blockVersion = 1

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

// errBlock means that a block does not hold what it should.
var errBlock = errors.New("damaged block")

// sample is a row with its snapshot's number.
type sample struct {
	snap int64
	row  row
}

// codec packs and unpacks blocks; it keeps its buffers.
type codec struct {
	raw, packed bytes.Buffer
	deflate     *flate.Writer
	inflate     io.ReadCloser
	column      []int64
}

// encode packs rows, which all have the same columns.
func (c *codec) encode(samples []sample) ([]byte, error) {
	if len(samples) == 0 || len(samples) > mostRows {
		return nil, fmt.Errorf("pack %d rows into a block: from 1 to %d fit", len(samples), mostRows)
	}
	width := len(samples[0].row)
	buf := c.raw.AvailableBuffer()[:0]
	buf = binary.AppendUvarint(buf, uint64(len(samples)))
	buf = binary.AppendUvarint(buf, uint64(width+1))
	column := c.column[:0]
	for i := -1; i < width; i++ {
		column = column[:0]
		for _, s := range samples {
			if i < 0 {
				column = append(column, s.snap)
			} else {
				column = append(column, s.row[i])
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
	out = append(out, blockVersion)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(c.packed.Bytes()))
	return append(out, c.packed.Bytes()...), nil
}

func appendColumn(buf []byte, column []int64) []byte {
	told, same := 0, true
	for _, v := range column {
		if v != absent {
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
			if v != absent {
				buf[at+i/8] |= 1 << (i % 8)
			}
		}
	}
	last := int64(0)
	for _, v := range column {
		if v != absent {
			buf = binary.AppendVarint(buf, v-last) // which wraps, and wraps back
			last = v
		}
	}
	return buf
}

// decode unpacks a block into rows of the table.
func (c *codec) decode(t *table, block []byte) ([]sample, error) {
	if len(block) < 5 {
		return nil, fmt.Errorf("%w: %d bytes", errBlock, len(block))
	}
	if block[0] != blockVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", errBlock, block[0], blockVersion)
	}
	if crc32.ChecksumIEEE(block[5:]) != binary.LittleEndian.Uint32(block[1:]) {
		return nil, fmt.Errorf("%w: its sum does not agree", errBlock)
	}
	if c.inflate == nil {
		c.inflate = flate.NewReader(bytes.NewReader(block[5:]))
	} else if err := c.inflate.(flate.Resetter).Reset(bytes.NewReader(block[5:]), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	c.raw.Reset()
	n, err := c.raw.ReadFrom(io.LimitReader(c.inflate, mostBytes+1))
	if err != nil || n > mostBytes {
		return nil, fmt.Errorf("%w: %d bytes inflated: %w", errBlock, n, err)
	}
	return parseBlock(t, c.raw.Bytes())
}

// parseBlock reads the inflated bytes.
func parseBlock(t *table, raw []byte) ([]sample, error) {
	in := reader{rest: raw}
	n, width := in.unsigned(), in.unsigned()
	if in.err != nil || n == 0 || n > mostRows || width == 0 || width > uint64(len(t.columns)+1) {
		return nil, fmt.Errorf("%w: %d rows, %d columns", errBlock, n, width)
	}
	samples := make([]sample, n)
	cells := make(row, int(n)*len(t.columns))
	for i := range samples {
		samples[i].row = cells[i*len(t.columns) : (i+1)*len(t.columns) : (i+1)*len(t.columns)]
	}
	column := make([]int64, n)
	for i := range len(t.columns) + 1 {
		if i < int(width) {
			in.column(column)
		} else {
			fill(column, absent)
		}
		for j, v := range column {
			if i == 0 {
				samples[j].snap = v
			} else {
				samples[j].row[i-1] = v
			}
		}
	}
	if in.err == nil && len(in.rest) > 0 {
		in.err = fmt.Errorf("%w: %d bytes behind the last column", errBlock, len(in.rest))
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
			in.err = fmt.Errorf("%w: it ends within a number", errBlock)
		}
		in.rest = nil
		return
	}
	in.rest = in.rest[n:]
}

func (in *reader) column(out []int64) {
	fill(out, absent)
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
		fill(out, in.signed())
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
		in.err = fmt.Errorf("%w: a column of form %d", errBlock, form)
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

func fill(s []int64, v int64) {
	for i := range s {
		s[i] = v
	}
}
