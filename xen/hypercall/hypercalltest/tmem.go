package hypercalltest

import (
	"syscall"

	"xtm/internal/opt"
	"xtm/xen/hypercall"
)

// tmemOp is hypercall 38, which has the control operations up to 4.5.
func (x *Xen) tmemOp(r *hypercall.Request) int64 {
	if x.Version.AtLeast(4, 13) || !x.TmemBuilt {
		x.did("tmem_op of a Xen without tmem")
		return no(syscall.ENOSYS)
	}
	if !x.TmemOn {
		return no(syscall.ENODEV)
	}
	size, bufAt := 56, 48
	if patch, _ := x.Version.Patch(); x.Version.Before(4, 1) && patch < 2 {
		size, bufAt = 40, 32
	}
	if len(r.Struct) != size {
		x.did("a tmem_op of %d bytes", len(r.Struct))
		return no(syscall.EFAULT)
	}
	if get32(r.Struct, 0) != 0 {
		x.did("tmem_op %d, which is a guest's", get32(r.Struct, 0))
		return no(syscall.ENODEV)
	}
	if x.Version.AtLeast(4, 6) {
		return no(syscall.EOPNOTSUPP)
	}
	// Before 4.1.4 and 4.2.1 everybody may.
	if x.Denied {
		return no(syscall.EPERM)
	}
	buf := r.Data
	if r.DataAt != bufAt {
		buf = nil
	}
	s := r.Struct
	return x.early(get32(s, 8), get32(s, 12), get32(s, 16), get32(s, 20), buf)
}

// sysctlTmem is XEN_SYSCTL_tmem_op, 4.6–4.12.
func (x *Xen) sysctlTmem(p, buf []byte) int64 {
	if !x.TmemBuilt {
		return no(syscall.ENOSYS)
	}
	if get32(p, 20) != 0 {
		return no(syscall.EINVAL)
	}
	if x.Version.Before(4, 8) {
		return x.early(get32(p, 0), get32(p, 8), get32(p, 12), get32(p, 16), buf)
	}
	return x.late(get32(p, 0), get32(p, 8), get32(p, 12), get32(p, 16), buf)
}

// common does the operations whose numbers never changed.
func (x *Xen) common(op, id, kb uint32) (int64, bool) {
	switch op {
	case 0, 1:
		c := x.client(id)
		if c == nil {
			return no(syscall.EPERM), true
		}
		c.Frozen = opt.Of(int64(op))
		x.did("frozen of %d is %d", id, op)
		return 0, true
	case 2:
		if id != 0xffff {
			return no(syscall.EPERM), true
		}
		got := min(int64(kb+3)/4*4, x.FreeableMB*1024)
		x.FreeableMB -= got / 1024
		x.Free += uint64(got / 4) //nolint:gosec // not negative
		x.did("flush %d", kb)
		return got, true
	case 8:
		x.did("freeable")
		return x.FreeableMB, true
	}
	return 0, false
}

// early does the operations of 4.0 to 4.7.
func (x *Xen) early(op, id, arg1, arg2 uint32, buf []byte) int64 {
	if v, ok := x.common(op, id, arg1); ok {
		return v
	}
	if op == 4 {
		return x.list(id, arg1, arg2, buf)
	}
	c := x.client(id)
	switch {
	case op < 5 || op > 7:
		x.did("unknown operation %d", op)
		return no(syscall.EPERM)
	case c == nil:
		return no(syscall.EPERM)
	case op == 5:
		c.Weight = opt.Of(int64(arg1))
		x.did("weight of %d is %d", id, arg1)
	case op == 6:
		c.Cap = opt.Of(int64(arg1))
		x.did("cap of %d is %d", id, arg1)
	case op == 7 && !x.Dedup:
		c.Compress = opt.Of(int64(arg1))
		x.did("compress of %d is %d", id, arg1)
	}
	return 0
}

// late does the operations of 4.8 to 4.12.
func (x *Xen) late(op, id, length, arg uint32, buf []byte) int64 {
	if v, ok := x.common(op, id, arg); ok {
		return v
	}
	c := x.client(id)
	switch op {
	case 4:
		return x.list(id, length, arg, buf)
	case 5: // an unknown client gets an empty record
		if len(buf) < 20 {
			return no(syscall.EFAULT)
		}
		x.did("record of %d", id)
		clear(buf[:20])
		put32(buf, 0, 1)
		put32(buf, 4, 16)
		if c != nil {
			put32(buf, 8, uint32(len(c.Pools)))
			put32(buf, 12, uint32(c.Frozen.Or(0)|c.Compress.Or(0)<<1))
			if x.Migrating[c.ID] {
				buf[12] |= 1 << 2
			}
			put32(buf, 16, uint32(c.Weight.Or(0)))
		}
		return 0
	case 6:
		switch {
		case c == nil:
			return no(syscall.ENOENT)
		case len(buf) < 20:
			return no(syscall.EFAULT)
		case get32(buf, 0) != 1:
			return no(syscall.EOPNOTSUPP)
		case get32(buf, 4) > 16:
			return no(syscall.ERANGE)
		}
		if w := int64(get32(buf, 16)); w != c.Weight.Or(0) {
			c.Weight = opt.Of(w)
			x.did("weight of %d is %d", id, w)
		}
		if z := int64(get32(buf, 12) >> 1 & 1); z != c.Compress.Or(0) {
			c.Compress = opt.Of(z)
			x.did("compress of %d is %d", id, z)
		}
		return 0
	default: // 7, 9 and 11 read and write pools, the others migrate
		x.did("unknown operation %d", op)
		return no(syscall.EPERM)
	}
}
