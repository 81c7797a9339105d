package block

import (
	"encoding/binary"
	"fmt"
)

// valuesVersion stands in front of packed values. Columns that are added raise
// it.
const valuesVersion = 1

// AppendValues packs one row: a version (1) and for each value an unsigned
// varint, its zigzag number plus one; 0 is absent.
func AppendValues(buf []byte, parts ...[]int64) []byte {
	buf = append(buf, valuesVersion)
	for _, part := range parts {
		for _, v := range part {
			// Absent is the smallest number: its zigzag is the largest, and one
			// more is 0.
			buf = binary.AppendUvarint(buf, uint64(v<<1)^uint64(v>>63)+1)
		}
	}
	return buf
}

// ParseValues reads so many values. The error is ErrDamaged.
func ParseValues(data []byte, n int) ([]int64, error) {
	if len(data) == 0 || data[0] != valuesVersion {
		return nil, fmt.Errorf("%w: a row of an unknown version", ErrDamaged)
	}
	in := reader{rest: data[1:]}
	values := make([]int64, n)
	for i := range values {
		u := in.unsigned() - 1
		values[i] = int64(u>>1) ^ -int64(u&1)
	}
	if in.err == nil && len(in.rest) > 0 {
		in.err = fmt.Errorf("%w: %d bytes behind the last value", ErrDamaged, len(in.rest))
	}
	return values, in.err
}
