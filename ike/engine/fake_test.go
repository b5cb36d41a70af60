package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

var (
	peerAddr = netip.MustParseAddrPort("192.0.2.1:500")
	ownAddr  = netip.MustParseAddrPort("198.51.100.1:500")
	testPath = ike.Path{Local: ownAddr, Remote: peerAddr}
)

// fake is a machine that does what its script says.
type fake struct {
	birth  ike.Birth
	events []ike.Event
	script func(f *fake, ev ike.Event, fx *ike.Effects)
	due    ike.Instant
	status ike.Status
}

func (f *fake) Step(_ ike.Instant, ev ike.Event, fx *ike.Effects) {
	f.events = append(f.events, ev)
	if f.script != nil {
		f.script(f, ev, fx)
	}
}

func (f *fake) Deadline() ike.Instant { return f.due }
func (f *fake) Status() ike.Status    { s := f.status; s.ID = f.birth.ID; return s }

// fakes makes fakes, and remembers them.
type fakes struct {
	made   []*fake
	script func(f *fake, ev ike.Event, fx *ike.Effects)
}

func (m *fakes) make(b ike.Birth) *fake {
	f := &fake{birth: b, script: m.script, due: ike.Never}
	m.made = append(m.made, f)
	return f
}

func (m *fakes) Dial(b ike.Birth, _ *conf.Connection, _ ike.Path) ike.Machine { return m.make(b) }
func (m *fakes) Respond(b ike.Birth, _ ike.Path) ike.Machine                  { return m.make(b) }

func (m *fakes) Restore(b ike.Birth, _ *conf.Connection, _ map[uint64][]byte) (ike.Machine, error) {
	return m.make(b), nil
}

func (m *fakes) CheckFirst(h wire.Header, _ []byte) error {
	if h.Exchange != wire.IKESAInit {
		return errors.New("no first message")
	}
	return nil
}

func (m *fakes) RefuseVersion(wire.Header) []byte { return []byte("version") }
func (m *fakes) InvalidSPI(wire.Header) []byte    { return []byte("spi") }

func (m *fakes) SaysInvalidSPI(_ wire.Header, b []byte) bool {
	return bytes.HasSuffix(b, []byte("spi"))
}

// demands is Cookies that know one good cookie: data that ends with "cookie".
type demands struct{}

func (demands) Check(_ ike.Instant, dg ike.Datagram) (bool, []byte) {
	n := len(dg.Data)
	if n >= 6 && string(dg.Data[n-6:]) == "cookie" {
		return true, nil
	}
	return false, []byte("demand")
}

// books is an Outside that writes everything down.
type books struct {
	kept    []Kept
	sent    []ike.Send
	jobs    []ike.Compute
	ops     [][]esp.Op
	asked   []ike.Ask
	reports []ike.Report
}

func (b *books) Keep(k Kept)                  { b.kept = append(b.kept, k) }
func (b *books) Send(m ike.Send)              { b.sent = append(b.sent, m) }
func (b *books) Compute(_ Ref, c ike.Compute) { b.jobs = append(b.jobs, c) }
func (b *books) Install(_ Ref, i ike.Install) { b.ops = append(b.ops, i.Ops) }
func (b *books) Ask(_ Ref, a ike.Ask)         { b.asked = append(b.asked, a) }
func (b *books) Report(r ike.Report)          { b.reports = append(b.reports, r) }
func newShard(l conf.HalfOpenLimits, m Machines, index, count int) (*Shard, *books) {
	out := &books{}
	return NewShard(ShardConfig{
		Index: index, Count: count, Machines: m, Cookies: demands{}, Config: &conf.Config{Limits: l},
		Rand: testRand(1), FirstID: uint64(index) + 2, StepID: uint64(count) + 1,
	}, out), out
}

func testRand(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// message is an IKE header and some octets behind it.
func message(x wire.ExchangeType, spiI, spiR uint64, flags uint8, major uint8, rest string) []byte {
	b := binary.BigEndian.AppendUint64(nil, spiI)
	b = binary.BigEndian.AppendUint64(b, spiR)
	b = append(b, 0, major<<4, byte(x), flags, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(wire.HeaderLen+len(rest)))
	return append(b, rest...)
}

func first(spiI uint64, rest string) []byte {
	return message(wire.IKESAInit, spiI, 0, wire.FlagInitiator, 2, rest)
}

func from(port uint16, data []byte) Received {
	p := testPath
	p.Remote = netip.AddrPortFrom(p.Remote.Addr(), port)
	return Received{ike.Datagram{Path: p, Data: data}}
}
