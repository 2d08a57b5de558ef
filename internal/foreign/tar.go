package foreign

// A TarMember is a file in a tar.
type TarMember struct {
	Name string // as the tar has it
	Size int64  // of the content, in bytes; negative: not known
}

// How Python's tarfile lays out a tar in its GNU format, that of Python 2.
// Source: Python 2.7, Lib/tarfile.py.
const (
	tarBlock   = 512
	tarRecord  = 20 * tarBlock // a tar is padded to a multiple of this
	maxTarName = 100           // longer names stand in a member of their own before the header
)

// maxTar bounds the sizes that are added up. Amazon Glacier FAQ: an archive has
// at most 40 TB.
const maxTar = 40 << 40

// TarLayout computes where the content of each member begins in a tar of these
// members that Python 2 wrote without compression, as glaciersync's are, and how
// large the tar is, both in bytes. From the first member on whose size is not
// known the offsets are -1. ok: all are known, and so is the total.
//
// It is a forecast. Links have no content, a file may have changed before it was
// packed, and the list may lack members at its end. The total is told to a
// record of 10 KiB. So look at the 512 bytes before an offset: they are the
// member's header, with name, size and time.
func TarLayout(members []TarMember) (offsets []int64, total int64, ok bool) {
	offsets = make([]int64, len(members))
	ok = true
	for i, m := range members {
		if ok = ok && m.Name != "" && 0 <= m.Size && m.Size <= maxTar && total <= maxTar; !ok {
			offsets[i] = -1
			continue
		}
		if n := int64(len(m.Name)); n > maxTarName {
			total += tarBlock + padded(n+1, tarBlock) // the name ends with a zero byte
		}
		offsets[i] = total + tarBlock
		total = offsets[i] + padded(m.Size, tarBlock)
	}
	if !ok {
		return offsets, 0, false
	}
	return offsets, padded(total+2*tarBlock, tarRecord), true
}

// Layout is TarLayout of the tar's members: offsets[i] belongs to Members[i].
func (t *SyncedTar) Layout() (offsets []int64, total int64, ok bool) {
	members := make([]TarMember, len(t.Members))
	for i, m := range t.Members {
		members[i] = m.TarMember
	}
	return TarLayout(members)
}

// padded is n, rounded up to whole units.
func padded(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
