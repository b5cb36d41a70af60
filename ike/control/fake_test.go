package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Backend that shows what it is told to.
type fake struct {
	mu          sync.Mutex
	sas         []SA
	config      *conf.Config
	conns       []ConnState
	stats       Stats
	initiated   []InitiateRequest
	terminated  []TerminateRequest
	redirected  []RedirectRequest
	calls       []string
	steps       []LogLine
	refused     []Refused
	err         error
	matches     int
	block       bool // initiate waits for ctx
	recorded    []Captured
	captures    []CaptureRequest
	left        chan struct{}
	subscribers map[int]func(Event)
	serial      int
}

const fakeNow = ike.Instant(1000 * time.Second)

func newFake() *fake {
	return &fake{
		config: sampleConfig(), sas: sampleSAs(), conns: sampleConns(), left: make(chan struct{}, 16),
		subscribers: make(map[int]func(Event)),
		stats: Stats{
			Started: time.Now().Add(-11 * time.Second), IKESAs: 2, HalfOpen: 1, Workers: 4, Idle: 3, Queued: 5, Goroutines: 23,
			Dropped: map[string]uint64{"queue-full": 3, "no-such-sa": 7}, Plane: map[string]uint64{"sealed": 12},
		},
	}
}

func (f *fake) Info() Info {
	return Info{Daemon: "goike", Version: "1.2.3", System: "Linux", Release: "6.1", Machine: "x86_64", Dataplane: "userspace (asked for)"}
}

func (f *fake) Now() ike.Instant { return fakeNow }

func (f *fake) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *fake) SAs(context.Context) []SA {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]SA(nil), f.sas...)
}

func (f *fake) Config() *conf.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := *f.config
	c.Connections = nil
	for _, conn := range f.config.Connections {
		copied := *conn
		c.Connections = append(c.Connections, &copied)
	}
	return &c
}

func (f *fake) Conns() []ConnState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

func (f *fake) requests() ([]InitiateRequest, []TerminateRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.initiated, f.terminated
}

// set changes what the fake shows while it is served.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) Initiate(ctx context.Context, r InitiateRequest, log func(LogLine)) error {
	f.mu.Lock()
	f.initiated = append(f.initiated, r)
	steps, block, err := f.steps, f.block, f.err
	f.mu.Unlock()
	for _, l := range steps {
		log(l)
	}
	if block {
		<-ctx.Done()
		f.left <- struct{}{}
		return ctx.Err()
	}
	return err
}

func (f *fake) Terminate(_ context.Context, r TerminateRequest, log func(LogLine)) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.terminated = append(f.terminated, r)
	for _, l := range f.steps {
		log(l)
	}
	return f.matches, f.err
}

func (f *fake) Subscribe(sink func(Event)) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	n := f.serial
	f.subscribers[n] = sink
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subscribers, n)
	}
}

// Capture gives what is recorded, and then waits.
func (f *fake) Capture(ctx context.Context, r CaptureRequest, sink func(Captured) error) error {
	f.mu.Lock()
	f.captures = append(f.captures, r)
	f.mu.Unlock()
	for _, c := range append([]Captured{{}}, f.recorded...) {
		if err := sink(c); err != nil {
			return err
		}
	}
	<-ctx.Done()
	f.left <- struct{}{}
	return ctx.Err()
}

// captured are the captures that were asked for.
func (f *fake) captured() []CaptureRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.captures)
}

// publish gives an event to all subscribers and tells how many there were.
func (f *fake) publish(ev Event) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, sink := range f.subscribers {
		sink(ev)
	}
	return len(f.subscribers)
}

var errRefused = errors.New("no proposal in common: we offered aes256gcm16")

func alg(word string, proto crypto.Proto) crypto.Suite {
	ps, err := crypto.ParseProposal(proto, word)
	if err != nil {
		panic(err)
	}
	s := crypto.Suite{Proto: proto}
	for _, a := range ps.Algs {
		switch a.Type {
		case crypto.Encr:
			s.Encr = a
		case crypto.PRF:
			s.PRF = a
		case crypto.Integ:
			s.Integ = a
		case crypto.KE:
			s.KE = a
		case crypto.ESN:
			if a.ID == crypto.ESNYes || s.ESN == (crypto.Alg{}) {
				s.ESN = a
			}
		}
	}
	return s
}

