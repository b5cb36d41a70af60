package control

import (
	"context"
	"errors"
	"fmt"
	"net"
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
