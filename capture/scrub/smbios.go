package scrub

import "bytes"

// smbiosTable is the firmware's account of the machine: serial numbers, asset
// tags, and strings that whoever set the machine up put there, of which some are
// secrets (systemd takes credentials from type 11).
const smbiosTable = "/sys/firmware/dmi/tables/DMI"

// Types of structures: DMTF DSP0134 3.0, chapter 7.
const (
	memoryArray  = 16
	memoryDevice = 17
	tableEnd     = 127

	locator = 0x10 // of a memory device: which of its strings names the slot
)

// memoryModules passes the structures about memory, and of their strings the
// name of the slot alone. Each structure is type, length, two bytes of handle,
// and fields to that length; then its strings, each with a NUL, and one more.
//
//	11 28 2c 00 2a 00 fe ff … 01 02 … "P1-DIMMA1" 00 "P0_Node0_Channel0_Dimm0" 00 00
//
// (An X10SAE's, shortened.) What cannot be walked is left out.
func memoryModules(b []byte) []byte {
	const least = 4
	var out bytes.Buffer
	for len(b) >= least && int(b[1]) >= least && int(b[1]) <= len(b) {
		length := int(b[1])
		end := bytes.Index(b[length:], []byte{0, 0})
		if end < 0 {
			break
		}
		fields, texts := b[:length], bytes.Split(b[length:length+end], []byte{0})
		kind := b[0]
		b = b[length+end+2:]
		switch kind {
		case memoryDevice:
			slot := 0
			if length > locator {
				slot = int(fields[locator])
			}
			out.Write(fields)
			for i, t := range texts {
				if i+1 != slot && len(t) > 0 {
					texts[i] = []byte("-") // the others keep their numbers
				}
			}
			out.Write(bytes.Join(texts, []byte{0}))
			out.Write([]byte{0, 0})
		case memoryArray, tableEnd:
			out.Write(append(bytes.Clone(fields), 0, 0))
		}
		if kind == tableEnd {
			return out.Bytes()
		}
	}
	return out.Bytes()
}