func selector(prefix string) wire.Selector {
	p := netip.MustParsePrefix(prefix)
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return wire.Selector{EndPort: 65535, Start: p.Addr(), End: end}
}

func confSelector(prefix string) conf.Selector {
	s := selector(prefix)
	return conf.Selector{First: s.Start, Last: s.End, PortLast: 65535}
}

func fqdn(s string) id.ID { return id.ID{Kind: id.FQDN, Data: s} }

// sampleSAs are the SAs of which charon 5.9.8 printed testdata/charon.txt.
func sampleSAs() []SA {
	lan := ike.ChildStatus{
		ID: 2, Name: "lan", ReqID: 1, State: ike.ChildInstalled, Mode: conf.Tunnel, Proto: crypto.ESP, Encap: true,
		SPIIn: 0xd53b77cc, SPIOut: 0xc8571dfb, Suite: alg("aes256gcm16", crypto.ESP),
		LocalHost: netip.MustParseAddr("192.0.2.2"), RemoteHost: netip.MustParseAddr("198.51.100.2"),
		Local:     []wire.Selector{selector("10.1.0.0/16"), selector("fd01:0:0:1::/64")},
		Remote:    []wire.Selector{selector("10.2.0.0/16"), selector("fd02:0:0:1::/64")},
		Installed: fakeNow.Add(-10 * time.Second), RekeyAt: fakeNow.Add(3382 * time.Second), ExpireAt: fakeNow.Add(3950 * time.Second),
	}
	six := lan
	six.ID, six.Name, six.ReqID, six.SPIIn, six.SPIOut = 4, "six", 2, 0xd4c9b405, 0x0cd36ae9
	six.Suite = alg("aes128gcm16", crypto.ESP)
	six.Local, six.Remote = []wire.Selector{selector("fd01:0:0:1::/64")}, []wire.Selector{selector("fd02:0:0:1::/64")}
	six.RekeyAt = fakeNow.Add(3259 * time.Second)
	site := ike.Status{
		ID: 1, Conn: "site", Version: 2, State: ike.Up, Initiator: true, SPIi: 0x0afeb07184f52d88, SPIr: 0x63ce875fbc58cdb3,
		Path:    ike.Path{Local: netip.MustParseAddrPort("192.0.2.2:4500"), Remote: netip.MustParseAddrPort("198.51.100.2:4500")},
		LocalID: fqdn("a.example.org"), RemoteID: fqdn("b.example.org"), Suite: alg("aes256gcm16-prfsha256-curve25519", crypto.IKE),
		NATRemote: true, Fragments: true, Established: fakeNow.Add(-10 * time.Second), RekeyAt: fakeNow.Add(13299 * time.Second),
		ExpireAt: fakeNow.Add(14739 * time.Second), Children: []ike.ChildStatus{lan},
	}
	v6 := site
	v6.ID, v6.Conn, v6.SPIi, v6.SPIr = 2, "v6", 0xd9f127a56fcf2a87, 0x8a502f2a7fa5bdd4
	v6.Path = ike.Path{Local: netip.MustParseAddrPort("[2001:db8:a::2]:4500"), Remote: netip.MustParseAddrPort("[2001:db8:b::2]:4500")}
	v6.LocalID, v6.RemoteID = id.ID{Kind: id.IPv6, Data: string(v6.Path.Local.Addr().AsSlice())}, fqdn(`C=CH, O=x y, CN="b"`)
	v6.Suite, v6.RekeyAt, v6.Children = alg("aes256-sha256-modp2048", crypto.IKE), fakeNow.Add(13034*time.Second), []ike.ChildStatus{six}
	return []SA{
		{Status: v6, Usage: []ChildUsage{{In: esp.Usage{LastUse: -1}, Out: esp.Usage{LastUse: -1}}}},
		{Status: site, Usage: []ChildUsage{{In: esp.Usage{Bytes: 84, Packets: 1}, Out: esp.Usage{Bytes: 84, Packets: 1}}}},
	}
}

