package hypercall

import (
	"structs"
	"unsafe"
)

// The structures of xen/include/public/{sysctl,domctl,tmem}.h for x86-64. Each
// is named after the first release that has it. Padding is explicit, so that
// nothing depends on the compiler; the offsets are tested against what gcc makes
// of the headers of all releases.

// sysctl is struct xen_sysctl, 136 bytes in every release.
type sysctl struct {
	_       structs.HostLayout
	Cmd     uint32
	Version uint32
	Payload [sizeOfPayload]byte
}

// The commands of sysctl that are used here.
const (
	sysctlReadConsole = 1
	sysctlPhysinfo    = 3
	sysctlDomainList  = 6
	sysctlTmem        = 24 // 4.6–4.12
)

// Where the payload begins in a sysctl, and how long it is.
const (
	payloadAt     = 8
	sizeOfPayload = 128
)

// physinfo40 is xen_sysctl_physinfo of 4.0.
type physinfo40 struct {
	_              structs.HostLayout
	ThreadsPerCore uint32
	CoresPerSocket uint32
	NrCPUs         uint32
	MaxNodeID      uint32
	CPUkHz         uint32
	_              [4]byte
	TotalPages     uint64
	FreePages      uint64
	ScrubPages     uint64
	HWCap          [8]uint32
	MaxCPUID       uint32
	_              [4]byte
	CPUToNode      uint64 // an address; null asks for nothing
	Capabilities   uint32
	_              [4]byte
}

// physinfo41 is that of 4.1 and 4.2.
type physinfo41 struct {
	_              structs.HostLayout
	ThreadsPerCore uint32
	CoresPerSocket uint32
	NrCPUs         uint32
	MaxCPUID       uint32
	NrNodes        uint32
	MaxNodeID      uint32
	CPUkHz         uint32
	_              [4]byte
	TotalPages     uint64
	FreePages      uint64
	ScrubPages     uint64
	HWCap          [8]uint32
	Capabilities   uint32
	_              [4]byte
}

// physinfo43 is that of 4.3 to 4.9: with claims.
type physinfo43 struct {
	_                structs.HostLayout
	ThreadsPerCore   uint32
	CoresPerSocket   uint32
	NrCPUs           uint32
	MaxCPUID         uint32
	NrNodes          uint32
	MaxNodeID        uint32
	CPUkHz           uint32
	_                [4]byte
	TotalPages       uint64
	FreePages        uint64
	ScrubPages       uint64
	OutstandingPages uint64
	HWCap            [8]uint32
	Capabilities     uint32
	_                [4]byte
}

// physinfo410 is that of 4.10 to 4.16.
type physinfo410 struct {
	_                structs.HostLayout
	ThreadsPerCore   uint32
	CoresPerSocket   uint32
	NrCPUs           uint32
	MaxCPUID         uint32
	NrNodes          uint32
	MaxNodeID        uint32
	CPUkHz           uint32
	Capabilities     uint32
	TotalPages       uint64
	FreePages        uint64
	ScrubPages       uint64
	OutstandingPages uint64
	MaxMFN           uint64
	HWCap            [8]uint32
}

// physinfo417 is that of 4.17 to 4.22.
type physinfo417 struct {
	_                structs.HostLayout
	ThreadsPerCore   uint32
	CoresPerSocket   uint32
	NrCPUs           uint32
	MaxCPUID         uint32
	NrNodes          uint32
	MaxNodeID        uint32
	CPUkHz           uint32
	Capabilities     uint32
	ArchCapabilities uint32
	_                [4]byte
	TotalPages       uint64
	FreePages        uint64
	ScrubPages       uint64
	OutstandingPages uint64
	MaxMFN           uint64
	HWCap            [8]uint32
}

// domainList is xen_sysctl_getdomaininfolist, the same in every release.
type domainList struct {
	_      structs.HostLayout
	First  uint16
	_      [2]byte
	Max    uint32
	Buffer uint64
	Num    uint32
	_      [4]byte
}

// domainInfo40 is xen_domctl_getdomaininfo of 4.0 and, with a CPU pool in the
// last padding, of 4.1.
type domainInfo40 struct {
	_           structs.HostLayout
	Domain      uint16
	_           [2]byte
	Flags       uint32
	TotPages    uint64
	MaxPages    uint64
	ShrPages    uint64
	SharedInfo  uint64
	CPUTime     uint64
	OnlineVCPUs uint32
	MaxVCPUID   uint32
	SSIDRef     uint32
	Handle      [16]byte
	_           [4]byte
}

