package control

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Capture records until ctx is done, which is no error. begun is called as soon as
// nothing is missed any more; an error of fn ends it. It returns how much was lost since
// this client was too slow.
func (c *Client) Capture(ctx context.Context, r CaptureRequest, begun func(), fn func(Captured) error) (lost uint64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	args := &Message{}
	setText(args, "ike", r.Conn)
	setYes(args, "keys", r.Keys)
	last := uint64(0)
	_, err = c.Stream(ctx, "goike-capture", []string{captureEvent}, args, func(_ string, m *Message) {
		if ctx.Err() != nil {
			return
		}
		got, err := readCaptured(m)
		switch {
		case err != nil:
		case m.Get("kind") == "begun":
			begun()
		default:
			lost += got.Number - last - 1
			last = got.Number
			err = fn(got)
		}
		if err != nil {
			cancel(err)
		}
	})
	if ctx.Err() != nil {
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	return lost, err
}

// readCaptured reads what capturedMessage has written.
func readCaptured(m *Message) (Captured, error) {
	c := Captured{Number: readUint(m, "number"), Conn: m.Get("ike")}
	switch kind := m.Get("kind"); kind {
	case "begun":
	case "message":
		local, err := readAddress(m, "local")
		if err != nil {
			return c, err
		}
		remote, err := readAddress(m, "remote")
		if err != nil {
			return c, err
		}
		c.Message = &CapturedMessage{
			At: time.Unix(0, readInt(m, "time")), Out: m.Get("out") == "yes",
			Path: ike.Path{Local: local, Remote: remote}, Data: []byte(m.Get("data")),
		}
	case "ike-keys":
		suite := crypto.Suite{Proto: crypto.IKE}
		suite.Encr, suite.Integ = readCiphers(m)
		c.IKE = &ike.Keys{
			Conn: c.Conn, SPIi: readHex(m, "initiator-spi"), SPIr: readHex(m, "responder-spi"), Suite: suite,
			Ei: crypto.Secret(m.Get("encr-key-i")), Er: crypto.Secret(m.Get("encr-key-r")),
			Ai: crypto.Secret(m.Get("integ-key-i")), Ar: crypto.Secret(m.Get("integ-key-r")),
		}
	case "child-keys":
		src, err := netip.ParseAddr(m.Get("src"))
		if err != nil {
			return c, malformed("a source %q that is no address", m.Get("src"))
		}
		dst, err := netip.ParseAddr(m.Get("dst"))
		if err != nil {
			return c, malformed("a destination %q that is no address", m.Get("dst"))
		}
		c.SA = &esp.SA{
			ID: esp.SAID{Dst: dst, SPI: uint32(readHex(m, "spi")), Proto: esp.Proto(readUint(m, "protocol"))}, Src: src, ESN: m.Get("esn") == "yes",
			EncrKey: crypto.Secret(m.Get("encr-key")), IntegKey: crypto.Secret(m.Get("integ-key")),
		}
		c.SA.Encr, c.SA.Integ = readCiphers(m)
	default:
		return c, malformed("%q where something recorded was expected", kind)
	}
	return c, nil
}

func readAddress(m *Message, side string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(m.Get(side + "-host"))
	if err != nil {
		return netip.AddrPort{}, malformed("%s-host %q, which is no address", side, m.Get(side+"-host"))
	}
	return netip.AddrPortFrom(addr, uint16(readUint(m, side+"-port"))), nil
}

func readCiphers(m *Message) (encr, integ crypto.Alg) {
	encr = crypto.Alg{Type: crypto.Encr, ID: uint16(readUint(m, "encr-id")), KeyBits: uint16(readUint(m, "encr-bits"))}
	if n := readUint(m, "integ-id"); n != 0 {
		integ = crypto.Alg{Type: crypto.Integ, ID: uint16(n)}
	}
	return encr, integ
}

func readHex(m *Message, name string) uint64 {
	n, _ := strconv.ParseUint(m.Get(name), 16, 64)
	return n
}