// sampleConfig is what charon had for testdata/charon.txt, in goike's words.
func sampleConfig() *conf.Config {
	host := func(s string) conf.Gateways {
		a := netip.MustParseAddr(s)
		return conf.Gateways{{Prefix: netip.PrefixFrom(a, a.BitLen())}}
	}
	site := &conf.Connection{
		Name: "site", Version: conf.IKEv2, LocalAddr: netip.MustParseAddr("192.0.2.2"), Gateways: host("198.51.100.2"),
		Local: conf.Auth{ID: fqdn("a.example.org")}, Remote: conf.Auth{ID: fqdn("b.example.org")}, Lifetime: 14940 * time.Second,
		Rekey: true, Margin: 9 * time.Minute, DPDAction: conf.DPDNone, PSK: crypto.Secret("very secret"), KeyingTries: 3,
		Behavior: conf.Start,
		Children: []*conf.Child{
			{
				Name: "lan", Description: "both offices", Protocol: crypto.ESP, Lifetime: 4140 * time.Second,
				Local:  []conf.Selector{confSelector("10.1.0.0/16"), confSelector("fd01:0:0:1::/64")},
				Remote: []conf.Selector{confSelector("10.2.0.0/16"), confSelector("fd02:0:0:1::/64")},
			},
			{Name: "tr", Mode: conf.Transport, Protocol: crypto.ESP, Lifetime: 4140 * time.Second},
		},
	}
	hq := &conf.Connection{
		Name: "hq", Gateways: conf.Gateways{{Host: "hq.example.org"}}, Behavior: conf.OnDemand, Lifetime: conf.Forever,
		Children: []*conf.Child{{Name: "all", Protocol: crypto.ESP, Local: []conf.Selector{confSelector("10.1.0.0/16")}, Remote: []conf.Selector{confSelector("0.0.0.0/0")}}},
	}
	return &conf.Config{UniqueIDs: conf.UniqueNo, Connections: []*conf.Connection{site, hq}}
}

func sampleConns() []ConnState {
	return []ConnState{
		{Conn: "site", State: "up", NextTry: ike.Never, LastAt: ike.Never},
		{
			Conn: "hq", State: "waiting", Try: 2, NextTry: fakeNow.Add(12 * time.Second), LastAt: fakeNow.Add(-4 * time.Second),
			LastError: &ike.Refusal{
				Cause: ike.NoProposal, ByPeer: true, Notify: "NO_PROPOSAL_CHOSEN", Offered: "aes256gcm16-prfsha256-x25519",
				Hint: "compare with the peer's phase 1 settings",
			},
		},
	}
}

func (f *fake) Redirect(_ context.Context, r RedirectRequest) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.redirected = append(f.redirected, r)
	return f.matches, f.err
}

func (f *fake) Rekey(_ context.Context, r RekeyRequest) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf("rekey %+v", r))
	return f.matches, f.err
}

// call notes a command and answers it.
func (f *fake) call(args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
	return f.err
}

func (f *fake) Install(_ context.Context, conn, child string) error {
	return f.call("install", conn, child)
}

func (f *fake) Uninstall(_ context.Context, conn, child string) error {
	return f.call("uninstall", conn, child)
}

func (f *fake) ResetCounters(_ context.Context, every bool, conn string) error {
	return f.call("reset", every, conn)
}

func (f *fake) Policies(context.Context) []Policy {
	local, remote := []wire.Selector{selector("10.1.0.0/16")}, []wire.Selector{selector("10.2.0.0/16")}
	return []Policy{
		{Conn: "site", Child: "lan", Local: local, Remote: remote},
		{Conn: "site", Child: "printers", Mode: conf.Pass, Local: local, Remote: local},
		{Conn: "hq", Child: "rest", Mode: conf.Drop, Local: local, Remote: remote},
	}
}

func (f *fake) Counters(context.Context) (Counters, error) {
	c := Counters{Conns: []ConnCounters{{Conn: "hq"}, {Conn: "site"}}}
	c.All[ike.InitRequestsIn], c.All[ike.InfoResponsesOut] = 12, 7
	c.Conns[1].Counts[ike.ChildRekeys] = 3
	return c, f.err
}

func (f *fake) Refused(context.Context) []Refused {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}
