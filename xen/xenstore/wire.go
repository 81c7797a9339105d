package xenstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// kind is the type of a message (enum xsd_sockmsg_type in
// xen/include/public/io/xs_wire.h, the same since 4.0; 20 was RESTRICT).
type kind uint32

// The kinds that are used here.
const (
	kindDirectory        kind = 1
	kindRead             kind = 2
	kindWatch            kind = 4
	kindUnwatch          kind = 5
	kindTransactionStart kind = 6
	kindTransactionEnd   kind = 7
	kindWrite            kind = 11
	kindRemove           kind = 13
	kindWatchEvent       kind = 15
	kindError            kind = 16
	kindDirectoryPart    kind = 22 // from 4.9 on
)

const (
	headerSize = 16
	// maxPayload is XENSTORE_PAYLOAD_MAX. xenstored hangs up on more.
	maxPayload = 4096
	// maxPath is XENSTORE_ABS_PATH_MAX.
	maxPath = 3072
)

// packet is a message, in either direction.
type packet struct {
	kind   kind
	id, tx uint32
	body   []byte
}

// ErrProtocol means that the other side does not speak xenstore's protocol.
var ErrProtocol = errors.New("not xenstore's protocol")

// readPacket reads the next message: four numbers of 32 bits and the payload,
//
//	02000000 01000000 00000000 05000000 "web1\x00"
//
// kind, id of the request, transaction, length. The error is io.EOF between two
// messages, io.ErrUnexpectedEOF within one.
func readPacket(r io.Reader) (packet, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return packet{}, err
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(h[4*i:]) }
	p := packet{kind: kind(word(0)), id: word(1), tx: word(2)}
	n := word(3)
	if n > maxPayload {
		return packet{}, fmt.Errorf("a message of %d bytes: %w", n, ErrProtocol)
	}
	p.body = make([]byte, n)
	if _, err := io.ReadFull(r, p.body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return packet{}, err
	}
	return p, nil
}

// append adds the message, as it travels, to others.
func (p packet) append(b []byte) []byte {
	for _, w := range [...]uint32{uint32(p.kind), p.id, p.tx, uint32(len(p.body))} {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return append(b, p.body...)
}

// errnos are the names that travel (xsd_errors in xs_wire.h).
var errnos = map[string]syscall.Errno{
	"EINVAL": syscall.EINVAL, "EACCES": syscall.EACCES, "EEXIST": syscall.EEXIST, "EISDIR": syscall.EISDIR,
	"ENOENT": syscall.ENOENT, "ENOMEM": syscall.ENOMEM, "ENOSPC": syscall.ENOSPC, "EIO": syscall.EIO,
	"ENOTEMPTY": syscall.ENOTEMPTY, "ENOSYS": syscall.ENOSYS, "EROFS": syscall.EROFS, "EBUSY": syscall.EBUSY,
	"EAGAIN": syscall.EAGAIN, "EISCONN": syscall.EISCONN, "E2BIG": syscall.E2BIG, "EPERM": syscall.EPERM,
}

// refusal is the error in the payload of an answer: "ENOENT\x00".
func refusal(body []byte) error {
	name := string(bytes.TrimRight(body, "\x00"))
	if e, ok := errnos[name]; ok {
		return e
	}
	return fmt.Errorf("xenstore answers %.40q: %w", name, syscall.EINVAL)
}

// args are strings that each end in a NUL.
func args(s ...string) []byte { return []byte(strings.Join(s, "\x00") + "\x00") }

// names splits strings that each end in a NUL.
func names(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(b, []byte{0})), "\x00")
}
