//go:build linux

package lab

import (
	"bytes"
	"fmt"
	"io/fs"
)

// archive writes the format of an initial RAM disk: cpio "newc", as the kernel
// documents it in driver-api/early-userspace/buffer-format.
type archive struct {
	buf   bytes.Buffer
	inode int
}

const (
	cpioDir     = 0o040000
	cpioFile    = 0o100000
	cpioTrailer = "TRAILER!!!"
)

func (a *archive) dir(name string) { a.entry(name, cpioDir|0o755, nil) }

func (a *archive) file(name string, perm fs.FileMode, data []byte) {
	a.entry(name, cpioFile|int(perm.Perm()), data)
}

// bytes ends the archive and returns it.
func (a *archive) bytes() []byte {
	a.entry(cpioTrailer, 0, nil)
	return a.buf.Bytes()
}

func (a *archive) entry(name string, mode int, data []byte) {
	a.inode++
	// ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor,
	// rdevminor, namesize, check.
	fields := [13]int{a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0}
	a.buf.WriteString("070701")
	for _, f := range fields {
		fmt.Fprintf(&a.buf, "%08x", f)
	}
	a.buf.WriteString(name)
	a.buf.WriteByte(0)
	a.pad()
	a.buf.Write(data)
	a.pad()
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}
