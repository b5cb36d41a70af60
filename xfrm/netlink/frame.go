//go:build linux

package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

var native = binary.NativeEndian

const headerLen = unix.NLMSG_HDRLEN

// header is struct nlmsghdr.
type header struct {
	length uint32
	typ    uint16
	flags  uint16
	seq    uint32
	port   uint32
}

func align(n int) int { return (n + 3) &^ 3 }

// appendMessage appends a message and its padding.
func appendMessage(b []byte, t message.Type, flags uint16, body []byte) []byte {
	b = native.AppendUint32(b, uint32(headerLen+len(body)))
	b = native.AppendUint16(b, uint16(t))
	b = native.AppendUint16(b, flags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // see stamp
	b = append(b, body...)
	return append(b, make([]byte, align(len(body))-len(body))...)
}

// stamp writes the sequence number and the port ID of the message that begins at b.
// The kernel repeats both in notices of what the message did; the answer goes to the
// socket in any case.
func stamp(b []byte, seq, port uint32) {
	native.PutUint32(b[8:], seq)
	native.PutUint32(b[12:], port)
}

var errMalformed = errors.New("the kernel's message is malformed")

// split cuts the first message off. The body aliases b.
func split(b []byte) (h header, body, rest []byte, err error) {
	if len(b) < headerLen {
		return h, nil, nil, errMalformed
	}
	h = header{native.Uint32(b), native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:]), native.Uint32(b[12:])}
	if h.length < headerLen || uint64(h.length) > uint64(len(b)) {
		return h, nil, nil, errMalformed
	}
	n := int(h.length)
	return h, b[headerLen:n:n], b[min(align(n), len(b)):], nil
}

// verdict reads the body of NLMSG_ERROR: refused is nil when it is an acknowledgement.
func verdict(flags uint16, body []byte) (refused, err error) {
	if len(body) < 4+headerLen {
		return nil, errMalformed
	}
	code := int64(int32(native.Uint32(body)))
	if code == 0 {
		return nil, nil
	}
	if code > 0 {
		return nil, fmt.Errorf("%w: error %d", errMalformed, code)
	}
	return &KernelError{Errno: syscall.Errno(-code), Text: errorText(flags, body[4:])}, nil
}

// doneVerdict reads the body of NLMSG_DONE, which has the error of a dump, if any.
func doneVerdict(flags uint16, body []byte) (refused, err error) {
	if len(body) < 4 {
		return nil, errMalformed
	}
	code := int64(int32(native.Uint32(body)))
	if code >= 0 {
		return nil, nil
	}
	e := &KernelError{Errno: syscall.Errno(-code)}
	if flags&unix.NLM_F_ACK_TLVS != 0 {
		e.Text = attributeText(body[4:])
	}
	return e, nil
}

// errorText finds the text behind the request that an error repeats, of which only
// the header is there when it was capped.
func errorText(flags uint16, b []byte) string {
	if flags&unix.NLM_F_ACK_TLVS == 0 {
		return ""
	}
	n := uint64(headerLen)
	if flags&unix.NLM_F_CAPPED == 0 {
		n = (uint64(native.Uint32(b)) + 3) &^ 3
	}
	if n > uint64(len(b)) {
		return ""
	}
	return attributeText(b[n:])
}

const maxText = 256

// attributeText is NLMSGERR_ATTR_MSG among attributes.
func attributeText(b []byte) string {
	for len(b) >= 4 {
		n, t := int(native.Uint16(b)), native.Uint16(b[2:])
		if n < 4 || n > len(b) {
			return ""
		}
		if t == unix.NLMSGERR_ATTR_MSG {
			text, _, _ := bytes.Cut(b[4:n], []byte{0})
			return string(text[:min(len(text), maxText)])
		}
		b = b[min(align(n), len(b)):]
	}
	return ""
}