// domainInfo42 is that of 4.2.
type domainInfo42 struct {
	_           structs.HostLayout
	Domain      uint16
	_           [2]byte
	Flags       uint32
	TotPages    uint64
	MaxPages    uint64
	ShrPages    uint64
	PagedPages  uint64
	SharedInfo  uint64
	CPUTime     uint64
	OnlineVCPUs uint32
	MaxVCPUID   uint32
	SSIDRef     uint32
	Handle      [16]byte
	CPUPool     uint32
}

// domainInfo43 is that of 4.3 and the beginning of all later ones: 4.10.1 and
// 4.16 added 8 bytes each behind it.
type domainInfo43 struct {
	_           structs.HostLayout
	Domain      uint16
	_           [2]byte
	Flags       uint32
	TotPages    uint64
	MaxPages    uint64
	Outstanding uint64
	ShrPages    uint64
	PagedPages  uint64
	SharedInfo  uint64
	CPUTime     uint64
	OnlineVCPUs uint32
	MaxVCPUID   uint32
	SSIDRef     uint32
	Handle      [16]byte
	CPUPool     uint32
}

// readConsole is xen_sysctl_readconsole, the same in every release.
type readConsole struct {
	_           structs.HostLayout
	Clear       uint8
	Incremental uint8
	_           [2]byte
	Index       uint32
	Buffer      uint64
	Count       uint32
	_           [4]byte
}

// tmemOp40 is struct tmem_op with a control operation, of 4.0.0 and 4.0.1.
type tmemOp40 struct {
	_      structs.HostLayout
	Cmd    uint32
	PoolID int32
	SubOp  earlyOp
	Client uint32
	Arg1   uint32
	Arg2   uint32
	Arg3   uint64
	Buf    uint64
}

// tmemOp402 is that of 4.0.2 to 4.5.
type tmemOp402 struct {
	_      structs.HostLayout
	Cmd    uint32
	PoolID int32
	SubOp  earlyOp
	Client uint32
	Arg1   uint32
	Arg2   uint32
	OID    [3]uint64
	Buf    uint64
}

// sysctlTmem46 is xen_sysctl_tmem_op of 4.6 and 4.7.
type sysctlTmem46 struct {
	_      structs.HostLayout
	Cmd    earlyOp
	PoolID int32
	Client uint32
	Arg1   uint32
	Arg2   uint32
	Pad    uint32 // must be 0
	OID    [3]uint64
	Buf    uint64
}

// sysctlTmem48 is that of 4.8 to 4.12, which differs in what Cmd means.
type sysctlTmem48 struct {
	_      structs.HostLayout
	Cmd    lateOp
	PoolID int32
	Client uint32
	Len    uint32
	Arg    uint32
	Pad    uint32 // must be 0
	OID    [3]uint64
	Buf    uint64
}

// earlyOp is a control operation of 4.0 to 4.7.
type earlyOp uint32

// The operations of 4.0 to 4.7.
const (
	earlyThaw        earlyOp = 0
	earlyFreeze      earlyOp = 1
	earlyFlush       earlyOp = 2
	earlyList        earlyOp = 4
	earlySetWeight   earlyOp = 5
	earlySetCompress earlyOp = 7
	earlyFreeableMB  earlyOp = 8
)

// lateOp is a control operation of 4.8 to 4.12. It is a type of its own because
// 5, 6 and 7 are other operations than before.
type lateOp uint32

// The operations of 4.8 to 4.12.
const (
	lateThaw       lateOp = 0
	lateFreeze     lateOp = 1
	lateFlush      lateOp = 2
	lateList       lateOp = 4
	lateGetClient  lateOp = 5
	lateSetClient  lateOp = 6
	lateFreeableMB lateOp = 8
)

// tmemClient48 is xen_tmem_client of 4.8 to 4.12.
type tmemClient48 struct {
	_        structs.HostLayout
	Version  uint32
	MaxPools uint32
	NrPools  uint32
	Flags    uint32
	Weight   uint32
}

// The flags of a tmem client.
const (
	clientFrozen    = 1 << 0
	clientCompress  = 1 << 1
	clientMigrating = 1 << 2
)

// bytesOf is the memory of an ABI structure.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// decode reads an ABI structure from its first bytes; missing bytes are zero.
func decode[T any](b []byte) T {
	var v T
	copy(bytesOf(&v), b)
	return v
}
