package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// CaptureRequest says what is to be recorded.
type CaptureRequest struct {
	Conn string // messages of this connection, and those of none that is known; empty: all
	Keys bool
	By   string // who wants the keys, for the log
}

// Captured is something that is recorded: one of Message, IKE and SA is set.
type Captured struct {
	Number  uint64 // counts up from 1; where one is left out, it was lost
	Conn    string // empty while unknown
	Message *CapturedMessage
	IKE     *ike.Keys
	SA      *esp.SA // of a child, with its keys
}

// CapturedMessage is an IKE message, without the non-ESP marker that it has on the wire
// when the local port is ike.NATTPort.
type CapturedMessage struct {
	At   time.Time
	Out  bool // this host has sent it
	Path ike.Path
	Data []byte
}

// captureEvent is what is streamed.
const captureEvent = "goike-captured"

// capture streams what is recorded until the client goes.
func capture(ctx context.Context, s *session, args *Message) *Message {
	r := CaptureRequest{Conn: args.Get("ike"), Keys: args.Get("keys") == "yes"}
	if r.Conn != "" && !hasConn(s, r.Conn) {
		return failure(fmt.Errorf("there is no connection %q", r.Conn))
	}
	if r.Keys {
		pid, err := rootAt(s.conn)
		if err != nil {
			return failure(err)
		}
		r.By = fmt.Sprintf("process %d", pid)
	}
	err := s.server.backend.Capture(ctx, r, func(c Captured) error {
		return stream(ctx, s, captureEvent, []Captured{c}, capturedMessage)
	})
	return outcome(err)
}

func hasConn(s *session, name string) bool {
	for _, c := range s.server.backend.Config().Connections {
		if c.Name == name {
			return true
		}
	}
	return false
}

var errNotRoot = errors.New("keys are told to root only")

// rootAt is the process at the other end of a Unix socket, if that is root's.
func rootAt(conn net.Conn) (pid int32, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errNotRoot
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, errNotRoot
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return 0, errNotRoot
	}
	return cred.Pid, mayHaveKeys(cred.Uid)
}

func mayHaveKeys(uid uint32) error {
	if uid != 0 {
		return fmt.Errorf("%w; this is user %d", errNotRoot, uid)
	}
	return nil
}

// capturedMessage writes one thing that was recorded.
func capturedMessage(one []Captured) *Message {
	c, m := one[0], &Message{}
	setText(m, "ike", c.Conn)
	switch {
	case c.Message != nil:
		m.Set("kind", "message")
		m.Set("time", strconv.FormatInt(c.Message.At.UnixNano(), 10))
		setYes(m, "out", c.Message.Out)
		addAddress(m, "local", c.Message.Path.Local)
		addAddress(m, "remote", c.Message.Path.Remote)
		m.Set("data", string(c.Message.Data))
	case c.IKE != nil:
		m.Set("kind", "ike-keys")
		m.Set("initiator-spi", fmt.Sprintf("%016x", c.IKE.SPIi))
		m.Set("responder-spi", fmt.Sprintf("%016x", c.IKE.SPIr))
		addCiphers(m, c.IKE.Suite.Encr, c.IKE.Suite.Integ)
		m.Set("encr-key-i", string(c.IKE.Ei))
		m.Set("encr-key-r", string(c.IKE.Er))
		m.Set("integ-key-i", string(c.IKE.Ai))
		m.Set("integ-key-r", string(c.IKE.Ar))
	case c.SA != nil:
		m.Set("kind", "child-keys")
		setInt(m, "protocol", uint16(c.SA.ID.Proto))
		m.Set("src", c.SA.Src.Unmap().String())
		m.Set("dst", c.SA.ID.Dst.Unmap().String())
		m.Set("spi", fmt.Sprintf("%08x", c.SA.ID.SPI))
		setYes(m, "esn", c.SA.ESN)
		addCiphers(m, c.SA.Encr, c.SA.Integ)
		m.Set("encr-key", string(c.SA.EncrKey))
		m.Set("integ-key", string(c.SA.IntegKey))
	default:
		m.Set("kind", "begun")
		return m
	}
	setInt(m, "number", c.Number)
	return m
}

// addCiphers adds two algorithms as type, number and length of the key in bits.
func addCiphers(m *Message, encr, integ crypto.Alg) {
	setInt(m, "encr-id", encr.ID)
	setInt(m, "encr-bits", encr.KeyBits)
	setInt(m, "integ-id", integ.ID)
}

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
